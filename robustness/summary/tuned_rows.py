"""One line a row: its divergence rate over all learning rates, its scores at the tuned one."""

# S seeds, I initializations, L learning rates

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from robustness.summary.cell_weighted_rates import rate_of_cells
from robustness.summary.outcome import ROW
from robustness.summary.resampled import Resampled
from robustness.summary.study import Study
from robustness.summary.tuned_scores import tuned_score

__all__ = ["tuned_rows"]


def tuned_rows(study: Study) -> pd.DataFrame:
    """One line a (task, optimizer, init), in the study's order; those with nothing complete have n = 0 and NaN.

    Returns:
        task, optimizer, init, n (trials of the design), diverged (of these), divergence_rate (learning rates weigh
        equally), low, high, not_trained, tuned_lr (NaN
        where no learning rate trains), tuned_n, tuned_trained (of these), score_mean and score_sd over the seeds that
        trained, score_median over all: test scores of the final epoch, those of fresh seeds where the study has them.
    """
    known = pd.DataFrame(
        [line for sample in study.tuning for line in _lines(sample)],
        columns=[*ROW, *_COUNTS, *_NUMBERS],
    )
    order = study.trials[ROW].drop_duplicates()
    found = order.merge(known, how="left", on=ROW).reset_index(drop=True)
    found[list(_COUNTS)] = found[list(_COUNTS)].astype(float).fillna(0).astype(int)
    return found.astype(dict.fromkeys(_NUMBERS, float))


_COUNTS = ("n", "diverged", "not_trained", "tuned_n", "tuned_trained")
_NUMBERS = ("divergence_rate", "low", "high", "tuned_lr", "score_mean", "score_sd", "score_median")


def _lines(sample: Resampled) -> list[dict[str, Any]]:
    cube = sample.cube
    diverged_SIL = cube.flags("divergence_rate")
    not_trained_SIL = cube.flags("not_trained_rate")
    lines = []
    for i in np.flatnonzero(sample.seeds_I).tolist():
        rate, _ = rate_of_cells(
            diverged_SIL[:, i], cube.seeds_S, cube.orders, drawn=cube.binned, clustered=cube.clustered
        )
        line: dict[str, Any] = {
            "task": cube.task,
            "optimizer": cube.optimizer,
            "init": cube.inits[i],
            "n": rate.n,
            "diverged": rate.k,
            "not_trained": int(np.nansum(not_trained_SIL[:, i])),
            "divergence_rate": rate.value,
            "low": rate.low,
            "high": rate.high,
        }
        if sample.trains_I[i]:
            score = tuned_score(sample, i)
            line |= {
                "tuned_lr": float(sample.tuned_lrs_I[i]),
                "tuned_n": score.seeds,
                "tuned_trained": score.trained,
                "score_mean": score.mean,
                "score_sd": score.sd,
                "score_median": score.median,
            }
        lines.append(line)
    return lines
