"""P values for the significance mark: paired over seeds, Holm's correction over the whole table."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from robustness.summary.rows import METRICS
from robustness.tables.ranking import Pair, Test

__all__ = ["Compared", "paired_test"]


class Compared(Protocol):
    """What is asked of a comparison of optimizer a with optimizer b."""

    @property
    def task(self) -> str:
        """Label."""
        ...

    @property
    def init(self) -> str | None:
        """Label; None where pooled over initializations."""
        ...

    @property
    def metric(self) -> str:
        """Its id."""
        ...

    @property
    def difference(self) -> float:
        """A less b."""
        ...

    @property
    def p(self) -> float:
        """Before any correction; NaN where no test is possible."""
        ...

    @property
    def can_tell(self) -> bool:
        """Whether a small p is a verdict: the interval leaves out 0, and the grid resolves the difference."""
        ...


def paired_test(
    compare: Callable[[str, str, list[str], bool], Iterable[Compared]],
    holm: Callable[[Sequence[float]], Sequence[float]],
    comparable: Collection[str],
) -> Test:
    """A test of pairs for `ranking.ranked`.

    Args:
        compare: of the best, another optimizer and metrics, on every task; for each initialization, or pooled.
        holm: corrects p values for their number, NaN left out.
        comparable: metrics that have a test; a point of a curve has none.

    Returns:
        Of pairs their corrected p values: 1 where the comparison cannot tell, or not in favour of the best (one of
        rates counts learning rates from each one's centre, so it can disagree with pooled rates).
    """

    def test(pairs: Sequence[Pair]) -> Sequence[float]:
        asked: dict[tuple[str, str, bool], dict[str, None]] = {}
        for pair in pairs:
            if pair.metric in comparable and not pair.at:
                asked.setdefault((pair.best, pair.other, pair.init is not None), {})[pair.metric] = None
        found: dict[tuple[str, str, str | None, str | None, str], Compared] = {
            (best, other, c.task, c.init, c.metric): c
            for (best, other, each), metrics in asked.items()
            for c in compare(best, other, list(metrics), each)
        }
        compared = [found.get((pair.best, pair.other, pair.task, pair.init, pair.metric)) for pair in pairs]
        untold = [math.nan if pair.at or c is None else c.p for pair, c in zip(pairs, compared, strict=True)]
        corrected = holm(untold)
        return [
            p if math.isnan(p) or c is None or (c.can_tell and _favours(c)) else 1.0
            for p, c in zip(corrected, compared, strict=True)
        ]

    return test


def _favours(c: Compared) -> bool:
    return c.difference < 0 if METRICS[c.metric].better == "lower" else c.difference > 0
