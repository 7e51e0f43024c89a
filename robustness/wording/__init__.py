"""Sentences for readers, made last, from numbers and flags."""
