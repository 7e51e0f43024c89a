"""What a reviewer counts in a study: budgets, squares, edges, labels, settings. Counted and measured, not judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from robustness.summary.metrics import is_open, touched, window_ends
from robustness.summary.metrics.learning_rates import Edge
from robustness.summary.outcome import ROW
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Delta
from robustness.summary.sides import OTHER_SEEDS_EVIDENCE, OWN_SEED_EVIDENCE, Evidence
from robustness.summary.study import Study

__all__ = [
    "Budget",
    "ChangeableLabels",
    "Labels",
    "OptimizerLabels",
    "RowEdges",
    "RowGaps",
    "RowLabels",
    "Selection",
    "Square",
    "TaskLabels",
    "VaryingSetting",
    "budgets",
    "fewest_seeds",
    "labels",
    "row_edges",
    "selections",
    "squares_short_of_seeds",
    "varying_settings",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLabels:
    """A task by its label."""

    task: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerLabels(TaskLabels):
    """An optimizer on a task, by their labels."""

    optimizer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RowLabels(OptimizerLabels):
    """A row by its labels."""

    init: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget(OptimizerLabels):
    """What one optimizer was given on one task.

    Attributes:
        trials: of the study.
        complete: of these.
        missing: not complete, failed ones included.
        failed: of these.
        inits: initializations.
        fewest_lrs: distinct learning rates of the initialization with the fewest.
        most_lrs: of the one with the most.
        seeds: distinct seed indices.
        drawn: learning rates were drawn at random; each trial then is a seed of its own.
    """

    trials: int
    complete: int
    missing: int
    failed: int
    inits: int
    fewest_lrs: int
    most_lrs: int
    seeds: int
    drawn: bool


def budgets(study: Study) -> list[Budget]:
    """Of every optimizer on every task, in the study's order."""
    rows = []
    for (task, optimizer), trials in study.trials.groupby(["task", "optimizer"], sort=False):
        states = trials["state"].value_counts()
        complete = int(states.get("complete", 0))
        lrs = trials.groupby("init")["lr"].nunique()
        rows.append(
            Budget(
                task=str(task),
                optimizer=str(optimizer),
                trials=len(trials),
                complete=complete,
                missing=len(trials) - complete,
                failed=int(states.get("failed", 0)),
                inits=len(lrs),
                fewest_lrs=int(lrs.min()),
                most_lrs=int(lrs.max()),
                seeds=int(trials["seed_index"].nunique()),
                drawn=(task, optimizer) in study.grid.binned,
            )
        )
    return rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Square(RowLabels):
    """A square with fewer complete trials than its row has seeds.

    Attributes:
        lr: learning rate.
        complete: seeds with a complete trial.
        planned: seeds with a trial in the study.
        seeds: of the row.
    """

    lr: float
    complete: int
    planned: int
    seeds: int


def squares_short_of_seeds(study: Study, *, by_row: bool) -> tuple[list[Square], int]:
    """Squares with fewer complete trials than their row has seeds, and the number of all squares.

    Where learning rates were drawn at random each trial is a seed of its own: a square lacks what was planned for it.

    Args:
        study: classified.
        by_row: a square should have all seeds of its row; else, where a sampler chose, those that it asked for.
    """
    keys = [*ROW, "lr"]
    squares = study.trials.groupby(keys, sort=False)["seed_index"].nunique().rename("planned").reset_index()
    complete = study.complete.groupby(keys)["seed_index"].nunique().rename("complete").reset_index()
    seeds = study.trials.groupby(ROW)["seed_index"].nunique().rename("seeds").reset_index()
    squares = squares.merge(complete, how="left", on=keys).merge(seeds, how="left", on=ROW)
    squares["complete"] = squares["complete"].fillna(0).astype(int)
    pairs = zip(squares["task"], squares["optimizer"], strict=True)
    as_planned = [pair in study.grid.binned or not by_row for pair in pairs]
    squares["seeds"] = np.where(as_planned, squares["planned"], squares["seeds"])
    squares["row"] = squares.groupby(ROW, sort=False).ngroup()
    short = squares[squares["complete"] < squares["seeds"]].sort_values(["row", "lr"])
    return [
        Square(
            task=str(square["task"]),
            optimizer=str(square["optimizer"]),
            init=str(square["init"]),
            lr=float(square["lr"]),
            complete=int(square["complete"]),
            planned=int(square["planned"]),
            seeds=int(square["seeds"]),
        )
        for square in short.to_dict("records")
    ], len(squares)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowEdges(RowLabels):
    """Where the tuned learning rate and the tolerance window of a row lie among what was tried.

    Attributes:
        trains: whether any trial does; where none does, nothing is tuned.
        mostly: whether most seeds train at the tuned learning rate; where they do not, all learning rates are alike,
            and nothing lies at an edge.
        tuned_lr: tuned learning rate; NaN where none trains.
        tuned: the end of the grid at which it lies.
        window: the ends of the grid that the window reaches: it is at least as wide as stated.
        cut: the window ends at a missing square.
    """

    trains: bool
    mostly: bool
    tuned_lr: float
    tuned: Edge
    window: Edge
    cut: bool

    @property
    def is_censored(self) -> bool:
        """Whether the window is at least as wide as stated."""
        return bool(self.window) or self.cut


