"""Words of sentences: numbers with their nouns, and lists that end."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed"]

NAMED = 4


def counted(n: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: Sequence[str], named: int = NAMED) -> str:
    """The first few different names and the number of the rest.

    >>> listed(["a", "a", "b", "c"], 2)
    'a; b and 1 more'
    """
    unique = list(dict.fromkeys(names))
    shown = "; ".join(unique[:named])
    more = len(unique) - named
    return f"{shown} and {more:,} more" if more > 0 else shown
