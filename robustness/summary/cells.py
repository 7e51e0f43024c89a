"""Tables of cells and of rows: counts, rates with intervals, scores, the tuned learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from robustness.summary.intervals import seed_block_rate, wilson
from robustness.summary.outcome import ROW

__all__ = ["CELL_COLUMNS", "cell_table", "row_table"]

OUTCOMES = ("trained", "untrained", "nonfinite", "blowup")
CELL_COLUMNS = (
    "task",
    "optimizer",
    "lr",
    "init",
    "n",
    *OUTCOMES,
    "diverged",
    "divergence_rate",
    "low",
    "high",
    "score_mean",
    "score_sd",
    "score_median",
)


def cell_table(trials: pd.DataFrame, complete: pd.DataFrame) -> pd.DataFrame:
    """One row a cell, in the study's order; cells with nothing complete yet have n = 0 and NaN.

    Args:
        trials: every trial of the study (`frame.COLUMNS`).
        complete: the complete ones, classified (`outcome.classify`).

    Returns:
        `CELL_COLUMNS`. `diverged` of `n` complete trials, its rate with Wilson's interval; the score is
        test accuracy, chance for a trial that did not train; sd with n - 1, NaN for one trial; then
        `stalled` and `validation_median` (chance where not finite).
    """
    keys = ["task", "optimizer", "lr", "init"]
    order = trials[keys].drop_duplicates()
    grouped = complete.groupby(keys, sort=False)
    cells = grouped["score"].agg(n="size", score_mean="mean", score_sd="std", score_median="median")
    for outcome in OUTCOMES:
        cells[outcome] = (complete["outcome"] == outcome).groupby([complete[k] for k in keys]).sum()
    for side in ("diverged", "stalled"):
        cells[side] = (complete["side"] == side).groupby([complete[k] for k in keys]).sum()
    # Selection looks at validation data alone; the outcome would bring the test set in.
    cells["validation_median"] = grouped["selection"].median()
    found = order.merge(cells, how="left", left_on=keys, right_index=True).reset_index(drop=True)
    counts = ["n", *OUTCOMES, "diverged", "stalled"]
    found[counts] = found[counts].fillna(0).astype(int)
    rates = [wilson(int(k), int(n)) for k, n in zip(found["diverged"], found["n"], strict=True)]
    found["divergence_rate"] = [rate.value for rate in rates]
    found["low"] = [rate.low for rate in rates]
    found["high"] = [rate.high for rate in rates]
    return found[[*CELL_COLUMNS, "stalled", "validation_median"]]


def row_table(complete: pd.DataFrame, cells: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One row a (task, optimizer, init): rates over all its learning rates, scores at the tuned one.

    The tuned learning rate maximizes the median validation accuracy over seeds (ties: the smaller) and
    is reported by test scores of the final epoch.

    Args:
        complete: the complete trials, classified.
        cells: of `cell_table`.
        rng: for the seed-block intervals.

    Returns:
        task, optimizer, init, n (trials), seeds, diverged, divergence_rate, low, high, not_trained,
        tuned_lr (NaN where no learning rate trains), tuned_n, score_mean, score_sd, score_median.
    """
    found: list[dict[str, Any]] = []
    by_row = {key: group for key, group in complete.groupby(ROW, sort=False)}
    for key, row_cells in cells.groupby(ROW, sort=False):
        group = by_row.get(key, complete.iloc[:0])
        flags = [(part["side"] == "diverged").to_numpy() for _, part in group.groupby("seed_index")]
        rate = seed_block_rate(flags, rng)
        alive = row_cells[row_cells["n"] > 0].sort_values("lr")
        if not row_cells["trained"].any():
            alive = alive.iloc[:0]
        best = alive.iloc[int(alive["validation_median"].argmax())] if len(alive) else None
        found.append(
            {
                **dict(zip(ROW, key, strict=True)),
                "n": rate.n,
                "seeds": len(flags),
                "diverged": rate.k,
                "divergence_rate": rate.value,
                "low": rate.low,
                "high": rate.high,
                "not_trained": int((group["outcome"] != "trained").sum()),
                "tuned_lr": np.nan if best is None else best["lr"],
                "tuned_n": 0 if best is None else int(best["n"]),
                **{
                    c: np.nan if best is None else best[c] for c in ("score_mean", "score_sd", "score_median")
                },
            }
        )
    return pd.DataFrame(found)
