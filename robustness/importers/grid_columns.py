"""Which columns of a CSV table are hyperparameters of a grid, so that runs that differ in them are no repetitions.

A table says of no column whether it holds a hyperparameter, a result or a note. Where rows repeat a task, an optimizer,
an initialization, a learning rate and a seed, something else must tell them apart. Without a column `seed` they may as
well be seeds, and only a column that is crossed with the learning rates is taken for a hyperparameter.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from robustness.errors import SpecError
from robustness.importers.runs import Run
from robustness.phrases import listed

__all__ = ["grid_columns"]

Group = list[Run]
MOST_COLUMNS = 4
"""That are tried together: a grid of more hyperparameters is nobody's."""


def grid_columns(heads: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """Of each optimizer, the columns of numbers that tell its settings apart.

    A column of results seldom has a value twice, so each value of a hyperparameter must have two runs on average.

    Args:
        heads: the runs, with columns of numbers as `settings`, and of words as the fact `words`.

    Raises:
        SpecError: a run is repeated and no such columns tell the repetitions apart; says which columns differ.
    """
    by_optimizer: defaultdict[str, Group] = defaultdict(list)
    for head in heads:
        by_optimizer[head.optimizer].append(head)
    return {
        optimizer: tuple(sorted({*_separating(runs), *_crossed(runs)}))
        for optimizer, runs in by_optimizer.items()
    }


def _common_columns(runs: Group) -> list[str]:
    return [column for column in runs[0].settings if all(column in run.settings for run in runs)]


def _values(column: str, runs: Group) -> set[float]:
    return {run.settings[column] for run in runs}


# -- runs with a seed ------------------------------------------------------------------------------


def _separating(runs: Group) -> tuple[str, ...]:
    """The columns in which no two runs of a cell and seed agree: as few as do, of few values, the first in the table."""
    groups: defaultdict[tuple[object, ...], Group] = defaultdict(list)
    for run in runs:
        if run.seed is not None:
            groups[run.task, run.init, run.lr, run.seed].append(run)
    repeated = [group for group in groups.values() if len(group) > 1]
    if not repeated:
        return ()
    distinct = {column: len(_values(column, runs)) for column in _common_columns(runs)}
    candidates = [
        column
        for column, values in distinct.items()
        if 2 * values <= len(runs) and any(len(_values(column, group)) > 1 for group in repeated)
    ]
    for size in range(1, min(len(candidates), MOST_COLUMNS) + 1):
        separating = [
            columns
            for columns in itertools.combinations(candidates, size)
            if all(_tells_apart(columns, group) for group in repeated)
        ]
        if separating:
            return min(separating, key=lambda columns: sum(distinct[column] for column in columns))
    raise _repetition(runs)


def _tells_apart(columns: Sequence[str], group: Group) -> bool:
    return len({tuple(run.settings[column] for column in columns) for run in group}) == len(group)


def _repetition(runs: Group) -> SpecError:
    """The error for the first run that has the labels, learning rate and seed of an earlier one."""
    earlier: dict[tuple[object, ...], Run] = {}
    for run in runs:
        cell = (run.task, run.init, run.lr, run.seed)
        if run.seed is not None and cell in earlier:
            break
        earlier[cell] = run
    columns = [name for fields in (_fields(earlier[cell]), _fields(run)) for name in fields]
    differing = [
        name for name in dict.fromkeys(columns) if _fields(earlier[cell]).get(name) != _fields(run).get(name)
    ]
    rule = "rows of one run must stand together"
    if differing:
        rule += f", and runs that differ in {listed(differing)} must differ in the column optimizer"
    return SpecError.of(
        run.facts["where"],
        f"repeats the run (same task, optimizer, init, lr and seed) of {earlier[cell].facts['where']}; {rule}",
    )


def _fields(run: Run) -> Mapping[str, object]:
    return {**run.settings, **run.facts["words"]}


# -- runs without a seed ---------------------------------------------------------------------------


def _crossed(runs: Group) -> set[str]:
    """The columns that have each of their values equally often at most learning rates of a task."""
    by_task: defaultdict[str, defaultdict[tuple[str, float], Group]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.seed is None:
            by_task[run.task][run.init, run.lr].append(run)
    columns = _common_columns(runs)
    return {
        column
        for cells in by_task.values()
        for column in columns
        if _is_crossed([Counter(run.settings[column] for run in cell) for cell in cells.values()])
    }


def _is_crossed(cells: Sequence[Counter[float]]) -> bool:
    """Whether these counts of a column's values, one counter a cell, are those of a grid."""
    values = sorted(set().union(*cells))
    if len(values) < 2 or 2 * len(values) > sum(cell.total() for cell in cells):
        return False
    once = all(count == 1 for cell in cells for count in cell.values())
    if once and values in ([*range(len(values))], [*range(1, len(values) + 1)]):
        return False  # it numbers the runs, as a seed does
    balanced = sum(len(cell) == len(values) and len(set(cell.values())) == 1 for cell in cells)
    return 2 * balanced > len(cells)
