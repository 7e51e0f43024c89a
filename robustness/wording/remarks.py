"""A clause for each flag: what a reader must know of a number."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

from robustness.summary.flags import Flag, Remark
from robustness.summary.rows import MetricRow
from robustness.wording.comparisons import pair_clauses

__all__ = ["clauses", "metric_json", "note", "remark_clause", "row_note"]

_CLAUSES: dict[Flag, str] = {
    Flag.NOTHING_COMPLETE: "nothing is complete yet",
    Flag.ACCURACY_CANNOT_TELL: "accuracy cannot tell which trials trained",
    Flag.ALL_VALUES_EQUAL: "all values are equal",
    Flag.NOT_A_FULL_GRID: "not a full grid, and fewer than {0:.0f} trials for a forest",
    Flag.NO_COMMON_GRID: "optimizers have no common full grid",
    Flag.NOTHING_TRAINS: "no learning rate trains",
    Flag.MOST_SEEDS_DO_NOT_TRAIN: "most seeds train at no learning rate",
    Flag.NOTHING_TRAINS_ON_ALL_INITS: "no learning rate trains on every initialization",
    Flag.INIT_LACKS_EVERY_LR: "an initialization lacks every learning rate",
    Flag.ONE_INIT: "one initialization",
    Flag.ONE_ENVIRONMENT: "one task and initialization",
    Flag.NO_DEFAULT_LR: "no default learning rate is known",
    Flag.DEFAULT_LR_NOT_TRIED: "default {0:g} is not among the learning rates",
    Flag.NO_TRAINING_LOSS: "no training losses, or nothing to cap them at",
    Flag.NO_CONSTANT_LOSS: "the loss of the constant predictor is not known",
    Flag.DIFFERENT_SEEDS: "the seeds differ",
    Flag.DIFFERENT_LRS: "tasks have different learning rates",
    Flag.NO_COMMON_LR: "no learning rate is complete on every task and initialization",
    Flag.DRAWN_LRS: "learning rates were drawn at random: no seed has more than one",
    Flag.NOT_DEFINED: "not defined",
    Flag.CHOSEN_BY_EDGE: "learning rates were chosen by edge, around where training ends",
    Flag.CHOSEN_BY_TPE: "settings were chosen by tpe, where scores are best",
    Flag.MISSING_SQUARE: "it ends at a missing square",
    Flag.CENSORED_LOW: "censored: it reaches the lowest learning rate",
    Flag.CENSORED_HIGH: "censored: it reaches the highest learning rate",
    Flag.AT_GRID_EDGE: "at the edge of the grid",
    Flag.DEFAULT_LR: "default {0:g}",
    Flag.NEAREST_TO_DEFAULT_LR: "default {0:g}, nearest {1:.3g}",
    Flag.PRIOR_COVERAGE: "the learning rates cover {0:.0%} of the prior",
    Flag.ADDED_LRS_LEFT_OUT: "without the {0:.0f} learning rates that were added",
    Flag.SELECTED_ON_TEST: "selected on test data",
    Flag.OF_ONE_HYPERPARAMETER: "of 1, the learning rate",
    Flag.BY_FOREST: "not a full grid: shares of single axes by a random forest (fANOVA) on {0:.0f} of {1:.0f} trials",
    Flag.DIVERGED_SHARE: "{0:.1%} of all trials diverged",
    Flag.COUNT: "{0:.0f}/{1:.0f}",
    Flag.NON_MONOTONE: "{0:.0f} of {1:.0f} seeds train above a learning rate that does not",
    Flag.END_NOT_KNOWN: "{0:.0f} of {1:.0f} seeds train nowhere, or their end is not known",
    Flag.SOME_SEEDS_FAILED: "{0:.0f} of {1:.0f} seeds did not train",
    Flag.ONE_SEED: "one seed: no interval",
    Flag.ALL_SEEDS_AGREE: "all seeds agree",
    Flag.UNEVEN_SEEDS: "seeds have different learning rates or initializations: no interval",
    Flag.SEEDS_DIFFER_BETWEEN_SQUARES: "squares have different seeds: no interval",
    Flag.FEW_SEEDS_AT_TUNED: "most seeds lack the tuned learning rate: no interval",
    Flag.CLUSTERED_SEEDS: "seeds of one setting are not independent: no interval",
    Flag.TOO_MANY_RANDOM_TRIALS: "more than {0:,.0f} random trials, or several of one setting: no interval",
    Flag.NOMINAL_LRS: "at nominal learning rates",
    Flag.NOT_RESOLVED: "not resolved by this grid, whose half step is worth {0:.3g}",
    Flag.LITTLE_OVERLAP: "the grids overlap in {0:.2f} decades only",
    Flag.OPPOSITE_SIGNS: "initializations differ in opposite directions",
    Flag.TOO_FEW_SEEDS_TO_TELL: "so few seeds cannot go below p = {0:.2g}",
}
_OF_ENDS = {Flag.CENSORED_HIGH: "trains up to the highest learning rate"}
"""Of learning rates at which training ends."""


def remark_clause(remark: Remark, unit: str = "") -> str:
    """What a remark says, as a clause without its full stop.

    Args:
        remark: of a number.
        unit: of that number.

    >>> remark_clause(Remark(Flag.SOME_SEEDS_FAILED, (1, 20)))
    '1 of 20 seeds did not train'
    """
    clauses = _CLAUSES | _OF_ENDS if unit == "log10 lr" else _CLAUSES
    return clauses[remark.flag].format(*remark.numbers).replace("%", " %")


class _Number(Protocol):
    """A metric of an optimizer with what a reader must know of it."""

    @property
    def metric(self) -> str: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def unit(self) -> str: ...
    @property
    def remarks(self) -> tuple[Remark, ...]: ...


def clauses(row: _Number) -> list[str]:
    """What each remark of a metric says; those of a comparison are of this optimizer and the other."""
    if row.metric != "comparison":
        found = [remark_clause(remark, row.unit) for remark in row.remarks]
    else:
        names, refused = (row.optimizer, "the other"), math.isnan(row.value)
        found = []
        for remark in row.remarks:
            texts = list(pair_clauses(remark, names, refused=refused))
            # What a comparison's verdict says, a row of numbers must say too.
            found += texts or ([remark_clause(remark)] if remark.flag in _CLAUSES else [])
    return list(dict.fromkeys(found))


def row_note(row: _Number) -> str:
    """All remarks of a metric in one line, between semicolons."""
    return "; ".join(clauses(row))


def note(remarks: Iterable[Remark], unit: str = "") -> str:
    """All remarks in one line, between semicolons."""
    return "; ".join(dict.fromkeys(remark_clause(remark, unit) for remark in remarks))


def metric_json(row: MetricRow) -> dict[str, Any]:
    """A metric for JSON, which has no NaN and no infinities: they are null, and flags and note say why."""
    numbers = {name: getattr(row, name) for name in ("value", "low", "high")}
    return {
        "metric": row.metric,
        "task": row.task,
        "optimizer": row.optimizer,
        "init": row.init,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "n": row.n,
        "unit": row.unit,
        "note": row_note(row),
        "at": row.at,
        "flags": [remark.flag.value for remark in row.remarks],
    }
