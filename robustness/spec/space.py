"""From a checked frame to cells and trials: names and arguments against the catalog, axes multiplied.

Sizes are multiplied before anything is expanded: a study of 10^9 cells is refused at once.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robustness.catalog import OPTIMIZERS
from robustness.errors import Problem, SpecError, nearest
from robustness.phrases import counted
from robustness.spec.axes import Axis, Labelled
from robustness.spec.first_failure_search import most_places
from robustness.spec.misfits import misfits
from robustness.spec.models import ADAPTIVE, LrRange, Sampler, StudySpec, parse_lr
from robustness.spec.sampling import lr_problems, settings
from robustness.spec.trial_counts import TrialCounts, expected_places
from robustness.spec.variants import Table, init_tables, labelled, optimizer_tables, task_tables
from robustness.trial import Cell, Named, TaskConfig, Trial, round_lr

__all__ = ["LR_AXIS", "MAX_CELLS", "MAX_TRIALS", "Labels", "Lrs", "Row", "Space", "expand"]

MAX_CELLS = 100_000
"""Default limit of cells a study; ROBUSTNESS_MAX_CELLS overrides it."""
MAX_TRIALS = 2_000_000
LR_AXIS = "search.lr"
"""The axis that all optimizers share; each places it in its own range."""

Labels = tuple[str, str, str]
"""Of task, optimizer, initialization."""
Lrs = tuple[float, ...] | LrRange
"""An optimizer's learning rates, ascending; or the range that the sampler draws from."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One optimizer on one task with one initialization: a row of a heatmap."""

    task: Labelled[TaskConfig]
    optimizer: Labelled[Named]
    init: Labelled[Named]
    lrs: Lrs

    @property
    def labels(self) -> Labels:
        """As a reader sees them."""
        return self.task.label, self.optimizer.label, self.init.label

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What is drawn of it, the learning rate included."""
        own = (*self.task.axes, *self.optimizer.axes, *self.init.axes)
        if not isinstance(self.lrs, LrRange):
            return own
        low, high = self.lrs.low, self.lrs.high
        return (Axis(name=LR_AXIS, field="lr", low=low, high=high, log=True, whole=False), *own)

    def cells(self) -> Iterator[Cell]:
        """Its squares, where learning rates are given and nothing is drawn."""
        for lr in self.lrs if isinstance(self.lrs, tuple) else ():
            yield self.cell(lr)

    def cell(self, lr: float) -> Cell:
        """The square at a learning rate, where nothing else is drawn."""
        return Cell(task=self.task.config, optimizer=self.optimizer.config, lr=lr, init=self.init.config)

    def drawn(self, point: Mapping[str, float]) -> Cell:
        """The square at a point of the unit cube, given by the names of axes."""
        lr = float(self.axes[0].value(point[LR_AXIS]))
        return Cell(
            task=self.task.at(point), optimizer=self.optimizer.at(point), lr=lr, init=self.init.at(point)
        )


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a study may try: the crossing of its axes, and how its sampler chooses.

    Attributes:
        tasks: task variants.
        optimizers: optimizer variants, each with its learning rates.
        inits: initializations.
        root_seed: the study's seed.
        seeds: number of starting weights.
        orders: data orders that each of them is trained with.
        sampler: how trials are chosen.
        budget: of qmc, random, tpe, refine; 0 for the others.
        resolution: of edge, decades.
        check: of edge, places tried around a row's edge.
        confirm: of grid and refine, fresh seeds at each row's tuned learning rate.
    """

    tasks: tuple[Labelled[TaskConfig], ...]
    optimizers: tuple[tuple[Labelled[Named], Lrs], ...]
    inits: tuple[Labelled[Named], ...]
    root_seed: int
    seeds: int
    orders: int = 1
    sampler: Sampler = "grid"
    budget: int = 0
    resolution: float = 0.0
    check: int = 0
    confirm: int = 0

    @property
    def adaptive(self) -> bool:
        """What is run depends on results."""
        return self.sampler in ADAPTIVE or self.confirm > 0

    @property
    def repeats(self) -> int:
        """Trials a square: weights times data orders."""
        return self.seeds * self.orders

    @property
    def cell_count(self) -> int:
        """Squares of all heatmaps; of `edge` those that it may choose from."""
        settings = sum(_settings_of(self, lrs) for _, lrs in self.optimizers)
        return len(self.tasks) * len(self.inits) * settings

    @property
    def trial_count(self) -> int:
        """Training runs; where results decide, the most that there can be."""
        return self.trial_counts.most

    @property
    def trial_counts(self) -> TrialCounts:
        """Training runs: how many are expected, and the most."""
        rows = len(self.tasks) * len(self.inits)
        if self.sampler == "edge":
            lattices = [lattice_of(optimizer, lrs, self) for optimizer, lrs in self.optimizers]
            expected = sum(expected_places(**lattice) for lattice in lattices)
            most = sum(most_places(**lattice) for lattice in lattices)
            return TrialCounts(
                expected=round(rows * self.repeats * expected), most=rows * self.repeats * most, exact=False
            )
        trials = self.cell_count * self.repeats + rows * len(self.optimizers) * self.confirm
        return TrialCounts(expected=trials, most=trials, exact=not self.confirm)

    @property
    def size_text(self) -> str:
        """Trials and cells, as every place says it that states the size of a study before it runs."""
        cells = counted(self.cell_count, "cell")
        return f"{self.trial_counts.text} in {cells}{' to choose from' if self.sampler == 'edge' else ''}"

    def rows(self) -> Iterator[Row]:
        """Every row, in the spec's order."""
        for task, (optimizer, lrs), init in itertools.product(self.tasks, self.optimizers, self.inits):
            yield Row(task=task, optimizer=optimizer, init=init, lrs=lrs)

    def seeded(self, cell: Cell) -> list[Trial]:
        """A square with each seed and data order."""
        return [self.trial(cell, index) for index in range(self.repeats)]

    def trial(self, cell: Cell, seed_index: int) -> Trial:
        """A square with one of them."""
        return Trial(cell=cell, root_seed=self.root_seed, seed_index=seed_index, orders=self.orders)

    def confirming(self, cell: Cell) -> list[Trial]:
        """A square with seeds that no other trial of the study has."""
        indices = range(self.repeats, self.repeats + self.confirm)
        return [Trial(cell=cell, root_seed=self.root_seed, seed_index=index) for index in indices]

    def trials(self) -> Iterator[tuple[Trial, Labels]]:
        """Every trial of a grid with its labels, in the spec's order."""
        for row in self.rows():
            for cell in row.cells():
                for trial in self.seeded(cell):
                    yield trial, row.labels


