"""Tables of cells and of rows: counts, rates with intervals, scores, the tuned learning rate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from robustness.summary.chosen import designed
from robustness.summary.intervals import pooled_rate, wilson
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
        test accuracy, mean and sd (n - 1, NaN for one trial) over the trials that trained, the median over all
        with chance for one that did not; then `stalled` and `validation_median` (chance where not finite).
    """
    keys = ["task", "optimizer", "lr", "init"]
    order = trials[keys].drop_duplicates()
    grouped = complete.groupby(keys, sort=False)
    cells = grouped["score"].agg(n="size", score_median="median")
    trained = complete[complete["outcome"] == "trained"].groupby(keys, sort=False)["score"]
    cells = cells.join(trained.agg(score_mean="mean", score_sd="std"))
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


def row_table(complete: pd.DataFrame, cells: pd.DataFrame, *, orders: int = 1) -> pd.DataFrame:
    """One row a (task, optimizer, init): rates over all its learning rates, scores at the tuned one.

    The tuned learning rate maximizes the median selection score over seeds (ties: the smaller) and
    is reported by test scores of the final epoch.

    Args:
        complete: the complete trials, classified; rates are those of the design, without what a sampler added.
        cells: of `cell_table`.
        orders: data orders that weights are crossed with.

    Returns:
        task, optimizer, init, n (trials), seeds, diverged, divergence_rate, low, high, not_trained,
        tuned_lr (NaN where no learning rate trains), tuned_n, tuned_trained (of these), score_mean, score_sd, score_median.
    """
    order = cells[ROW].drop_duplicates()
    complete = designed(complete)
    diverged = (complete["side"] == "diverged").groupby(
        [complete[k] for k in [*ROW, "seed_index"]], sort=False
    )
    by_seed = diverged.agg(["sum", "size"]).reset_index()
    blocks = {
        key: (part["sum"].to_numpy(), part["size"].to_numpy(), part["seed_index"].to_numpy())
        for key, part in by_seed.groupby(ROW, sort=False)
    }
    nothing = (np.zeros(0, np.int64),) * 3
    keys = list(order.itertuples(index=False, name=None))
    rates = [pooled_rate(*blocks.get(key, nothing), orders) for key in keys]
    found = order.assign(
        n=[rate.n for rate in rates],
        seeds=[len(blocks.get(key, nothing)[0]) for key in keys],
        diverged=[rate.k for rate in rates],
        divergence_rate=[rate.value for rate in rates],
        low=[rate.low for rate in rates],
        high=[rate.high for rate in rates],
    )
    alive = cells[cells["n"] > 0]
    alive = alive[alive.groupby(ROW)["trained"].transform("sum") > 0]
    best = alive.sort_values("lr", kind="stable").sort_values(
        "validation_median", ascending=False, kind="stable"
    )
    best = (
        best.drop_duplicates(ROW)
        .rename(columns={"lr": "tuned_lr"})
        .assign(tuned_n=lambda frame: frame["n"], tuned_trained=lambda frame: frame["trained"])
    )
    scores = ["score_mean", "score_sd", "score_median"]
    dead = (complete["outcome"] != "trained").groupby([complete[k] for k in ROW]).sum().rename("not_trained")
    found = found.merge(dead.astype(float), how="left", left_on=ROW, right_index=True)
    found = found.merge(best[[*ROW, "tuned_lr", "tuned_n", "tuned_trained", *scores]], how="left", on=ROW)
    counts = ["not_trained", "tuned_n", "tuned_trained"]
    found[counts] = found[counts].fillna(0).astype(int)
    return found.reset_index(drop=True)
