"""One line a row: its divergence rate over all learning rates, its scores at the tuned one."""

# S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from robustness.summary.intervals import seed_block_rates
from robustness.summary.outcome import ROW
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import draws_for
from robustness.summary.study import Study

__all__ = ["tuned_rows"]


def tuned_rows(study: Study) -> pd.DataFrame:
    """One line a (task, optimizer, init), in the study's order; those with nothing complete have n = 0 and NaN.

    Returns:
        task, optimizer, init, n (trials of the design), diverged, divergence_rate, low, high, not_trained, tuned_lr (NaN
        where no learning rate trains), tuned_n, score_mean, score_sd, score_median: test scores of the final epoch, those
        of fresh seeds where the study has them.
    """
    lines = [line for sample in study.tuning for line in _lines(sample)]
    hits_and_sizes = [line.pop("hits_and_sizes") for line in lines]
    orders = [line.pop("orders") for line in lines]
    rates = [
        seed_block_rates([block], draws_for(len(study.complete)), orders=order)[0]
        for block, order in zip(hits_and_sizes, orders, strict=True)
    ]
    known = pd.DataFrame(
        [
            {
                **line,
                "n": rate.n,
                "diverged": rate.k,
                "divergence_rate": rate.value,
                "low": rate.low,
                "high": rate.high,
            }
            for line, rate in zip(lines, rates, strict=True)
        ],
        columns=[*ROW, *_COUNTS, *_NUMBERS],
    )
    order = study.trials[ROW].drop_duplicates()
    found = order.merge(known, how="left", on=ROW).reset_index(drop=True)
    found[list(_COUNTS)] = found[list(_COUNTS)].astype(float).fillna(0).astype(int)
    return found.astype(dict.fromkeys(_NUMBERS, float))


_COUNTS = ("n", "diverged", "not_trained", "tuned_n")
_NUMBERS = ("divergence_rate", "low", "high", "tuned_lr", "score_mean", "score_sd", "score_median")


def _lines(sample: Resampled) -> list[dict[str, Any]]:
    cube, scored = sample.cube, sample.scored
    diverged_SIL = cube.flags("divergence_rate")
    not_trained_SIL = cube.flags("not_trained_rate")
    lines = []
    for i in np.flatnonzero(sample.seeds_I).tolist():
        present_SL = ~np.isnan(diverged_SIL[:, i])
        sizes_S = present_SL.sum(axis=1)
        seen = sizes_S > 0
        hits_S = np.nansum(diverged_SIL[:, i], axis=1)
        line: dict[str, Any] = {
            "task": cube.task,
            "optimizer": cube.optimizer,
            "init": cube.inits[i],
            "not_trained": int(np.nansum(not_trained_SIL[:, i])),
            "hits_and_sizes": (
                cube.seeds_S[seen],
                hits_S[seen].astype(np.int64),
                sizes_S[seen].astype(np.int64),
            ),
            "orders": cube.orders,
        }
        if sample.trains_I[i]:
            score_S = scored.cube.score_SIL[:, i, scored.tuned_RI[0, i]]
            score_S = score_S[~np.isnan(score_S)]
            line |= {
                "tuned_lr": float(cube.lrs_L[sample.tuned_RI[0, i]]),
                "tuned_n": len(score_S),
                "score_mean": float(score_S.mean()),
                "score_sd": float(score_S.std(ddof=1)) if len(score_S) > 1 else math.nan,
                "score_median": float(np.median(score_S)),
            }
        lines.append(line)
    return lines