def row_edges(samples: Sequence[Resampled], delta: Delta) -> list[RowEdges]:
    """Of every row with something complete.

    Args:
        samples: of `Study.tuning`.
        delta: of the tolerance windows.
    """
    rows = []
    for sample in samples:
        lrs_L = sample.cube.lrs_L
        width = delta.in_score(sample.span, is_loss=sample.constants.score == "loss")
        first_I, last_I = window_ends(sample.score_RIL[0], sample.tuned_RI[0], width)
        cut_I = is_open(sample.score_RIL[0], first_I, last_I)
        for i, init in enumerate(sample.cube.inits):
            tuned = int(sample.tuned_RI[0, i])
            mostly = bool(sample.trains_RI[0, i])
            rows.append(
                RowEdges(
                    task=sample.cube.task,
                    optimizer=sample.cube.optimizer,
                    init=init,
                    trains=bool(sample.trains_I[i]),
                    mostly=mostly,
                    tuned_lr=float(sample.tuned_lrs_I[i]),
                    tuned=touched(tuned, tuned, len(lrs_L)) if mostly else "",
                    window=touched(int(first_I[i]), int(last_I[i]), len(lrs_L)) if mostly else "",
                    cut=mostly and bool(cut_I[i]),
                )
            )
    return rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection(TaskLabels):
    """How a task's learning rates are tuned: on which data, and by at least how many seeds."""

    data: Literal["validation", "test"]
    seeds: int


def selections(study: Study) -> Iterator[Selection]:
    """Of every task on which something trains: else there is no learning rate to select."""
    for task, constants in study.facts.items():
        training = [s for s in study.tuning if s.cube.task == task and s.trains_I.any()]
        if training:
            complete = study.complete[study.complete["task"] == task]
            yield Selection(task=task, data=constants.selection, seeds=fewest_seeds(complete, training))


