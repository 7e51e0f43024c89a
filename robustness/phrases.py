"""Phrases of sentences: numbers with their nouns, lists that end."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed"]

NAMED = 4
"""Names that `listed` spells out."""


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
