"""Words of sentences: numbers with their nouns, lists that end; and texts that no spreadsheet runs."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "defuse", "listed", "undefuse"]

NAMED = 4
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def counted(n: int, one: str, many: str = "") -> str:
    """A number of things.

    >>> counted(1, "trial"), counted(2_000, "trial"), counted(0, "study", "studies")
    ('1 trial', '2,000 trials', '0 studies')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], named: int = NAMED) -> str:
    """The first few different names and the number of the rest.

    >>> listed(["a", "a", "b", "c"], 2)
    'a; b and 1 more'
    """
    unique = list(dict.fromkeys(names))
    shown = "; ".join(unique[:named])
    more = len(unique) - named
    return f"{shown} and {more:,} more" if more > 0 else shown


def defuse(text: object) -> object:
    """A string that a spreadsheet would run as a formula, made plain by a leading apostrophe."""
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULAS) else text


def undefuse(text: str) -> str:
    """The string that `defuse` made plain.

    >>> undefuse("'=a"), undefuse("'a"), undefuse("a")
    ('=a', "'a", 'a')
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULAS) else text