def _settings_of(space: Space, lrs: Lrs) -> int:
    """Settings of a row: learning rates of a grid, draws of a sampler."""
    if space.sampler == "edge":
        return lattice_size(lrs, space.resolution)
    return _point_count(lrs) + space.budget if space.sampler in ("grid", "refine") else space.budget


def lattice_size(lrs: Lrs, resolution: float) -> int:
    """Learning rates of a range `resolution` decades apart."""
    assert isinstance(lrs, LrRange)
    decades = math.log10(lrs.high) - math.log10(lrs.low)
    return math.floor(decades / resolution + 1e-9) + 1


def lattice_of(optimizer: Labelled[Named], lrs: Lrs, space: Space) -> dict[str, int]:
    """What `search` takes, of an optimizer in a study by `edge`: it begins at the optimizer's default."""
    assert isinstance(lrs, LrRange)
    size = lattice_size(lrs, space.resolution)
    default = OPTIMIZERS.get(optimizer.config.name).default_lr
    start = round(math.log10(default / lrs.low) / space.resolution)
    return {
        "size": size,
        "start": min(max(start, 0), size - 1),
        "decade": max(int(1 / space.resolution + 1e-9), 1),
        "check": space.check,
    }


def lattice_top(lrs: Lrs, resolution: float) -> float:
    """Log10 of the largest learning rate of that lattice."""
    assert isinstance(lrs, LrRange)
    return math.log10(lrs.low) + (lattice_size(lrs, resolution) - 1) * resolution