def fewest_seeds(complete: pd.DataFrame, samples: Sequence[Resampled]) -> int:
    """Seeds of the tuned square with the fewest; of random searches alone, all seed indices.

    Args:
        complete: complete trials.
        samples: of these.

    Where weights are crossed with data orders, a seed is one of the weights.
    """
    tuned = [int(s.tuned_seeds_I.min()) // s.cube.orders for s in samples if not s.cube.binned]
    orders = max((s.cube.orders for s in samples), default=1)
    return min([int((complete["seed_index"] // orders).nunique()), *tuned])


@dataclass(frozen=True, kw_only=True, slots=True)
class RowGaps(RowLabels):
    """Seeds of a row for which a learning rate trains above one that does not.

    Attributes:
        seeds: their indices.
        of: seeds of the optimizer on the task.
    """

    seeds: tuple[int, ...]
    of: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeableLabels:
    """How many labels can change when trials are added, by what they rest on.

    Attributes:
        own_seed: other learning rates of the same row and seed.
        other_seeds: learning rates of the row's other seeds.
        loss_rise: a rise of the training loss, as no learning rate of the row says anything.
    """

    own_seed: int
    other_seeds: int
    loss_rise: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels(OptimizerLabels):
    """What the outcomes of one optimizer on one task rest on.

    Attributes:
        complete: trials.
        changeable: labels that can change when trials are added, by what they rest on.
        chaotic: trials in which rounding can decide how they end.
        seed_rows: rows of a single seed; none of learning rates that were drawn at random, and none where other numbers
            vary inside a row: there is no order in which training should end.
        gaps: rows of which some seed trains above a learning rate that does not.
    """

    complete: int
    changeable: ChangeableLabels
    chaotic: int
    seed_rows: int
    gaps: tuple[RowGaps, ...]


def labels(study: Study) -> Iterator[Labels]:
    """Of every optimizer with something complete on a task."""
    complete = dict(iter(study.complete.groupby(["task", "optimizer"], sort=False)))
    varied = _rows_that_vary(study)
    for sample in study.tuning:
        cube = sample.cube
        trials = complete[cube.task, cube.optimizer]
        evidence = trials["evidence"]
        gaps = [] if cube.binned else list(_gaps(sample, varied))
        yield Labels(
            task=cube.task,
            optimizer=cube.optimizer,
            complete=len(trials),
            changeable=ChangeableLabels(
                own_seed=int(evidence.isin(OWN_SEED_EVIDENCE).sum()),
                other_seeds=int(evidence.isin(OTHER_SEEDS_EVIDENCE).sum()),
                loss_rise=int((evidence == Evidence.LOSS_RISE).sum()),
            ),
            chaotic=int(trials["chaotic"].sum()),
            seed_rows=sum(row.of for row in gaps),
            gaps=tuple(row for row in gaps if row.seeds),
        )


def _gaps(sample: Resampled, varied: set[tuple[str, ...]]) -> Iterator[RowGaps]:
    cube = sample.cube
    for init, monotone_S in zip(cube.inits, cube.critical.monotone.T, strict=True):
        if (cube.task, cube.optimizer, init) not in varied:
            seeds = tuple(int(seed) for seed in cube.seeds_S[~monotone_S])
            of = len(cube.seeds_S)
            yield RowGaps(task=cube.task, optimizer=cube.optimizer, init=init, seeds=seeds, of=of)


def _rows_that_vary(study: Study) -> set[tuple[str, ...]]:
    """Rows inside which a number other than the learning rate varies."""
    if study.settings.empty:
        return set()
    values = study.settings.groupby([study.trials[label] for label in ROW], sort=False).nunique()
    return set(values.index[(values > 1).any(axis=1)])


@dataclass(frozen=True, kw_only=True, slots=True)
class VaryingSetting(OptimizerLabels):
    """A column of numbers of an import that varies beside the learning rate.

    The optimizer is its name where the column differs between labels of one name.

    Attributes:
        setting: the column.
        values: how many it has.
        inside: it varies between trials of one row, which then are no repetitions of one setting.
    """

    setting: str
    values: int
    inside: bool


def varying_settings(study: Study) -> Iterator[VaryingSetting]:
    """What varies inside rows of an import, then what differs between labels of one optimizer on one task."""
    settings = study.settings
    between: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for (task, optimizer), trials in study.trials.groupby(["task", "optimizer"], sort=False):
        of_pair = settings.loc[trials.index]
        inside = (of_pair.groupby(trials["init"]).nunique() > 1).any()
        for column in settings.columns[inside]:
            values = int(of_pair[column].nunique())
            yield VaryingSetting(
                task=str(task), optimizer=str(optimizer), setting=str(column), values=values, inside=True
            )
        name = str(study.optimizers[str(optimizer)].get("name", optimizer))
        between.setdefault((str(task), name), []).append(of_pair.loc[:, ~inside])
    for (task, name), frames in between.items():
        distinct = pd.concat(frames).nunique()
        for setting, values in distinct[distinct > 1].items():
            yield VaryingSetting(
                task=task, optimizer=name, setting=str(setting), values=int(values), inside=False
            )
