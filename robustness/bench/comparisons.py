"""How often comparisons tell apart what is alike, tell what is not, and hold the true difference in their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robustness.bench.null_studies import simulated_pair
from robustness.spec import COMPARABLE
from robustness.summary.comparison.result import Comparison
from robustness.summary.comparison.testing import compared

__all__ = ["CRITICAL", "SEEDS", "UNITS", "Told", "told_apart"]

SEEDS = (5, 10, 20)
UNITS = (0.0, 0.05, 0.1, 0.125, 0.25)
"""Decades by which the unit of the second optimizer's learning rate differs: nothing is to be told."""
CRITICAL = 0.3
"""Decades by which its critical learning rate is higher: the rate or the margin is to tell."""
DRAWS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """Of simulated studies of one kind, how often a comparison told two optimizers apart.

    Attributes:
        metric: of `COMPARABLE`.
        seeds: of each study.
        unit: decades between the units of their learning rates.
        critical: decades between their critical learning rates.
        studies: how many.
        told: share told apart.
        held: share whose interval holds the true difference: 0, or the mean of all studies where they differ.
        difference: mean difference.
        sd: standard deviation of differences between studies.
    """

    metric: str
    seeds: int
    unit: float
    critical: float
    studies: int
    told: float
    held: float
    difference: float
    sd: float


def told_apart(
    studies: int,
    rng: np.random.Generator,
    *,
    metrics: Sequence[str] = COMPARABLE,
    seeds: Sequence[int] = SEEDS,
    units: Sequence[float] = UNITS,
    draws: int = DRAWS,
    on_cell: Callable[[], None] = lambda: None,
) -> Iterator[Told]:
    """Compare simulated pairs: alike but for a unit, and alike but for where training ends.

    Args:
        studies: simulated of each kind.
        rng: for all of them.
        metrics: of `COMPARABLE`.
        seeds: numbers of them.
        units: of `UNITS`.
        draws: of the bootstrap.
        on_cell: called after each kind of study.
    """
    kinds = [(unit, 0.0) for unit in units] + [(0.0, CRITICAL)]
    for n in seeds:
        for unit, critical in kinds:
            found: dict[str, list[Comparison]] = {metric: [] for metric in metrics}
            for _ in range(studies):
                a, b = simulated_pair(rng, n, unit=unit, critical=critical, draws=draws)
                for metric in metrics:
                    found[metric].append(compared(metric, a, b))
            for metric, comparisons in found.items():
                yield _told(metric, n, unit, critical, comparisons)
            on_cell()


def _told(metric: str, seeds: int, unit: float, critical: float, comparisons: list[Comparison]) -> Told:
    known = [found for found in comparisons if not math.isnan(found.difference)]
    differences = np.array([found.difference for found in known])
    true = float(differences.mean()) if critical else 0.0
    held = np.mean([found.low - 1e-12 <= true <= found.high + 1e-12 for found in known])
    return Told(
        metric=metric,
        seeds=seeds,
        unit=unit,
        critical=critical,
        studies=len(known),
        told=sum(found.tells for found in known) / len(known),
        held=float(held),
        difference=float(differences.mean()),
        sd=float(differences.std(ddof=1)),
    )
