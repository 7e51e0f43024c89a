"""Spread of scores in every resample: over seeds at the tuned learning rate, and over medians."""

# R resamples, I initializations, P points

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from robustness.summary.metrics import spread
from robustness.summary.metrics.scores import Spread
from robustness.summary.resampled import Resampled

__all__ = ["across", "at_tuned"]

Floats = npt.NDArray[np.float64]


def across(values_RP: Floats, kind: str) -> Floats:
    """Spread over the last axis, NaN left out only where a whole point is missing everywhere."""
    values_RP = values_RP[:, ~np.isnan(values_RP).all(axis=0)]
    points = values_RP.shape[1]
    if points < 2:
        return np.full(len(values_RP), math.nan)
    if kind == "sd":
        return np.asarray(values_RP.std(axis=1, ddof=1))
    if kind == "worst":
        return np.asarray(values_RP.min(axis=1))
    ordered = np.sort(values_RP, axis=1)

    def point(q: float) -> Floats:
        place = q * (points - 1)
        low = int(place)
        high = min(low + 1, points - 1)
        return np.asarray(ordered[:, low] * (1 - place + low) + ordered[:, high] * (place - low))

    return point(0.75) - point(0.25) if kind == "iqr" else point(0.05)


def at_tuned(sample: Resampled, kind: Spread) -> Floats:
    """Spread over seeds at each resample's tuned learning rate, (R, I): once for each that any of them tunes."""
    inits, lrs = sample.cube.shape[1:]
    tuned = np.zeros((inits, lrs), dtype=bool)
    np.put_along_axis(tuned, sample.tuned_RI.T, True, axis=1)
    number = np.cumsum(tuned).reshape(inits, lrs) - 1
    found_RP = spread(sample.cube.score_SIL[:, tuned], sample.resamples, kind)
    return np.take_along_axis(found_RP, number[np.arange(inits), sample.tuned_RI], axis=1)
