"""Intervals of rates and means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Rate", "seed_block_rate", "wilson"]

DRAWS = 5_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`k` of `n`, as a share, with the ends of its 95 % interval; NaN throughout where n = 0."""

    k: int
    n: int
    value: float
    low: float
    high: float


@lru_cache(maxsize=65_536)
def wilson(k: int, n: int, confidence: float = 0.95) -> Rate:
    """The rate k / n with Wilson's score interval.

    Raises:
        ValueError: k is not within 0 and n.

    Source: Wilson 1927, by scipy.stats.binomtest.

    >>> rate = wilson(0, 5)
    >>> rate.value, rate.low, round(rate.high, 2)
    (0.0, 0.0, 0.43)
    """
    if not 0 <= k <= n:
        raise ValueError(f"k must be >= 0 and <= n = {n}, got {k}")
    if n == 0:
        return Rate(0, 0, math.nan, math.nan, math.nan)
    from scipy import stats  # takes a second: what needs no interval must not wait for it

    interval = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    return Rate(k, n, k / n, float(interval.low), float(interval.high))


def seed_block_rate(
    flags_S: list[npt.NDArray[np.bool_]], rng: np.random.Generator, confidence: float = 0.95
) -> Rate:
    """A rate pooled over cells, its interval by resampling whole seeds.

    Seeds share weights and batches, so their cells are not independent: resampling single trials
    would give too narrow an interval.

    Args:
        flags_S: for each seed index, one flag a trial.
        rng: for the 5,000 draws.
        confidence: of the interval.

    Returns:
        BCa by scipy.stats.bootstrap, percentiles where BCa is NaN. Where nothing or everything is
        flagged, Wilson's interval over the seeds, the independent units: the bootstrap would state
        certainty. Where all seeds have the same share in between, an interval of width zero (readers are
        told that all seeds agree); with one seed, none.
    """
    hits_S = np.array([flags.sum() for flags in flags_S], dtype=float)
    sizes_S = np.array([len(flags) for flags in flags_S], dtype=float)
    k, n = int(hits_S.sum()), int(sizes_S.sum())
    if n == 0:
        return Rate(0, 0, math.nan, math.nan, math.nan)
    if k in (0, n):
        bounds = wilson(len(hits_S) if k else 0, len(hits_S), confidence)
        return Rate(k, n, k / n, bounds.low, bounds.high)
    if len(hits_S) == 1:
        return Rate(k, n, k / n, math.nan, math.nan)
    if np.ptp(hits_S / sizes_S) == 0:
        return Rate(k, n, k / n, k / n, k / n)
    from scipy import stats

    result = stats.bootstrap(
        (hits_S, sizes_S),
        lambda hits, sizes, axis: hits.sum(axis) / sizes.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=DRAWS,
        confidence_level=confidence,
        method="BCa",
        rng=rng,
    )
    low, high = result.confidence_interval
    if math.isnan(low) or math.isnan(high):
        low, high = np.quantile(result.bootstrap_distribution, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Rate(k, n, k / n, float(min(low, k / n)), float(max(high, k / n)))
