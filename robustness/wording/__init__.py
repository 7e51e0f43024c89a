"""Sentences, captions, warnings and audit texts: numbers and flags in, words out. Torch-free."""
