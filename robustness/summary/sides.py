"""Sides: which way an untrained trial failed, too far or not far enough, and the evidence for it (rule version 3).

What the trial itself shows comes first: not finite, blown up, collapsed. Then its own seed's other learning rates, then
those of the row's other seeds, then a rise of its loss. Source: METRICS of the design.
"""

# T trials, Q squares (row, learning rate, seed), C cells (row, learning rate), G seeds of rows, R rows

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "OTHER_SEEDS_EVIDENCE",
    "OWN_SEED_EVIDENCE",
    "STALLED_EVIDENCE",
    "Evidence",
    "row_evidence",
]

Array = npt.NDArray[Any]


class Evidence(StrEnum):
    """What a side rests on; an unresolved trial has none, and a trained one needs none."""

    NONFINITE = "nonfinite"
    """A loss or a parameter norm was not finite."""
    BLOWUP = "blowup"
    """The final training loss is far above where it began, or the study's `stop_above` ended the trial."""
    COLLAPSED = "collapsed"
    """An earlier epoch had trained, and the final skill is below half of that epoch's."""
    SMALLER_LR_TRAINS = "smaller-lr-trains"
    """A smaller learning rate of the same row and seed trained."""
    LARGER_LR_TRAINS = "larger-lr-trains"
    """A larger learning rate of the same row and seed trained, and no smaller one."""
    SMALLER_LR_TRAINS_OTHER_SEEDS = "smaller-lr-trains-other-seeds"
    """The seed's row says nothing, and a smaller learning rate trained in most of the row's other seeds."""
    LARGER_LR_TRAINS_OTHER_SEEDS = "larger-lr-trains-other-seeds"
    """The seed's row says nothing, and a larger learning rate, but no smaller one, trained in most other seeds."""
    LOSS_RISE = "loss-rise"
    """No row says anything, and the training loss ended above its minimum."""


OWN_SEED_EVIDENCE = (Evidence.SMALLER_LR_TRAINS, Evidence.LARGER_LR_TRAINS)
OTHER_SEEDS_EVIDENCE = (Evidence.SMALLER_LR_TRAINS_OTHER_SEEDS, Evidence.LARGER_LR_TRAINS_OTHER_SEEDS)
STALLED_EVIDENCE = (Evidence.LARGER_LR_TRAINS, Evidence.LARGER_LR_TRAINS_OTHER_SEEDS)
"""Evidence of a trial that did not go far enough; all other evidence says too far."""


def row_evidence(
    *, row_T: Array, lr_T: Array, seed_T: Array, trained_T: Array, fewest_other_seeds: float
) -> npt.NDArray[np.str_]:
    """What the learning rates that train in its row say of each of T trials.

    Only trials that did not train need it; what is returned for others says what it would be if they had not.

    Args:
        row_T: integer code of the trial's task, optimizer and initialization.
        lr_T: learning rate.
        seed_T: seed index.
        trained_T: whether the trial's outcome is `trained`.
        fewest_other_seeds: how many other seeds must have tried a learning rate before they can speak.

    Returns:
        One of `OWN_SEED_EVIDENCE` or `OTHER_SEEDS_EVIDENCE`, or "" where the row says nothing.

    Source: METRICS of the design.

    >>> row_evidence(row_T=np.zeros(3, int), lr_T=np.array([0.1, 1, 10]), seed_T=np.zeros(3, int),
    ...              trained_T=np.array([False, True, False]), fewest_other_seeds=3).tolist()
    ['larger-lr-trains', '', 'smaller-lr-trains']
    """
    trials = pd.DataFrame({"row": row_T, "seed": seed_T, "lr": lr_T, "trained": trained_T})
    group_T = trials.groupby(["row", "seed"], sort=False).ngroup().to_numpy()
    # A square that was trained twice counts once, and as trained if any of its trials did.
    squares = trials.assign(group=group_T).groupby(["row", "lr", "group"])["trained"].max().reset_index()
    trained = squares[squares["trained"]].groupby("group")["lr"]
    seeds = pd.RangeIndex(group_T.max(initial=-1) + 1)
    smallest_own_G = trained.min().reindex(seeds, fill_value=np.inf).to_numpy()
    largest_own_G = trained.max().reindex(seeds, fill_value=-np.inf).to_numpy()
    row_G = np.zeros(len(seeds), np.int64)
    row_G[group_T] = row_T
    smallest_other_G = _smallest_in_other_seeds(squares, row_G, fewest_other_seeds)
    mirrored = squares.assign(lr=-squares["lr"])
    largest_other_G = -_smallest_in_other_seeds(mirrored, row_G, fewest_other_seeds)
    return np.select(
        [
            smallest_own_G[group_T] < lr_T,
            largest_own_G[group_T] > lr_T,
            smallest_other_G[group_T] < lr_T,
            largest_other_G[group_T] > lr_T,
        ],
        [evidence.value for evidence in (*OWN_SEED_EVIDENCE, *OTHER_SEEDS_EVIDENCE)],
        "",
    )


def _smallest_in_other_seeds(squares: pd.DataFrame, row_G: Array, fewest: float) -> npt.NDArray[np.float64]:
    """For each seed of a row, the smallest learning rate that trains in most of the row's other seeds, else infinity.

    Right only for seeds that trained nowhere but where they are judged: others hear their own row first. A seed that
    tried a learning rate is taken out of its cell, so that cells are judged twice, with and without one such seed.
    """
    squares = squares.sort_values(["row", "lr"])
    group_Q, lr_Q, trained_Q = (squares[name].to_numpy() for name in ("group", "lr", "trained"))
    cell_Q = squares.groupby(["row", "lr"], sort=False).ngroup().to_numpy()  # in the order of rows and rates
    tried_C, trained_C = np.bincount(cell_Q), np.bincount(cell_Q, trained_Q)
    smallest_G = np.full(len(row_G), np.inf)

    # Cells that the seed itself tried, and did not train in.
    others_C = tried_C - 1
    speaks_C = (others_C >= fewest) & (2 * trained_C > others_C)
    speaks_Q = speaks_C[cell_Q] & ~trained_Q
    np.minimum.at(smallest_G, group_Q[speaks_Q], lr_Q[speaks_Q])

    # Cells that it did not try: of those that speak, numbered within a row, the first whose number it lacks.
    speaks_C = (tried_C >= fewest) & (2 * trained_C > tried_C)
    first_Q = np.unique(cell_Q, return_index=True)[1]
    speaking = pd.DataFrame({"row": squares["row"].to_numpy()[first_Q], "lr": lr_Q[first_Q]})[speaks_C]
    number_C = np.full(len(tried_C), -1)
    number_C[speaks_C] = speaking.groupby("row").cumcount()
    heard = pd.DataFrame({"group": group_Q, "number": number_C[cell_Q]})
    heard = heard[heard["number"] >= 0]
    unbroken = heard["number"] == heard.groupby("group").cumcount()
    lacking_G = np.bincount(heard["group"][unbroken], minlength=len(row_G))
    rates = speaking.assign(number=number_C[speaks_C]).set_index(["row", "number"])["lr"]
    untried_G = rates.reindex(pd.MultiIndex.from_arrays([row_G, lacking_G])).to_numpy()
    smallest: npt.NDArray[np.float64] = np.fmin(smallest_G, untried_G)
    return smallest
