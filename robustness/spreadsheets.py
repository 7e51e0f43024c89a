"""Text that a spreadsheet would run as a formula, made harmless in CSV and read back."""

from __future__ import annotations

__all__ = ["defuse", "undefuse"]

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def defuse(text: object) -> object:
    """A string that a spreadsheet would run as a formula, made plain by a leading apostrophe."""
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULAS) else text


def undefuse(text: str) -> str:
    """The string that `defuse` made plain.

    >>> undefuse("'=a"), undefuse("'a"), undefuse("a")
    ('=a', "'a", 'a')
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULAS) else text
