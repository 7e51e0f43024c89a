"""Intervals of rates and means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from robustness.summary.resampling import DRAWS, crossed_resamples, estimates, study_resamples

__all__ = ["Rate", "seed_block_rates", "uneven", "wilson"]

Counts = npt.NDArray[np.int64]


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

    Source: Wilson 1927; a test holds it to scipy.stats.binomtest, whose import takes longer than a report.

    >>> rate = wilson(0, 5)
    >>> rate.value, rate.low, round(rate.high, 2)
    (0.0, 0.0, 0.43)
    """
    if not 0 <= k <= n:
        raise ValueError(f"k must be >= 0 and <= n = {n}, got {k}")
    if n == 0:
        return Rate(0, 0, math.nan, math.nan, math.nan)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # None or all of n: the end is exact, whatever rounding says.
    return Rate(k, n, p, 0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


def uneven(sizes_S: npt.NDArray[Any]) -> bool:
    """Whether some seeds have less than half of the trials of others: they are no draws of the same thing."""
    return bool(len(sizes_S)) and 2 * int(sizes_S.min()) < int(sizes_S.max())


def seed_block_rates(
    blocks: Sequence[tuple[Counts, Counts, Counts]],
    draws: int = DRAWS,
    confidence: float = 0.95,
    *,
    orders: int = 1,
) -> list[Rate]:
    """Rates pooled over cells, their intervals by resampling whole seeds.

    Seeds share weights and batches, so their cells are not independent: resampling single trials
    would give too narrow an interval.

    Args:
        blocks: of each rate, seed indices, and for each the number of flagged trials and of trials, (S,) each.
        draws: of `resampling.draws_for`.
        confidence: of the intervals.
        orders: data orders that weights are crossed with; seed indices count both.

    Returns:
        Intervals of `resampling.estimates`, on the draws that all summaries share. Where nothing or everything is
        flagged, Wilson's interval over the seeds, the independent units: the bootstrap would state certainty.
        None where some seeds have less than half of the trials of others.
        Where all seeds have the same share in between, an interval of width zero (readers are told that all
        seeds agree); with one seed, none.
    """
    found: list[Rate | None] = []
    open_: dict[tuple[int, ...], list[int]] = {}
    for place, (seeds_S, hits_S, sizes_S) in enumerate(blocks):
        k, n, units = int(hits_S.sum()), int(sizes_S.sum()), len(np.unique(seeds_S // orders))
        if n == 0:
            found.append(Rate(0, 0, math.nan, math.nan, math.nan))
        elif uneven(sizes_S):
            found.append(Rate(k, n, k / n, math.nan, math.nan))
        elif k in (0, n):
            bounds = wilson(units if k else 0, units, confidence)
            found.append(Rate(k, n, k / n, bounds.low, bounds.high))
        else:
            found.append(None)
            open_.setdefault(tuple(seeds_S.tolist()), []).append(place)
    for seeds, places in open_.items():
        alone = study_resamples(len(seeds), draws)
        weights_RS = (crossed_resamples(seeds, orders, draws) if orders > 1 else alone).weights_RS
        hits_RM, sizes_RM = (
            weights_RS @ np.stack([blocks[place][part] for place in places], axis=1).astype(float)
            for part in (1, 2)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            statistics = list((hits_RM / sizes_RM).T)
        for place, estimate in zip(places, estimates(statistics, len(seeds), confidence), strict=True):
            k, n = (int(part.sum()) for part in blocks[place][1:])
            found[place] = Rate(k, n, k / n, estimate.low, estimate.high)
    return [rate for rate in found if rate is not None]
