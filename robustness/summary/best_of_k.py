"""What a budget of k trials of tuning gives: the same for the metric and for its figure."""

# R resamples, S seeds, L learning rates, K numbers of trials

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robustness.summary.metrics import expected_best_of_k
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import Resamples, mean

__all__ = ["BestOfRow", "best_of_row"]

Floats = npt.NDArray[np.float64]
DRAWS_SHARE = 20
"""Of the draws: enough for a band."""


@dataclass(frozen=True, kw_only=True)
class BestOfRow:
    """The expected best of k trials of one row.

    Attributes:
        ks_K: numbers of trials.
        values_RK: test scores; in draws NaN where seeds have different learning rates: there is no interval.
        n: seeds that count; where `pooled`, trials.
        pooled: no seed has two learning rates: trials are drawn, not the learning rates of a seed.
    """

    ks_K: list[int]
    values_RK: Floats
    n: int
    pooled: bool


def best_of_row(sample: Resampled, i: int, ks_of: Callable[[int], Sequence[int]]) -> BestOfRow:
    """Of one initialization: k of a seed's learning rates are tried, each once; the mean over seeds.

    Seeds that have fewer learning rates than others do not count: a learning rate with more seeds would count more.

    Args:
        sample: of the optimizer.
        i: place of the initialization, which has a trial.
        ks_of: the numbers of trials, from the most that there are.
    """
    cube, resamples = sample.cube, sample.resamples.fewer(sample.draws // DRAWS_SHARE)
    selection_SL, score_SL = cube.selection_SIL[:, i], cube.score_SIL[:, i]
    present_SL = ~np.isnan(score_SL)
    lrs_S = present_SL.sum(axis=1)
    most = int(lrs_S.max())
    if cube.binned or (most == 1 and present_SL.any(axis=0).sum() > 1):
        n = int(present_SL.sum())
        ks = list(ks_of(n))
        return BestOfRow(
            ks_K=ks, values_RK=expected_best_of_k(selection_SL, score_SL, ks, resamples), n=n, pooled=True
        )
    ks, itself = list(ks_of(most)), Resamples.without_draws(score_SL.shape[1])
    of_SK = np.full((len(score_SL), len(ks)), np.nan)
    for s in np.flatnonzero(lrs_S == most):
        of_SK[s] = expected_best_of_k(selection_SL[s][:, None], score_SL[s][:, None], ks, itself)[0]
    values_RK = mean(of_SK, resamples)
    if len(np.unique(present_SL[lrs_S > 0], axis=0)) > 1:
        values_RK[1:] = np.nan
    return BestOfRow(ks_K=ks, values_RK=values_RK, n=int((lrs_S == most).sum()), pooled=False)
