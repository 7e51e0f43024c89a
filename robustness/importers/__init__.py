"""Other people's logs, read into the same store, their files untouched. Torch-free."""
