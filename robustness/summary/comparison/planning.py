"""What a study of so many seeds will be able to tell, before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robustness.summary.comparison.power import ALPHA, detectable
from robustness.summary.rows import METRICS

__all__ = ["PlanRow", "Spread", "plan_rows", "plausible", "unit_of"]

SEEDS = (5, 6, 10, 20, 50, 100)
_PLAUSIBLE: dict[str, tuple[float, ...]] = {
    "decades": (0.1, 0.2, 0.5, 1.0),
    "loss": (0.01, 0.03, 0.1, 0.3),
}
_SHARES = (0.005, 0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A standard deviation of paired differences between seeds, and where it is from."""

    sd: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """What so many seeds can tell.

    Attributes:
        seeds: paired.
        detectable: for each spread the difference told with 80 % power, if the grid resolves it; infinite of one seed.
    """

    seeds: int
    detectable: tuple[float, ...]


def unit_of(metric: str) -> str:
    """The unit of a metric's differences, for tasks with an accuracy.

    >>> unit_of("critical_lr"), unit_of("score"), unit_of("divergence_rate")
    ('decades', 'accuracy', 'share')
    """
    return "decades" if metric == "critical_lr" else METRICS[metric].unit or "accuracy"


def plausible(metric: str) -> list[Spread]:
    """Spreads to plan with where there is no pilot: from seeds that nearly agree to seeds that hardly do."""
    return [Spread(sd=sd, source="assumed") for sd in _PLAUSIBLE.get(unit_of(metric), _SHARES)]


def plan_rows(seeds: int, spreads: Sequence[Spread], tests: int = 1) -> list[PlanRow]:
    """What the study's seeds can tell, and what other numbers of seeds could.

    Args:
        seeds: of the study.
        spreads: to plan with.
        tests: that Holm corrects for; power is that of its first step.

    >>> [row.seeds for row in plan_rows(7, [])]
    [5, 6, 7, 10, 20, 50, 100]
    """
    return [
        PlanRow(
            seeds=n,
            detectable=tuple(detectable(n, spread.sd, ALPHA / tests) for spread in spreads),
        )
        for n in sorted({seeds, *SEEDS})
    ]
