"""How often nominal 95 % intervals hold the truth, and how wide they are, on simulated samples of a few seeds."""

# C samples, S seeds, R resamples

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from robustness.summary.intervals import pooled_rate
from robustness.summary.metrics import spread
from robustness.summary.resampling import DRAWS, Resamples, crossed_resamples, estimates, mean, quantile

__all__ = [
    "CROSSED",
    "DATA",
    "RATES",
    "SEEDS",
    "STATISTICS",
    "Coverage",
    "coverage",
    "crossed_coverage",
    "rate_coverage",
    "table",
]

Floats = npt.NDArray[np.float64]

SEEDS = (3, 5, 10, 20)
DATA = ("normal", "lognormal")
STATISTICS: dict[str, Callable[[Floats, Resamples], Floats]] = {
    "mean": mean,
    "median": quantile,
    "sd": lambda values_SC, resamples: spread(values_SC, resamples, "sd"),
}
CROSSED = {f"{orders} orders, sd {sd:g}": (orders, sd) for orders in (2, 5) for sd in (0.0, 0.06, 0.15)}
"""Seeds (sd 0.12) crossed with so many data orders of such a standard deviation, each trial with 0.08 of its own."""
_AT_ONCE = 100  # samples that share one set of draws


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How often intervals of one statistic held its true value.

    Attributes:
        data: the distribution from which seeds were drawn.
        statistic: mean, median or sd of seeds, or a rate over their trials.
        seeds: of each sample.
        samples: how many were drawn.
        share: of them whose interval holds the distribution's own value.
        error: standard error of that share.
        width: mean width of the intervals, in standard deviations of the data; of a rate as a share.
    """

    data: str
    statistic: str
    seeds: int
    samples: int
    share: float
    error: float
    width: float


@dataclass(frozen=True, kw_only=True)
class RateModel:
    """How trials of seeds fail.

    Attributes:
        trials: of each seed.
        truth: the share that fails.
        draw: failed trials of seeds, from a generator and a shape.
    """

    trials: int
    truth: float
    draw: Callable[[np.random.Generator, tuple[int, int]], npt.NDArray[np.int64]]


def _critical(mean_log: float, seed_sd: float) -> RateModel:
    """A grid of quarter decades on two initializations, above whose critical learning rate each trial fails."""
    logs_L, init_sd, square_sd = np.arange(-3, 2.01, 0.25), 0.08, 0.06

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.int64]:
        critical = mean_log + rng.normal(0, seed_sd, (*size, 1, 1)) + rng.normal(0, init_sd, (*size, 2, 1))
        noise = rng.normal(0, square_sd, (*size, 2, len(logs_L)))
        return np.asarray((logs_L > critical + noise).sum(axis=(2, 3)))

    sd = math.sqrt(seed_sd**2 + init_sd**2 + square_sd**2)
    truth = float(special.ndtr((logs_L - mean_log) / sd).mean())
    return RateModel(trials=2 * len(logs_L), truth=truth, draw=draw)


def _shares(
    trials: int, truth: float, draw: Callable[[np.random.Generator, tuple[int, int]], Floats]
) -> RateModel:
    """Trials fail independently with a probability that each seed draws."""
    return RateModel(
        trials=trials, truth=truth, draw=lambda rng, size: rng.binomial(trials, draw(rng, size), size)
    )


RATES: dict[str, RateModel] = {
    "critical lr, sd 0.12": _critical(0.3, 0.12),
    "critical lr, sd 0.5": _critical(0.3, 0.5),
    "critical lr near the end": _critical(1.7, 0.3),
    "beta-binomial 30 %, 10": _shares(20, 0.3, lambda rng, size: rng.beta(3, 7, size)),
    "beta-binomial 10 %, 2": _shares(20, 0.1, lambda rng, size: rng.beta(0.2, 1.8, size)),
    "all or nothing 20 %": _shares(
        42, 0.2 * 0.99 + 0.8 * 0.01, lambda rng, size: np.where(rng.random(size) < 0.2, 0.99, 0.01)
    ),
    "rare 1 %": _shares(42, 0.01, lambda _, size: np.full(size, 0.01)),
}
"""Models of how trials fail, by name."""


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
    ends: list[tuple[float, float]] = []
    for first in range(0, samples, _AT_ONCE):
        size = (seeds, min(_AT_ONCE, samples - first))
        values_SC = rng.standard_normal(size) if data == "normal" else rng.lognormal(size=size)
        resamples = Resamples.of(seeds, rng, draws)
        statistic_RC = STATISTICS[statistic](values_SC, resamples)
        ends += [(found.low, found.high) for found in estimates(list(statistic_RC.T), resamples.levels)]
    sd = 1.0 if data == "normal" else truth(data, "sd")
    return _counted(data, statistic, seeds, ends, truth(data, statistic), sd)


def crossed_coverage(
    data: str, seeds: int, *, samples: int, rng: np.random.Generator, draws: int = DRAWS
) -> Coverage:
    """The same of a mean over seeds that are crossed with data orders.

    Args:
        data: of `CROSSED`.
        seeds: starting weights of each sample.
        samples: how many.
        rng: for the samples.
        draws: of the bootstrap.
    """
    orders, order_sd = CROSSED[data]
    resamples = crossed_resamples(tuple(range(seeds * orders)), orders, draws)
    values = rng.normal(0, 0.12, (seeds, 1, samples)) + rng.normal(0, order_sd, (1, orders, samples))
    values = values + rng.normal(0, 0.08, (seeds, orders, samples))
    statistic_RC = mean(values.reshape(seeds * orders, samples), resamples)
    ends = [(found.low, found.high) for found in estimates(list(statistic_RC.T), resamples.levels)]
    return _counted(data, "mean", seeds, ends, 0.0, math.sqrt(0.12**2 + order_sd**2 + 0.08**2))


def rate_coverage(data: str, seeds: int, *, samples: int, rng: np.random.Generator) -> Coverage:
    """The same of a rate pooled over the trials of seeds.

    Args:
        data: of `RATES`.
        seeds: of each sample.
        samples: how many.
        rng: for the samples.
    """
    model = RATES[data]
    sizes_S, seeds_S = np.full(seeds, model.trials), np.arange(seeds)
    hits_CS = model.draw(rng, (samples, seeds))
    rates = [pooled_rate(hits_S, sizes_S, seeds_S) for hits_S in hits_CS]
    return _counted(data, "rate", seeds, [(rate.low, rate.high) for rate in rates], model.truth, 1.0)


def _counted(
    data: str, statistic: str, seeds: int, ends: list[tuple[float, float]], value: float, sd: float
) -> Coverage:
    low_C, high_C = np.array(ends).T
    share = float(((low_C <= value + 1e-12) & (value - 1e-12 <= high_C)).mean())
    return Coverage(
        data=data,
        statistic=statistic,
        seeds=seeds,
        samples=len(ends),
        share=share,
        error=math.sqrt(share * (1 - share) / len(ends)),
        width=float((high_C - low_C).mean()) / sd,
    )


def table(samples: int, rng: np.random.Generator, draws: int = DRAWS) -> Iterator[Coverage]:
    """Of all data, statistics and numbers of seeds.

    Args:
        samples: of each.
        rng: for all of them.
        draws: of the bootstrap.
    """
    for data in DATA:
        for statistic in STATISTICS:
            for seeds in SEEDS:
                yield coverage(data, statistic, seeds, samples=samples, rng=rng, draws=draws)
    for data in CROSSED:
        for seeds in SEEDS:
            yield crossed_coverage(data, seeds, samples=samples, rng=rng, draws=draws)
    for data in RATES:
        for seeds in SEEDS:
            yield rate_coverage(data, seeds, samples=samples, rng=rng)