def expand(spec: StudySpec, *, max_cells: int | None = None) -> Space:
    """Check a study against the catalog and give its space.

    Raises:
        SpecError: with every problem found: unknown or misspelt names, arguments that break their
            rule, duplicates, combinations that do not fit, or too many cells.
    """
    problems: list[Problem] = []
    tasks = task_tables(spec.tasks, problems)
    optimizers = optimizer_tables(spec.optimizers, problems)
    inits = init_tables(spec.search.init, problems)
    lrs = [_own_lrs(spec, i, problems) for i in range(len(spec.optimizers))]
    chosen = settings(spec.search, problems)
    drawn = [axis for table in (*tasks, *optimizers, *inits) for axis in table.drawn]
    problems += lr_problems(spec, lrs, drawn)
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))

    _check_size(spec, (tasks, optimizers, inits), lrs, chosen, max_cells)
    variants = [
        labelled(tables, path, problems)
        for tables, path in ((tasks, "tasks"), (optimizers, "optimizers"), (inits, "search.init"))
    ]
    lrs_of = [
        _points(lr, f"optimizers[{i}].lr" if "lr" in table else "search.lr", problems)
        for i, (table, lr) in enumerate(zip(spec.optimizers, lrs, strict=True))
    ]
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    # Every table gave `size` variants, in order, since nothing was left out.
    owners = [i for i, table in enumerate(optimizers) for _ in range(table.size)]
    space = Space(
        tasks=variants[0],
        optimizers=tuple((v, lrs_of[owner]) for v, owner in zip(variants[1], owners, strict=True)),
        inits=variants[2],
        root_seed=spec.search.seed,
        seeds=spec.search.seeds,
        orders=spec.search.orders,
        sampler=spec.search.sampler,
        **chosen,
    )
    wrong = [
        *misfits(space.tasks, [o for o, _ in space.optimizers], space.inits),
        *_unknown_in_claim(spec, space),
    ]
    if wrong:
        raise SpecError(wrong)
    return space


def _check_size(
    spec: StudySpec,
    tables: tuple[list[Table], list[Table], list[Table]],
    lrs: list[Any],
    chosen: dict[str, Any],
    max_cells: int | None,
) -> None:
    """Refuse what is too large, by multiplying lengths."""
    tasks, optimizers, inits = tables
    limit = max_cells if max_cells is not None else _limit_of_environment()
    empty = Space(
        tasks=(), optimizers=(), inits=(), root_seed=0, seeds=0, sampler=spec.search.sampler, **chosen
    )
    settings = sum(v.size * _settings_of(empty, lr) for v, lr in zip(optimizers, lrs, strict=True))
    cells = sum(v.size for v in tasks) * sum(v.size for v in inits) * settings
    if cells > limit:
        raise SpecError.of("search", f"a study has at most {limit:,} cells, this one has {cells:,}")
    trials = cells * spec.search.seeds * spec.search.orders
    if trials > MAX_TRIALS:
        raise SpecError.of(
            "search.seeds",
            f"a study has at most {MAX_TRIALS:,} trials, this one has {trials:,}",
        )


def _limit_of_environment() -> int:
    given = os.environ.get("ROBUSTNESS_MAX_CELLS", str(MAX_CELLS))
    if not re.fullmatch(r"[0-9]{1,12}", given):
        raise SpecError.of("ROBUSTNESS_MAX_CELLS", f"must be a whole number, got {given!r:.80}")
    return int(given)


# -- learning rates --------------------------------------------------------------------------------


def _own_lrs(spec: StudySpec, index: int, problems: list[Problem]) -> Any:
    table = spec.optimizers[index]
    if "lr" not in table:
        if spec.search.lr is None:
            problems.append(
                Problem("search.lr", f"is required, since optimizers[{index}] has no lr of its own")
            )
        return spec.search.lr
    if table["lr"] is None:
        problems.append(
            Problem(f"optimizers[{index}].lr", "must be a number, a list or a range, got nothing")
        )
        return None
    try:
        return parse_lr(table["lr"], f"optimizers[{index}].lr")
    except SpecError as error:
        problems.extend(error.problems)
        return None


def _point_count(lr: Any) -> int:
    if isinstance(lr, LrRange):
        return lr.points or 0
    return len(lr) if isinstance(lr, (list, tuple)) else 1


def _points(lr: Any, path: str, problems: list[Problem]) -> Lrs:
    if isinstance(lr, LrRange) and lr.points is None:
        return lr
    values = (
        lr.values()
        if isinstance(lr, LrRange)
        else [round_lr(v) for v in (lr if isinstance(lr, list) else [lr])]
    )
    problems += [
        Problem(path, f"the learning rate {value:g} comes twice")
        for value, count in Counter(values).items()
        if count > 1
    ]
    return tuple(sorted(values))


def _unknown_in_claim(spec: StudySpec, space: Space) -> list[Problem]:
    if spec.claim is None:
        return []
    labels = [optimizer.label for optimizer, _ in space.optimizers]
    return [
        Problem(f"claim.{side}", f"there is no optimizer {label!r:.80}; {nearest(label, labels)}")
        for side, label in (("a", spec.claim.a), ("b", spec.claim.b))
        if label not in labels
    ]
