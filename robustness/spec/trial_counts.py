"""How many trials a study has: known before it runs, or where results decide, what is expected and the most."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean

from robustness.phrases import counted
from robustness.spec.first_failure_search import search

__all__ = ["TrialCounts", "expected_places"]

_EDGES = 40
"""Edges, spread evenly above the default, over which `expected_places` takes the mean."""
_RESTARTED = 0.14
"""Share of `check` that rows take because they are not monotone, in the mean of 327 rows of digits and an mlp."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialCounts:
    """Trials of a study before it runs.

    Attributes:
        expected: of `edge` see `expected_places`; with `confirm` where every row trains.
        most: whatever the results.
        exact: no result changes the number.
    """

    expected: int
    most: int
    exact: bool

    @property
    def text(self) -> str:
        """What every place says that states a study's size before it runs.

        >>> TrialCounts(expected=90, most=186, exact=False).text
        'about 90 trials, at most 186'
        >>> TrialCounts(expected=90, most=90, exact=False).text
        'at most 90 trials'
        >>> TrialCounts(expected=90, most=90, exact=True).text
        '90 trials'
        """
        if self.exact:
            return counted(self.most, "trial")
        if self.expected == self.most:
            return f"at most {counted(self.most, 'trial')}"
        return f"about {counted(self.expected, 'trial')}, at most {self.most:,}"


@lru_cache(maxsize=256)
def expected_places(*, size: int, start: int, decade: int, check: int) -> float:
    """Places that `edge` tries of a row in which the default trains, in the mean over where training ends.

    Args:
        size: of the lattice.
        start: where the search begins.
        decade: places in a decade.
        check: as for `search`.

    >>> round(expected_places(size=101, start=40, decade=20, check=16), 1)
    15.3
    """
    edges = range(start + 1, size + 1, max((size - start) // _EDGES, 1))
    monotone = fmean(_tried(edge, size, start, decade, check) for edge in edges)
    return min(monotone + _RESTARTED * check, size)


def _tried(edge: int, size: int, start: int, decade: int, check: int) -> int:
    running = search(size=size, start=start, decade=decade, check=check)
    places = next(running)
    while True:
        try:
            places = running.send({k: k < edge for k, _ in places})
        except StopIteration as ended:
            return len(ended.value)
