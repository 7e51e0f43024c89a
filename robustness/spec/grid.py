"""From a checked frame to cells and trials: names and arguments against the catalog, axes multiplied.

Sizes are multiplied before anything is expanded: a grid of 10^9 cells is refused at once.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from robustness.errors import Problem, SpecError, nearest
from robustness.spec.misfits import misfits
from robustness.spec.models import LrRange, StudySpec, parse_lr
from robustness.spec.variants import Labelled, init_tables, labelled, optimizer_tables, task_tables
from robustness.trial import Cell, Named, TaskConfig, Trial, round_lr

__all__ = ["MAX_CELLS", "MAX_TRIALS", "Grid", "expand"]

MAX_CELLS = 100_000
"""Default limit of cells a study; ROBUSTNESS_MAX_CELLS overrides it."""
MAX_TRIALS = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The full factorial of a study.

    Attributes:
        tasks: task variants.
        optimizers: optimizer variants, each with its learning rates, ascending.
        inits: initializations.
        root_seed: the study's seed.
        seeds: number of seed indices.
    """

    tasks: tuple[Labelled[TaskConfig], ...]
    optimizers: tuple[tuple[Labelled[Named], tuple[float, ...]], ...]
    inits: tuple[Labelled[Named], ...]
    root_seed: int
    seeds: int

    @property
    def cell_count(self) -> int:
        """Squares of all heatmaps."""
        return len(self.tasks) * len(self.inits) * sum(len(lrs) for _, lrs in self.optimizers)

    @property
    def trial_count(self) -> int:
        """Training runs."""
        return self.cell_count * self.seeds

    def trials(self) -> Iterator[tuple[Trial, tuple[str, str, str]]]:
        """Every trial with its labels (task, optimizer, init), in the spec's order."""
        for task, (optimizer, lrs), init in itertools.product(self.tasks, self.optimizers, self.inits):
            labels = (task.label, optimizer.label, init.label)
            for lr in lrs:
                cell = Cell(task=task.config, optimizer=optimizer.config, lr=lr, init=init.config)
                for index in range(self.seeds):
                    yield Trial(cell=cell, root_seed=self.root_seed, seed_index=index), labels


def expand(spec: StudySpec, *, max_cells: int | None = None) -> Grid:
    """Check a study against the catalog and give its grid.

    Raises:
        SpecError: with every problem found: unknown or misspelt names, arguments that break their
            rule, duplicates, combinations that do not fit, or too many cells.
    """
    problems: list[Problem] = []
    tasks = task_tables(spec.tasks, problems)
    optimizers = optimizer_tables(spec.optimizers, problems)
    inits = init_tables(spec.search.init, problems)
    lrs = [_own_lrs(spec, i, problems) for i in range(len(spec.optimizers))]
    if problems:
        raise SpecError(problems)

    limit = max_cells if max_cells is not None else _limit_of_environment()
    points = sum(v.size * _point_count(lr) for v, lr in zip(optimizers, lrs, strict=True))
    cells = sum(v.size for v in tasks) * sum(v.size for v in inits) * points
    if cells > limit:
        raise SpecError.of("search", f"a study has at most {limit:,} cells, this one has {cells:,}")
    if cells * spec.search.seeds > MAX_TRIALS:
        raise SpecError.of(
            "search.seeds",
            f"a study has at most {MAX_TRIALS:,} trials, this one has {cells * spec.search.seeds:,}",
        )

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
    grid = Grid(
        tasks=variants[0],
        optimizers=tuple((v, lrs_of[owner]) for v, owner in zip(variants[1], owners, strict=True)),
        inits=variants[2],
        root_seed=spec.search.seed,
        seeds=spec.search.seeds,
    )
    wrong = [
        *misfits(grid.tasks, [o for o, _ in grid.optimizers], grid.inits),
        *_unknown_in_claim(spec, grid),
    ]
    if wrong:
        raise SpecError(wrong)
    return grid


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
    return lr.points if isinstance(lr, LrRange) else len(lr) if isinstance(lr, list) else 1


def _points(lr: Any, path: str, problems: list[Problem]) -> tuple[float, ...]:
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


def _unknown_in_claim(spec: StudySpec, grid: Grid) -> list[Problem]:
    if spec.claim is None:
        return []
    labels = [optimizer.label for optimizer, _ in grid.optimizers]
    return [
        Problem(f"claim.{side}", f"there is no optimizer {label!r:.80}; {nearest(label, labels)}")
        for side, label in (("a", spec.claim.a), ("b", spec.claim.b))
        if label not in labels
    ]
