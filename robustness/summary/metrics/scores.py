"""Scores: their spread, what to expect without tuning, and with k trials of tuning."""

# R resamples, S seeds, L learning rates, N trials of a row, K numbers of trials, P points

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from robustness.summary.resampling import Resamples, mean, quantile

__all__ = ["best_of_k_weights", "cvar", "expected_best_of_k", "prior_weights", "spread"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Spread = Literal["sd", "iqr", "p05", "worst"]


def spread(values_SP: Floats, resamples: Resamples, kind: Spread) -> Floats:
    """Spread over seeds of each of P points, (R, P).

    Args:
        values_SP: scores; NaN where missing.
        resamples: of the S seeds.
        kind: `sd` (n - 1; NaN for one seed), `iqr` (75 % less 25 % point), `p05` (5 % point), `worst` (least).

    Source: METRICS, `accuracy_spread_*`.
    """
    if kind == "iqr":
        return quantile(values_SP, resamples, 0.75) - quantile(values_SP, resamples, 0.25)
    if kind in ("p05", "worst"):
        return quantile(values_SP, resamples, 0.05 if kind == "p05" else 0.0)
    n_RP = resamples.weights_RS @ (~np.isnan(values_SP)).astype(float)
    # Scaled, so that squares of values near 1e308 do not overflow; centred, so that they do not cancel.
    scale = float(np.nanmax(np.abs(values_SP), initial=0.0))
    scale = scale if scale > 1e100 else 1.0
    scaled_SP = values_SP / scale
    shifted_SP = scaled_SP - np.nanmean(np.where(np.isnan(scaled_SP).all(axis=0), 0.0, scaled_SP), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance_RP = mean(shifted_SP**2, resamples) - mean(shifted_SP, resamples) ** 2
        found = np.sqrt(np.maximum(variance_RP, 0) * n_RP / (n_RP - 1)) * scale
    return np.where(n_RP > 1, found, np.nan)


def prior_weights(lrs_L: Floats, default: float, decades: float = 1.0) -> tuple[Floats, float]:
    """Weights of a grid under a log-uniform prior around an optimizer's default learning rate.

    Each learning rate stands for the stretch up to the middle of its neighbours, the outermost for half a
    step beyond.

    Args:
        lrs_L: ascending.
        default: > 0.
        decades: on each side of it.

    Returns:
        Weights that sum to 1 (NaN where the grid misses the prior), and the share of the prior that the grid
        covers.
    """
    logs_L = np.log10(lrs_L)
    if len(logs_L) == 1:
        inside = abs(logs_L[0] - np.log10(default)) <= decades
        return np.array([1.0 if inside else np.nan]), 0.0
    middles = (logs_L[1:] + logs_L[:-1]) / 2
    edges = np.concatenate([[2 * logs_L[0] - middles[0]], middles, [2 * logs_L[-1] - middles[-1]]])
    low, high = np.log10(default) - decades, np.log10(default) + decades
    inside_L = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
    covered = float(inside_L.sum())
    if covered == 0:
        return np.full(len(lrs_L), np.nan), 0.0
    return inside_L / covered, min(covered / (2 * decades), 1.0)


def cvar(values_SL: Floats, weights_L: Floats, resamples: Resamples, worst: float = 0.1) -> Floats:
    """Mean of the worst share of scores over learning rates and seeds, (R).

    Args:
        values_SL: scores; NaN where missing (its weight goes to the rest).
        weights_L: of the learning rates, summing to 1.
        resamples: of the S seeds.
        worst: the share, in (0, 1].

    Raises:
        ValueError: the share is not within (0, 1].
    """
    if not 0 < worst <= 1:
        raise ValueError(f"worst must be > 0 and <= 1, got {worst}")
    present_SL = ~np.isnan(values_SL) & (weights_L > 0)
    order = np.argsort(values_SL[present_SL], kind="stable")
    values_N = values_SL[present_SL][order]
    places = [np.broadcast_to(part, values_SL.shape) for part in np.ogrid[: len(values_SL), : len(weights_L)]]
    seed_N, lr_N = (part[present_SL][order] for part in places)
    counts_SR = np.ascontiguousarray(resamples.weights_RS.T)
    # A learning rate's weight is shared by the trials that a resample has of it.
    trials_LR = present_SL.T.astype(float) @ counts_SR
    with np.errstate(invalid="ignore", divide="ignore"):
        share_LR = np.where(trials_LR > 0, weights_L[:, None] / trials_LR, 0.0)
    total_R = np.where(trials_LR > 0, weights_L[:, None], 0.0).sum(axis=0)
    left_R = worst * total_R
    summed_R = np.zeros_like(left_R)
    for value, seed, lr in zip(values_N, seed_N, lr_N, strict=True):  # worst first, until all have a tenth
        taken_R = np.minimum(counts_SR[seed] * share_LR[lr], left_R)
        summed_R += taken_R * value
        left_R = left_R - taken_R
        if not left_R.any():
            break
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total_R > 0, summed_R / (worst * total_R), np.nan)


def best_of_k_weights(n: int, k: int) -> Floats:
    """C(i-1, k-1) / C(n, k) for i = 1..n: the chance that the i-th smallest of n is the best of k of them.

    Raises:
        ValueError: k is not within 1 and n.

    >>> best_of_k_weights(4, 2).round(3).tolist()
    [0.0, 0.167, 0.333, 0.5]
    """
    return np.diff(_best_of_k_cdf(n, k))


@lru_cache(maxsize=4_096)
def _best_of_k_cdf(n: int, k: int) -> Floats:
    """C(c, k) / C(n, k) for c = 0..n: the chance that the best of k is among the c smallest."""
    if not 1 <= k <= n:
        raise ValueError(f"k must be >= 1 and <= n = {n}, got {k}")
    c = np.arange(n + 1.0)
    found = np.ones(n + 1)
    for j in range(k):
        found *= np.maximum(c - j, 0) / (n - j)
    return found


def expected_best_of_k(
    selection_SN: Floats, score_SN: Floats, ks_K: list[int], resamples: Resamples
) -> Floats:
    """Test score expected of the best of k of all these trials drawn without replacement, best by selection, (R, K).

    Args:
        selection_SN: selection scores of each seed's N trials; NaN where missing.
        score_SN: their test scores.
        ks_K: numbers of trials; NaN where a resample has fewer.
        resamples: of the S seeds. Two or three hundred draws suffice for a band.

    Source: Dodge et al. 2019 (arXiv 1909.03004); METRICS, `expected_best_of_k`.
    """
    present = ~np.isnan(score_SN)
    order = np.argsort(selection_SN[present], kind="stable")
    seeds_N = np.broadcast_to(np.arange(len(score_SN))[:, None], score_SN.shape)[present][order]
    # Of trials that selection cannot tell apart any may be taken: their mean stands for each.
    _, tie_N = np.unique(selection_SN[present][order], return_inverse=True)
    sums = np.bincount(tie_N, score_SN[present][order]) if len(order) else np.zeros(0)
    values_N = (sums / np.bincount(tie_N))[tie_N] if len(order) else sums
    passed_RN = np.cumsum(resamples.counts_RS[:, seeds_N], axis=1, dtype=np.int64)
    sizes_R = passed_RN[:, -1] if passed_RN.shape[1] else np.zeros(len(passed_RN), np.int64)
    found = np.full((len(passed_RN), len(ks_K)), np.nan)
    for n in np.unique(sizes_R):
        rows = sizes_R == n
        for place, k in enumerate(ks_K):
            if 1 <= k <= n:
                # Summed by parts: sum of values times differences of the cdf.
                cdf_RN = _best_of_k_cdf(int(n), k)[passed_RN[rows]]
                found[rows, place] = values_N[-1] - cdf_RN[:, :-1] @ np.diff(values_N)
    return found
