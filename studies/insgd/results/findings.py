"""What the trials of these studies say, in sentences whose every number and verdict is computed here."""

from __future__ import annotations

import math

import numpy as np

from robustness.summary import MetricRow, Study, measure
from robustness.summary.row_metrics import CRITICAL_MEDIAN

__all__ = ["first_failure_finding"]

SMALL_INIT = "normal std=0.01"
HEADS = {
    (True, False): "A small initialization makes INSGD fail earlier",
    (True, True): "A small initialization makes INSGD fail earlier, and momentum too",
    (False, True): "A small initialization makes momentum fail earlier; of INSGD this was not shown",
    (False, False): "That a small initialization makes INSGD fail earlier was not shown",
}
"""Whether INSGD's first failure is lower, and momentum's: the intervals of the two initializations do not overlap."""


def first_failure_finding(edge: Study) -> str:
    """Where training first fails with small weights and with PyTorch's own, of INSGD and of momentum.

    Args:
        edge: the study `robustness-lr-init-edge`.
    """
    rows = {
        (row.optimizer, row.init): row
        for row in measure(edge.only(["insgd-l2", "momentum"]), metrics=("critical_lr",))
        if row.at == CRITICAL_MEDIAN
    }
    lower = {
        optimizer: rows[optimizer, SMALL_INIT].high < rows[optimizer, "default"].low
        for optimizer in ("insgd-l2", "momentum")
    }
    insgd, momentum = (
        f"at a learning rate of {_lr_text(rows[optimizer, SMALL_INIT])} with normal weights of 0.01 and of "
        f"{_lr_text(rows[optimizer, 'default'])} with PyTorch's own"
        for optimizer in lower
    )
    cube = next(cube for cube in edge.grid.cubes if cube.optimizer == "insgd-l2")
    init = cube.inits.index(SMALL_INIT)
    known_S = ~np.isnan(cube.critical.first_not_trained[:, init])
    again = int((known_S & ~cube.critical.monotone[:, init]).sum())
    resolution = edge.spec["search"]["resolution"]
    return (
        f"**{HEADS[lower['insgd-l2'], lower['momentum']]}.** The first failure tried of insgd-l2 is {insgd} (medians over "
        f"seeds with 95 % intervals, to {resolution:g} decades). With the small weights {again} of {int(known_S.sum())} seeds "
        f"train again at a larger learning rate. Momentum's is {momentum}. Learning rates are nominal: each optimizer is "
        "compared with itself."
    )


def _lr_text(row: MetricRow) -> str:
    """A learning rate with its interval."""
    if math.isnan(row.value):
        return "a place that is not known"
    high = f"to {10**row.high:.2g}" if math.isfinite(row.high) else "and beyond"
    return f"{10**row.value:.2g} ({10**row.low:.2g} {high})"
