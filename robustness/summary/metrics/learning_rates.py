"""Learning rates: the tuned one, the window around it, where training ends."""

# R resamples, S seeds, I initializations, L learning rates

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "LEAST_RUNS_OF_A_BIN",
    "Chosen",
    "CriticalLrs",
    "critical_lrs",
    "enough_runs",
    "is_open",
    "log_weights",
    "tolerance_window",
    "touched",
    "transfer_regret",
    "tuned_index",
    "window_ends",
]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Edge = Literal["", "low", "high", "low and high"]
"""Ends of the learning rates that were tried."""

LEAST_RUNS_OF_A_BIN = 5
"""Runs whose median may choose the tuned learning rate, where learning rates were drawn and stand in bins."""


def tuned_index(selection_RL: Floats) -> Places:
    """The place of the best median selection score along the last axis; of equal ones the smaller.

    Args:
        selection_RL: any leading axes; NaN where nothing is complete.

    >>> tuned_index(np.array([[0.2, 0.9, 0.9], [np.nan, 0.1, 0.0]])).tolist()
    [1, 1]
    """
    return np.asarray(np.argmax(np.where(np.isnan(selection_RL), -np.inf, selection_RL), axis=-1))


def enough_runs(runs_L: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which bins of drawn learning rates have enough runs for their median to be the tuned one's.

    The best of many single runs is luck, so a bin needs `LEAST_RUNS_OF_A_BIN`. Where none has as many, the fullest
    bins stand in.

    Args:
        runs_L: complete trials of each bin, any leading axes.

    Source: METRICS, "Random searches".

    >>> enough_runs(np.array([[1, 9, 5], [1, 3, 3], [0, 0, 0]])).tolist()
    [[False, True, True], [False, True, True], [False, False, False]]
    """
    fullest_1 = runs_L.max(axis=-1, keepdims=True, initial=0)
    return np.asarray((runs_L >= np.minimum(LEAST_RUNS_OF_A_BIN, fullest_1)) & (runs_L > 0))


def window_ends(score_RL: Floats, tuned_R: Places, delta: float) -> tuple[Places, Places]:
    """First and last place of the contiguous run around the tuned one with score >= tuned score - delta.

    Args:
        score_RL: median scores over seeds; a missing one (NaN) ends the run.
        tuned_R: of `tuned_index`, the leading axes of `score_RL`.
        delta: in units of the score, >= 0.

    Raises:
        ValueError: delta is negative or not a number.
    """
    if not delta >= 0:
        raise ValueError(f"delta must be >= 0, got {delta}")
    place_L = np.arange(score_RL.shape[-1])
    tuned_R1 = tuned_R[..., None]
    level_R1 = np.take_along_axis(score_RL, tuned_R1, axis=-1) - delta
    out_RL = ~(score_RL >= level_R1 - 1e-12)  # 0.92 - 0.02 must not exclude a score of 0.90
    first_R = np.where(out_RL & (place_L < tuned_R1), place_L, -1).max(axis=-1) + 1
    last_R = np.where(out_RL & (place_L > tuned_R1), place_L, len(place_L)).min(axis=-1) - 1
    return first_R, np.maximum(last_R, first_R)


def is_open(score_RL: Floats, first_R: Places, last_R: Places) -> npt.NDArray[np.bool_]:
    """Whether a window ends at a missing square, so that it may reach further.

    Args:
        score_RL: median scores over seeds, NaN where missing.
        first_R: of `window_ends`.
        last_R: of `window_ends`.
    """
    last = score_RL.shape[-1] - 1
    missing_RL = np.isnan(score_RL)
    before, after = (
        np.take_along_axis(missing_RL, np.clip(end_R, 0, last)[..., None], axis=-1)[..., 0]
        for end_R in (first_R - 1, last_R + 1)
    )
    return np.asarray((before & (first_R > 0)) | (after & (last_R < last)))


def touched(first: int, last: int, lrs: int) -> Edge:
    """The ends of a grid of so many learning rates that a run of places touches.

    >>> touched(0, 3, 5), touched(4, 4, 5), touched(0, 0, 1), touched(1, 3, 5)
    ('low', 'high', 'low and high', '')
    """
    if first == 0:
        return "low and high" if last == lrs - 1 else "low"
    return "high" if last == lrs - 1 else ""


def tolerance_window(score_RL: Floats, tuned_R: Places, lrs_L: Floats, delta: float, chance: float) -> Floats:
    """Width of the tolerance window in decades of learning rate; one grid step of resolution at each end.

    0 where the tuned score is no better than chance: all that does not train lies within delta of it.

    Args:
        score_RL: median scores over seeds.
        tuned_R: of `tuned_index`.
        lrs_L: ascending, > 0.
        delta: in units of the score.
        chance: b.

    Raises:
        ValueError: delta is negative.

    Source: METRICS, `tolerance_window`.

    >>> score = np.array([[0.1, 0.90, 0.92, 0.91, 0.1]])
    >>> round(float(tolerance_window(score, np.array([2]), 10.0 ** np.arange(-4, 1), 0.02, 0.1)[0]), 12)
    2.0
    """
    first_R, last_R = window_ends(score_RL, tuned_R, delta)
    logs_L = np.log10(lrs_L)
    trains_R = np.take_along_axis(score_RL, tuned_R[..., None], axis=-1)[..., 0] > chance
    return np.where(trains_R, logs_L[last_R] - logs_L[first_R], 0.0)


def transfer_regret(skill_RIL: Floats, tuned_RI: Places) -> Floats:
    """Skill lost on one initialization at the learning rate tuned on another, mean over ordered pairs, (R).

    NaN with a single initialization.
    """
    inits = skill_RIL.shape[1]
    if inits < 2:
        return np.full(len(skill_RIL), np.nan)
    own_RI = np.take_along_axis(skill_RIL, tuned_RI[..., None], axis=-1)[..., 0]
    # [r, b, a]: on initialization b, at the learning rate tuned on a
    other_RII = np.take_along_axis(
        skill_RIL, np.broadcast_to(tuned_RI[:, None, :], (*own_RI.shape, inits)), axis=-1
    )
    lost_RII = own_RI[..., None] - other_RII
    return np.asarray(lost_RII.sum(axis=(1, 2)) / (inits * (inits - 1)), dtype=float)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """Learning rates that were chosen around where training ends.

    Attributes:
        resolution: their distance, decades.
        top: log10 of the largest that may be tried; NaN where that is not known.
    """

    resolution: float
    top: float


@dataclass(frozen=True, kw_only=True)
class CriticalLrs:
    """Where each seed's training ends, log10 of the learning rate; leading axes of what it was made from.

    Attributes:
        first_not_trained: the smallest above one that trains; +inf where all that were tried train, NaN where
            less than half of them were tried, or its end is not yet known.
        last_trained: the largest that trains.
        monotone: no learning rate trains above one that does not.
    """

    first_not_trained: Floats
    last_trained: Floats
    monotone: npt.NDArray[np.bool_]


def critical_lrs(trained_SL: Floats, lrs_L: Floats, chosen: Chosen | None = None) -> CriticalLrs:
    """The critical learning rates of each seed.

    Learning rates too small to train come before training begins and are no end of it. NaN (and monotone)
    where no learning rate trains.

    Args:
        trained_SL: 1 where trained, 0 where not, NaN where missing (skipped); any leading axes.
        lrs_L: ascending, > 0.
        chosen: how learning rates were chosen around each seed's end; a seed whose last that trains and first that
            does not are further apart than that is not known. None: learning rates are a grid.

    >>> found = critical_lrs(np.array([[0, 1, 1, 0, 1], [0, 1, 1, 1, 1.0]]), 10.0 ** np.arange(-3, 2))
    >>> found.first_not_trained.tolist(), found.last_trained.tolist(), found.monotone.tolist()
    ([0.0, inf], [1.0, 1.0], [False, True])
    """
    logs_L = np.log10(lrs_L)
    place_L = np.arange(len(lrs_L))
    trains_SL = trained_SL == 1
    any_S = trains_SL.any(axis=-1)
    begins_S1 = np.argmax(trains_SL, axis=-1)[..., None]
    fails_SL = (trained_SL == 0) & (place_L > begins_S1)
    first_S = np.where(fails_SL, logs_L, np.inf).min(axis=-1)
    if chosen is None:
        # A seed with few of the learning rates (rerun at the best one, say) does not tell where training ends.
        unknown_S = np.isinf(first_S) & (np.isnan(trained_SL).mean(axis=-1) > 0.5)
    else:
        below_S = np.where(trains_SL & (logs_L < first_S[..., None]), logs_L, -np.inf).max(axis=-1)
        # Of one that trains as far as was tried: the search for its end is not over, or it has none in the range.
        ends_S = np.where(np.isinf(first_S), chosen.top, first_S)
        unknown_S = ~(ends_S - below_S <= 1.5 * chosen.resolution)
    first_S = np.where(unknown_S, np.nan, first_S)
    last_S = np.where(trains_SL, logs_L, -np.inf).max(axis=-1)
    return CriticalLrs(
        first_not_trained=np.where(any_S, first_S, np.nan),
        last_trained=np.where(any_S, last_S, np.nan),
        monotone=~any_S | ~(last_S > first_S),
    )


def log_weights(lrs_L: Floats) -> Floats:
    """The share of the logarithmic range that each learning rate stands for (trapezoid rule), summing to 1.

    >>> log_weights(np.array([0.1, 1.0, 10.0])).tolist()
    [0.25, 0.5, 0.25]
    """
    if len(lrs_L) == 1:
        return np.ones(1)
    steps = np.diff(np.log10(lrs_L))
    weights_L = np.zeros(len(lrs_L))
    weights_L[:-1] += steps / 2
    weights_L[1:] += steps / 2
    return np.asarray(weights_L / weights_L.sum(), dtype=float)
