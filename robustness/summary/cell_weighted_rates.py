"""Rates over unequal designs: every cell weighs the same, however many seeds were run there."""

# S seeds, C cells (learning rates, or learning rates times initializations)

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from robustness.summary.flags import Flag, Remark, has_flag
from robustness.summary.intervals import Rate, pooled_rate

__all__ = ["CellWeightedRate", "cell_weighted_rate", "rate_of_cells"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CellWeightedRate:
    """A share of flagged trials, averaged over cells.

    Attributes:
        value: mean over the cells of each cell's own share; NaN where no cell has a trial.
        n: trials.
        cells: those with a trial.
        grid_seeds_S: whether a seed has a trial in at least half of these cells. Only such seeds are draws of
            the same thing, and an interval is taken over them alone.
        remarks: why there is no interval (`ONE_SEED`), or that some seeds are not part of it (`UNEVEN_SEEDS`).
    """

    value: float
    n: int
    cells: int
    grid_seeds_S: npt.NDArray[np.bool_]
    remarks: tuple[Remark, ...]

    @property
    def has_interval(self) -> bool:
        """Whether at least two seeds have the grid."""
        return int(self.grid_seeds_S.sum()) > 1


def cell_weighted_rate(flags_SC: Floats) -> CellWeightedRate:
    """The rate over a row or a task, cells weighing equally.

    Published logs often have one seed at every learning rate and ten seeds at the best one. Pooled over trials such
    a rate mostly says how the best setting does: one that never fails, run ten times, hides failures elsewhere.
    Where every cell has the same number of trials, this is the share of all trials.

    Args:
        flags_SC: 1 for a flagged trial (diverged, say), 0 for another one, NaN where a seed has no trial.

    Source: METRICS, "Pooled over unequal designs".

    >>> rerun_at_the_best = np.array([[0.0, 1.0, 1.0], [0.0, np.nan, np.nan], [0.0, np.nan, np.nan]])
    >>> rate = cell_weighted_rate(rerun_at_the_best)
    >>> round(rate.value, 3), rate.n, rate.has_interval
    (0.667, 5, False)
    """
    present_SC = ~np.isnan(flags_SC)
    sizes_C = present_SC.sum(axis=0)
    run_C = sizes_C > 0
    cells = int(run_C.sum())
    shares_C = np.nansum(flags_SC, axis=0)[run_C] / sizes_C[run_C]
    grid_seeds_S = np.asarray(2 * present_SC.sum(axis=1) >= max(cells, 1))
    return CellWeightedRate(
        value=float(shares_C.mean()) if cells else math.nan,
        n=int(sizes_C.sum()),
        cells=cells,
        grid_seeds_S=grid_seeds_S,
        remarks=_remarks(grid_seeds_S, np.asarray(present_SC.any(axis=1))),
    )


def _remarks(grid_seeds_S: npt.NDArray[np.bool_], run_S: npt.NDArray[np.bool_]) -> tuple[Remark, ...]:
    if not run_S.any():
        return (Remark(Flag.NOTHING_COMPLETE),)
    remarks = []
    if grid_seeds_S.sum() < 2:
        remarks.append(Remark(Flag.ONE_SEED))
    if (run_S & ~grid_seeds_S).any():
        remarks.append(Remark(Flag.UNEVEN_SEEDS))
    return tuple(remarks)


def rate_of_cells(
    flags_SC: Floats,
    seeds_S: npt.NDArray[np.int64],
    orders: int = 1,
    *,
    drawn: bool = False,
    clustered: bool = False,
) -> tuple[Rate, tuple[Remark, ...]]:
    """The one rate of every metric, table and sentence: pooled over cells, which weigh equally.

    Args:
        flags_SC: 1 for a flagged trial, 0 for another one, NaN where a seed has no trial.
        seeds_S: seed indices.
        orders: data orders that weights are crossed with; see `intervals.pooled_rate`.
        drawn: learning rates were drawn at random: cells are bins of unequal numbers of trials, and trials weigh
            equally.
        clustered: of these, several seeds have the same setting: there is no interval.

    Returns:
        The rate, with the counts of all its trials and the interval over the seeds that have the grid, NaN where
        fewer than two have it; and why there is none, or what the interval leaves out.
    """
    hits_S, sizes_S = np.nansum(flags_SC, axis=1), (~np.isnan(flags_SC)).sum(axis=1)
    pooled = pooled_rate(hits_S, sizes_S, seeds_S, orders)
    remarks: tuple[Remark, ...] = ()
    if pooled.n and not drawn:
        weighted = cell_weighted_rate(flags_SC)
        own_S = weighted.grid_seeds_S
        of_grid = pooled_rate(hits_S[own_S], sizes_S[own_S], seeds_S[own_S], orders)
        value, remarks = weighted.value, weighted.remarks
        # Reruns of a cell move the rate, and an interval holds the rate that it belongs to.
        low, high = min(of_grid.low, value), max(of_grid.high, value)
        pooled = replace(pooled, value=value, low=low, high=high)
    if clustered:
        return replace(pooled, low=math.nan, high=math.nan), (*remarks, Remark(Flag.CLUSTERED_SEEDS))
    if pooled.n and math.isnan(pooled.low) and not has_flag(remarks, Flag.ONE_SEED):
        remarks = (*remarks, Remark(Flag.ONE_SEED))
    return pooled, remarks
