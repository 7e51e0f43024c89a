"""The rows of an audit: counted and measured, not judged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from robustness.summary.checks import (
    ChangeableLabels,
    RowGaps,
    budgets,
    changeable_labels,
    fewest_seeds,
    row_gaps,
)
from robustness.summary.measure import measure
from robustness.summary.outcome import ROW
from robustness.summary.resampled import Resampled
from robustness.summary.rows import MetricRow
from robustness.summary.study import Study

__all__ = [
    "Addition",
    "AgainstDefault",
    "Labels",
    "Selection",
    "Square",
    "VaryingSetting",
    "added",
    "against_defaults",
    "labels",
    "lacking",
    "selections",
    "varying_settings",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Square:
    """A square with fewer complete trials than its row has seeds.

    Attributes:
        task: label.
        optimizer: label.
        init: label.
        lr: learning rate.
        complete: seeds with a complete trial.
        planned: seeds with a trial in the study.
        seeds: of the row.
    """

    task: str
    optimizer: str
    init: str
    lr: float
    complete: int
    planned: int
    seeds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VaryingSetting:
    """A column of numbers of an import that varies beside the learning rate.

    Attributes:
        task: label.
        optimizer: label; its name where the column differs between labels of one name.
        setting: the column.
        values: how many it has.
        inside: it varies between trials of one row, which then are no repetitions of one setting.
    """

    task: str
    optimizer: str
    setting: str
    values: int
    inside: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class AgainstDefault:
    """A row's tuned learning rate beside the optimizer's default; NaN for what there is none of.

    Attributes:
        task: label.
        optimizer: label.
        init: label.
        tuned_lr: tuned learning rate.
        tuned_score: median test score there.
        default_lr: of the optimizer's own documentation.
        tried_lr: the learning rate of the study that stands for it.
        default_score: median test score there.
        gain: the metric `tunability`: tuned score less that at the default.
        low: end of its 95 % interval.
        high: the other end.
        n: seeds at the tuned learning rate.
        unit: of the scores.
    """

    task: str
    optimizer: str
    init: str
    tuned_lr: float
    tuned_score: float
    default_lr: float
    tried_lr: float
    default_score: float
    gain: float
    low: float
    high: float
    n: int
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """How a task's learning rates are tuned: on which data, and by at least how many seeds."""

    task: str
    data: Literal["validation", "test"]
    seeds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What the outcomes of one optimizer on one task rest on.

    Attributes:
        task: label.
        optimizer: label.
        complete: trials.
        changeable: labels that can change when trials are added, by what they rest on.
        chaotic: trials in which rounding can decide how they end.
        seed_rows: rows of a single seed; none of learning rates that were drawn at random.
        gaps: rows of which some seed trains above a learning rate that does not.
    """

    task: str
    optimizer: str
    complete: int
    changeable: ChangeableLabels
    chaotic: int
    seed_rows: int
    gaps: tuple[RowGaps, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Addition:
    """Trials that an adaptive sampler added for one reason."""

    task: str
    optimizer: str
    reason: str
    trials: int


def lacking(study: Study, *, by_row: bool) -> tuple[list[Square], int]:
    """Squares with fewer complete trials than their row has seeds, and the number of all squares.

    Where learning rates were drawn at random each trial is a seed of its own: a square lacks what was planned for it.

    Args:
        study: classified.
        by_row: a square should have all seeds of its row; else, where a sampler chose, those that it asked for.
    """
    keys = [*ROW, "lr"]
    planned = study.trials.groupby(keys, sort=False)["seed_index"].nunique().rename("planned").reset_index()
    complete = study.complete.groupby(keys)["seed_index"].nunique().rename("complete").reset_index()
    seeds = study.trials.groupby(ROW)["seed_index"].nunique().rename("seeds").reset_index()
    found = planned.merge(complete, how="left", on=keys).merge(seeds, how="left", on=ROW)
    found["complete"] = found["complete"].fillna(0).astype(int)
    drawn = {(row.task, row.optimizer) for row in budgets(study) if row.drawn}
    pairs = zip(found["task"], found["optimizer"], strict=True)
    alone = [pair in drawn or not by_row for pair in pairs]
    found["seeds"] = np.where(alone, found["planned"], found["seeds"])
    found["row"] = found.groupby(ROW, sort=False).ngroup()
    short = found[found["complete"] < found["seeds"]].sort_values(["row", "lr"])
    return [
        Square(
            task=str(line["task"]),
            optimizer=str(line["optimizer"]),
            init=str(line["init"]),
            lr=float(line["lr"]),
            complete=int(line["complete"]),
            planned=int(line["planned"]),
            seeds=int(line["seeds"]),
        )
        for line in short.to_dict("records")
    ], len(found)


def against_defaults(study: Study, samples: Sequence[Resampled]) -> Iterator[AgainstDefault]:
    """Every row with something complete beside its optimizer's default.

    Args:
        study: for the metric `tunability`, with its intervals.
        samples: of `Study.tuning`.
    """
    gains: dict[tuple[str | None, str, str | None], MetricRow] = {
        (row.task, row.optimizer, row.init): row for row in measure(study, metrics=("tunability",))
    }
    for sample in samples:
        cube, place = sample.cube, sample.default_place
        for i, init in enumerate(cube.inits):
            row = gains[cube.task, cube.optimizer, init]
            trains = sample.trains_I[i]
            yield AgainstDefault(
                task=cube.task,
                optimizer=cube.optimizer,
                init=init,
                tuned_lr=float(cube.lrs_L[sample.tuned_RI[0, i]]) if trains else math.nan,
                tuned_score=float(sample.tuned_score_RI[0, i]) if trains else math.nan,
                default_lr=sample.default_lr,
                tried_lr=math.nan if place is None else float(cube.lrs_L[place]),
                default_score=math.nan if place is None else float(sample.score_RIL[0, i, place]),
                gain=row.value,
                low=row.low,
                high=row.high,
                n=row.n,
                unit=sample.unit,
            )


def selections(study: Study, samples: Sequence[Resampled]) -> Iterator[Selection]:
    """Of every task on which something trains: else there is no learning rate to select."""
    for task, constants in study.facts.items():
        own = [sample for sample in samples if sample.cube.task == task and sample.trains_I.any()]
        if own:
            complete = study.complete[study.complete["task"] == task]
            yield Selection(task=task, data=constants.selection, seeds=fewest_seeds(complete, own))


def labels(study: Study, samples: Sequence[Resampled]) -> Iterator[Labels]:
    """Of every optimizer with something complete on a task."""
    for sample in samples:
        task, optimizer = sample.cube.task, sample.cube.optimizer
        own = study.complete[(study.complete["task"] == task) & (study.complete["optimizer"] == optimizer)]
        gaps = row_gaps([sample])
        yield Labels(
            task=task,
            optimizer=optimizer,
            complete=len(own),
            changeable=changeable_labels(own),
            chaotic=int(own["chaotic"].sum()),
            seed_rows=sum(row.of for row in gaps),
            gaps=tuple(row for row in gaps if row.seeds),
        )


def added(study: Study) -> list[Addition]:
    """Trials with a reason, by reason; none of a study whose trials were all designed."""
    found = study.trials[study.trials["reason"] != ""]
    sizes = Counter(zip(found["task"], found["optimizer"], found["reason"], strict=True))
    pairs = list(dict.fromkeys((task, optimizer) for task, optimizer, _ in sizes))
    return [
        Addition(task=task, optimizer=optimizer, reason=reason, trials=trials)
        for pair in pairs
        for (task, optimizer, reason), trials in sizes.items()
        if (task, optimizer) == pair
    ]


def varying_settings(study: Study) -> Iterator[VaryingSetting]:
    """What varies inside rows of an import, then what differs between labels of one optimizer on one task."""
    settings = study.settings
    between: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for (task, optimizer), part in study.trials.groupby(["task", "optimizer"], sort=False):
        of_pair = settings.loc[part.index]
        inside = (of_pair.groupby(part["init"]).nunique() > 1).any()
        for setting in settings.columns[inside]:
            values = int(of_pair[setting].nunique())
            yield VaryingSetting(
                task=str(task), optimizer=str(optimizer), setting=str(setting), values=values, inside=True
            )
        name = str(study.optimizers[str(optimizer)].get("name", optimizer))
        between.setdefault((str(task), name), []).append(of_pair.loc[:, ~inside])
    for (task, name), parts in between.items():
        distinct = pd.concat(parts).nunique()
        for column, values in distinct[distinct > 1].items():
            yield VaryingSetting(
                task=task, optimizer=name, setting=str(column), values=int(values), inside=False
            )
