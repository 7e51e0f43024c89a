"""P values for the significance mark: paired over seeds, Holm's correction over the whole table."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from robustness.summary.comparison.comparing import less
from robustness.summary.comparison.contrasts import contrasted
from robustness.summary.comparison.paired import seed_test
from robustness.summary.comparison.pairing import paired
from robustness.summary.resampled import Resampled
from robustness.summary.rows import METRICS, Delta
from robustness.tables.ranking import Pair, Test

__all__ = ["NEED_DRAWS", "Compared", "Tested", "over_seeds", "paired_test"]

NEED_DRAWS = ("tolerance_window",)
"""Belongs to no single seed: its p inverts the bootstrap."""


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
        Of pairs their corrected p values: 1 where the paired difference is not in favour of the best (a
        comparison of rates pairs learning rates by each one's window, so it can disagree with pooled rates).
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
            p if math.isnan(p) or c is None or _favours(c) else 1.0
            for p, c in zip(corrected, compared, strict=True)
        ]

    return test


def _favours(c: Compared) -> bool:
    return c.difference < 0 if METRICS[c.metric].better == "lower" else c.difference > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """A comparison of two optimizers without its interval."""

    task: str
    init: str | None
    metric: str
    difference: float
    p: float


def over_seeds(
    samples: Sequence[Resampled], a: str, b: str, metrics: Sequence[str], *, delta: Delta, each_init: bool
) -> Iterator[Tested]:
    """The tests of `summary.comparison.compare_all` on the sample itself: a mark needs no interval.

    Args:
        samples: every optimizer on every task.
        a: label of an optimizer.
        b: label of another.
        metrics: of comparisons, but for `NEED_DRAWS`.
        delta: of the windows by which learning rates are paired.
        each_init: one test an initialization instead of one pooled.
    """
    sides = {(sample.cube.task, sample.cube.optimizer): sample for sample in samples}
    for (task, optimizer), own in sides.items():
        if optimizer != a or (task, b) not in sides:
            continue
        for init in own.cube.inits if each_init else (None,):
            pair = paired(own, sides[task, b], delta, init)
            if isinstance(pair, str):
                continue
            for metric in metrics:
                read, contrast, _ = contrasted(metric, pair)
                if contrast.seeds_S is not None:
                    yield Tested(
                        task=task,
                        init=init,
                        metric=metric,
                        difference=float(less(contrast.a_R, contrast.b_R)[0]),
                        p=seed_test(less(*read.by_weights(contrast.seeds_S)))[1],
                    )
