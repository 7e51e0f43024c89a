"""What warnings and the audit both look for: budgets, edges of grids, seeds, what a label rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from robustness.phrases import counted
from robustness.summary.metrics import is_open, touched, window_ends
from robustness.summary.metrics.learning_rates import Edge
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Delta
from robustness.summary.sampler_limits import orders_of
from robustness.summary.sides import OTHER_SEEDS_EVIDENCE, OWN_SEED_EVIDENCE, Evidence
from robustness.summary.study import Study

__all__ = [
    "FEW_SEEDS",
    "Budget",
    "ChangeableLabels",
    "RowEdges",
    "RowGaps",
    "budgets",
    "changeable_labels",
    "fewest_seeds",
    "row_edges",
    "row_gaps",
    "seeds_text",
    "uneven_tasks",
    "units",
    "whole",
]

FEW_SEEDS = 10
"""Below so many the intervals cover less than they state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What one optimizer was given on one task.

    Attributes:
        task: label.
        optimizer: label.
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

    task: str
    optimizer: str
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
    found = []
    for (task, optimizer), part in study.trials.groupby(["task", "optimizer"], sort=False):
        states = part["state"].value_counts()
        complete = int(states.get("complete", 0))
        lrs = part.groupby("init")["lr"].nunique()
        found.append(
            Budget(
                task=str(task),
                optimizer=str(optimizer),
                trials=len(part),
                complete=complete,
                missing=len(part) - complete,
                failed=int(states.get("failed", 0)),
                inits=len(lrs),
                fewest_lrs=int(lrs.min()),
                most_lrs=int(lrs.max()),
                seeds=int(part["seed_index"].nunique()),
                drawn=(task, optimizer) in study.grid.binned,
            )
        )
    return found


def uneven_tasks(found: Iterable[Budget]) -> list[str]:
    """Tasks whose optimizers have different numbers of trials."""
    sizes: dict[str, set[int]] = {}
    for budget in found:
        sizes.setdefault(budget.task, set()).add(budget.trials)
    return [task for task, different in sizes.items() if len(different) > 1]


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


def seeds_text(study: Study) -> str:
    """How many seeds a study has, in words, and how many data orders each is crossed with."""
    orders = orders_of(study.spec)
    text = counted(int((study.trials["seed_index"] // orders).nunique()), "seed")
    return text if orders == 1 else f"{text} x {orders} data orders"


def units(study: Study, *, of_rates: bool = False) -> tuple[str, str]:
    """What n counts and what is resampled, in the singular and the plural.

    Seeds; where learning rates were drawn, trials, as each has its own.

    Args:
        study: classified.
        of_rates: of divergence rates by row, which have whole seeds where those share drawn settings.
    """
    whole = of_rates and study.grid.is_clustered
    kinds = dict.fromkeys("trial" if cube.binned and not whole else "seed" for cube in study.grid.cubes)
    names = list(kinds) or ["seed"]
    return " or ".join(names), " or ".join(f"{name}s" for name in names)


def whole(many: str) -> str:
    """What intervals resample, of the plural of `units`: a seed goes with all its trials."""
    return many.replace("seeds", "whole seeds")


@dataclass(frozen=True, kw_only=True, slots=True)
class RowEdges:
    """Where the tuned learning rate and the tolerance window of a row lie among what was tried.

    Attributes:
        task: label.
        optimizer: label.
        init: label.
        trains: whether any trial does; where none does, the rest says nothing.
        mostly: whether most seeds train at the tuned learning rate; where they do not, all learning rates are alike,
            and nothing lies at an edge.
        tuned_lr: tuned learning rate.
        tuned: the end of the grid at which it lies.
        window: the ends of the grid that the window reaches: it is at least as wide as stated.
        cut: the window ends at a missing square.
    """

    task: str
    optimizer: str
    init: str
    trains: bool
    mostly: bool
    tuned_lr: float
    tuned: Edge
    window: Edge
    cut: bool

    @property
    def name(self) -> str:
        """For lists."""
        return f"{self.optimizer} on {self.task}, {self.init}"


def row_edges(samples: Sequence[Resampled], delta: Delta) -> list[RowEdges]:
    """Of every row with something complete.

    Args:
        samples: of `Study.tuning`.
        delta: of the tolerance windows.
    """
    found = []
    for sample in samples:
        lrs_L = sample.cube.lrs_L
        width = delta.in_score(sample.span, is_loss=sample.constants.score == "loss")
        first_I, last_I = window_ends(sample.score_RIL[0], sample.tuned_RI[0], width)
        cut_I = is_open(sample.score_RIL[0], first_I, last_I)
        for i, init in enumerate(sample.cube.inits):
            tuned = int(sample.tuned_RI[0, i])
            mostly = bool(sample.trains_RI[0, i])
            found.append(
                RowEdges(
                    task=sample.cube.task,
                    optimizer=sample.cube.optimizer,
                    init=init,
                    trains=bool(sample.trains_I[i]),
                    mostly=mostly,
                    tuned_lr=float(lrs_L[tuned]),
                    tuned=touched(tuned, tuned, len(lrs_L)) if mostly else "",
                    window=touched(int(first_I[i]), int(last_I[i]), len(lrs_L)) if mostly else "",
                    cut=mostly and bool(cut_I[i]),
                )
            )
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class RowGaps:
    """Seeds of a row for which a learning rate trains above one that does not.

    Attributes:
        task: label.
        optimizer: label.
        init: label.
        seeds: their indices.
        of: seeds of the optimizer on the task.
    """

    task: str
    optimizer: str
    init: str
    seeds: tuple[int, ...]
    of: int


def row_gaps(samples: Sequence[Resampled]) -> list[RowGaps]:
    """Of every row; none of learning rates that were drawn at random, of which no seed has two."""
    found = []
    for sample in samples:
        cube = sample.cube
        if cube.binned:
            continue
        monotone_SI = cube.critical.monotone
        for i, init in enumerate(cube.inits):
            odd = cube.seeds_S[~np.asarray(monotone_SI)[:, i]]
            found.append(
                RowGaps(
                    task=cube.task,
                    optimizer=cube.optimizer,
                    init=init,
                    seeds=tuple(int(seed) for seed in odd),
                    of=len(cube.seeds_S),
                )
            )
    return found


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

    @property
    def total(self) -> int:
        """All of them."""
        return self.own_seed + self.other_seeds + self.loss_rise

    @property
    def bases(self) -> str:
        """What they rest on, in words; "" where there are none."""
        counts = (
            (self.own_seed, "on other learning rates of their seed"),
            (self.other_seeds, "on other seeds of their row"),
            (self.loss_rise, "on a rise of the training loss"),
        )
        return ", ".join(f"{count:,} {basis}" for count, basis in counts if count)


def changeable_labels(complete: pd.DataFrame) -> ChangeableLabels:
    """Of complete trials, classified."""
    evidence = complete["evidence"]
    return ChangeableLabels(
        own_seed=int(evidence.isin(OWN_SEED_EVIDENCE).sum()),
        other_seeds=int(evidence.isin(OTHER_SEEDS_EVIDENCE).sum()),
        loss_rise=int((evidence == Evidence.LOSS_RISE).sum()),
    )
