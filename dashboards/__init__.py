"""The web pages of the service. They arrive with it."""
