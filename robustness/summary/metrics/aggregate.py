"""Aggregates over tasks, as rliable defines them, on skill.

Source: Agarwal et al. 2021 (arXiv 2108.13264). A whole seed is resampled with all its tasks. IQM can hide a
quarter of diverged runs: it is always shown with the rate.
"""

# R resamples, S seeds, T tasks (with an initialization each)

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robustness.summary.resampling import Resamples

__all__ = ["iqm", "optimality_gap", "probability_of_improvement"]

Floats = npt.NDArray[np.float64]


def _pooled(scores_ST: Floats, resamples: Resamples) -> tuple[Floats, Floats]:
    """All scores, ascending, (N), and how many are not above each in every resample, (R, N)."""
    present = ~np.isnan(scores_ST)
    order = np.argsort(scores_ST[present], kind="stable")
    seeds_N = np.broadcast_to(np.arange(len(scores_ST))[:, None], scores_ST.shape)[present][order]
    return scores_ST[present][order], np.cumsum(resamples.weights_RS[:, seeds_N], axis=1)


def iqm(scores_ST: Floats, resamples: Resamples) -> Floats:
    """Interquartile mean over seeds and tasks, (R): a quarter of the scores, rounded down, is cut at each end.

    Args:
        scores_ST: skill; NaN where missing.
        resamples: of the S seeds.
    """
    values_N, passed_RN = _pooled(scores_ST, resamples)
    if not len(values_N):
        return np.full(len(passed_RN), np.nan)
    n_R1 = passed_RN[:, -1:]
    cut_R1 = np.floor(n_R1 * 0.25)
    kept_RN = np.diff(np.clip(passed_RN, cut_R1, n_R1 - cut_R1) - cut_R1, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(kept_RN @ values_N / kept_RN.sum(axis=1), dtype=float)


def optimality_gap(scores_ST: Floats, resamples: Resamples, gamma: float = 1.0) -> Floats:
    """By how much scores fall short of gamma on average, those above it as gamma, (R)."""
    present_ST = (~np.isnan(scores_ST)).astype(float)
    short_S = np.where(present_ST > 0, gamma - np.minimum(scores_ST, gamma), 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap_R = (resamples.weights_RS @ short_S) / (resamples.weights_RS @ present_ST.sum(axis=1))
    return np.asarray(gap_R, dtype=float)


def probability_of_improvement(a_ST: Floats, b_ST: Floats, resamples: Resamples) -> Floats:
    """Chance that a run of A is better than a run of B on the same task, ties half, mean over tasks, (R).

    Args:
        a_ST: skill of A; NaN where missing.
        b_ST: of B, the same seeds and tasks.
        resamples: of the S seeds, the same draw for both.
    """
    weights = resamples.weights_RS
    found = np.zeros((len(weights), a_ST.shape[1]))
    for t in range(a_ST.shape[1]):
        a_S, b_S = a_ST[:, t], b_ST[:, t]
        wins_SS = (a_S[:, None] > b_S) + 0.5 * (a_S[:, None] == b_S)
        pairs_R = (weights @ (~np.isnan(a_S)).astype(float)) * (weights @ (~np.isnan(b_S)).astype(float))
        with np.errstate(invalid="ignore", divide="ignore"):
            found[:, t] = ((weights @ wins_SS) * weights).sum(axis=1) / pairs_R
    return np.asarray(found.mean(axis=1), dtype=float)
