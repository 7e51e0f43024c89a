"""How often nominal 95 % intervals by whole seeds hold the truth, on simulated studies of a few seeds."""

# C samples, S seeds, R resamples

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from robustness.summary.metrics import spread
from robustness.summary.resampling import DRAWS, Resamples, estimates, mean, quantile

__all__ = ["DATA", "SEEDS", "STATISTICS", "Coverage", "coverage", "table"]

Floats = npt.NDArray[np.float64]

SEEDS = (3, 5, 10, 20)
DATA = ("normal", "lognormal")
STATISTICS: dict[str, Callable[[Floats, Resamples], Floats]] = {
    "mean": mean,
    "median": quantile,
    "sd": lambda values_SC, resamples: spread(values_SC, resamples, "sd"),
}
_AT_ONCE = 100  # samples that share one set of draws


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How often intervals of one statistic held its true value.

    Attributes:
        data: the distribution of `DATA` from which seeds were drawn, standard.
        statistic: of `STATISTICS`.
        seeds: of each sample.
        samples: how many were drawn.
        share: of them whose interval holds the distribution's own value.
        error: standard error of that share.
    """

    data: str
    statistic: str
    seeds: int
    samples: int
    share: float
    error: float


def truth(data: str, statistic: str) -> float:
    """The value of a statistic in a whole distribution.

    >>> truth("normal", "mean"), truth("lognormal", "median")
    (0.0, 1.0)
    """
    distribution = stats.norm() if data == "normal" else stats.lognorm(1.0)
    found = {"mean": distribution.mean, "median": distribution.median, "sd": distribution.std}
    return float(found[statistic]())


def coverage(
    data: str, statistic: str, seeds: int, *, samples: int, rng: np.random.Generator, draws: int = DRAWS
) -> Coverage:
    """Simulate samples, make their intervals as a summary would, and count those that hold the truth.

    Args:
        data: of `DATA`.
        statistic: of `STATISTICS`.
        seeds: of each sample.
        samples: how many.
        rng: for the samples and the resamples.
        draws: of the bootstrap.
    """
    value, held = truth(data, statistic), 0
    for first in range(0, samples, _AT_ONCE):
        size = (seeds, min(_AT_ONCE, samples - first))
        values_SC = rng.standard_normal(size) if data == "normal" else rng.lognormal(size=size)
        statistic_RC = STATISTICS[statistic](values_SC, Resamples.of(seeds, rng, draws))
        held += sum(found.low <= value <= found.high for found in estimates(list(statistic_RC.T), seeds))
    share = held / samples
    error = math.sqrt(share * (1 - share) / samples)
    return Coverage(data=data, statistic=statistic, seeds=seeds, samples=samples, share=share, error=error)


def table(
    samples: int, rng: np.random.Generator, on_cell: Callable[[], None] = lambda: None
) -> Iterator[Coverage]:
    """Of all data, statistics and numbers of seeds.

    Args:
        samples: of each.
        rng: for all of them.
        on_cell: called after each.
    """
    for data in DATA:
        for statistic in STATISTICS:
            for seeds in SEEDS:
                yield coverage(data, statistic, seeds, samples=samples, rng=rng)
                on_cell()
