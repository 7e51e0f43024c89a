"""From a checked frame to cells and trials: names and arguments against the catalog, axes multiplied.

Sizes are multiplied before anything is expanded: a grid of 10^9 cells is refused at once.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from robustness.catalog import DATASETS, INITS, MODELS, OPTIMIZERS, TASK_FIELDS, Argument, Entry
from robustness.errors import Problem, SpecError, nearest
from robustness.spec.models import LrRange, StudySpec, check_text, parse_lr
from robustness.trial import Cell, Named, TaskConfig, Trial, round_lr

__all__ = ["MAX_CELLS", "MAX_TRIALS", "Grid", "Labelled", "expand"]

MAX_CELLS = 100_000
"""Default limit of cells a study; ROBUSTNESS_MAX_CELLS overrides it."""
MAX_TRIALS = 2_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Labelled(Generic[T]):
    """A variant of a task, optimizer or initialization, and what a reader sees it called."""

    label: str
    config: T


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
    tasks = _variants(spec.tasks, "tasks", _task_axes, _task, problems)
    optimizer_tables = [{k: v for k, v in table.items() if k != "lr"} for table in spec.optimizers]
    optimizers = _variants(optimizer_tables, "optimizers", _optimizer_axes, _optimizer, problems)
    init_list = spec.search.init if isinstance(spec.search.init, list) else [spec.search.init]
    if not init_list:
        problems.append(Problem("search.init", "must have at least one initialization"))
    init_tables = [{"name": item} if isinstance(item, str) else item for item in init_list]
    inits = _variants(init_tables, "search.init", _init_axes, _init, problems)
    lrs = [_own_lrs(spec, i, problems) for i in range(len(spec.optimizers))]
    if problems:
        raise SpecError(problems)

    limit = max_cells if max_cells is not None else int(os.environ.get("ROBUSTNESS_MAX_CELLS", MAX_CELLS))
    points = sum(v.size * _point_count(lr) for v, lr in zip(optimizers, lrs, strict=True))
    cells = sum(v.size for v in tasks) * sum(v.size for v in inits) * points
    if cells > limit:
        raise SpecError.of("search", f"a study has at most {limit:,} cells, this one has {cells:,}")
    if cells * spec.search.seeds > MAX_TRIALS:
        raise SpecError.of(
            "search.seeds",
            f"a study has at most {MAX_TRIALS:,} trials, this one has {cells * spec.search.seeds:,}",
        )

    points_of = [_points(lr, f"optimizers[{i}].lr", problems) for i, lr in enumerate(lrs)]
    grid = Grid(
        tasks=_labelled(tasks, "tasks", problems),
        optimizers=tuple(
            (variant, points_of[owner])
            for variant, owner in zip(
                _labelled(optimizers, "optimizers", problems), _owners(optimizers), strict=True
            )
        ),
        inits=_labelled(inits, "search.init", problems),
        root_seed=spec.search.seed,
        seeds=spec.search.seeds,
    )
    problems += _misfits(grid)
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    return grid


# -- one table of the spec: its axes, and the variants that they span ------------------------------


@dataclass(frozen=True, kw_only=True)
class _Table:
    """A table of the spec with its lists as axes; `build` makes the config of one choice."""

    path: str
    base: str
    label: str | None
    axes: dict[str, tuple[Any, ...]]
    build: Callable[[dict[str, Any]], Any]

    @property
    def size(self) -> int:
        return math.prod(len(values) for values in self.axes.values())

    def choices(self) -> Iterator[dict[str, Any]]:
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))


_Lookup = Callable[[dict[str, Any], str, list[Problem]], list[tuple[str, Argument]]]


def _variants(
    tables: Sequence[Any],
    path: str,
    arguments_of: _Lookup,
    build: Callable[[dict[str, Any]], Any],
    problems: list[Problem],
) -> list[_Table]:
    found = []
    for i, table in enumerate(tables):
        here = f"{path}[{i}]"
        if not isinstance(table, dict):
            problems.append(Problem(here, f"must be a name or a table with a name, got {table!r:.80}"))
            continue
        before = len(problems)
        arguments = dict(arguments_of(table, here, problems))
        if len(problems) > before:
            continue
        axes = {
            name: _axis(table[name], arguments[name], f"{here}.{name}", problems)
            for name in table
            if name in arguments
        }
        label = _checked_label(table.get("label"), f"{here}.label", problems)
        base = str(table["name"]) if "name" in table else ""
        if "name" in table:
            axes = {"name": (table["name"],), **axes}
        found.append(_Table(path=here, base=base, label=label, axes=axes, build=build))
    return found


def _axis(value: Any, argument: Argument, path: str, problems: list[Problem]) -> tuple[Any, ...]:
    """The values of one field: a list is an axis (for a tuple argument, a list of lists)."""
    is_axis = isinstance(value, list) and (
        argument.kind != "floats" or bool(value) and isinstance(value[0], list)
    )
    values = value if is_axis else [value]
    if not values:
        problems.append(Problem(path, "an axis must have at least one value"))
    checked: list[Any] = []
    for i, item in enumerate(values):
        here = f"{path}[{i}]" if is_axis else path
        try:
            checked.append(argument.check(item))
        except ValueError as error:
            problems.append(Problem(here, str(error)))
            continue
        if checked[-1] in checked[:-1]:
            problems.append(Problem(here, f"{item!r} comes twice"))
    return tuple(checked)


def _checked_label(label: Any, path: str, problems: list[Problem]) -> str | None:
    if label is None:
        return None
    if not isinstance(label, str) or not 1 <= len(label) <= 100:
        problems.append(Problem(path, f"must be a string of 1 to 100 characters, got {label!r:.80}"))
        return None
    try:
        return check_text(label)
    except ValueError as error:
        problems.append(Problem(path, str(error)))
        return None


# -- what each kind of table may hold --------------------------------------------------------------


def _names(table: dict[str, Any], field: str, registry: Any, path: str, problems: list[Problem]) -> list[Any]:
    """The catalog entries that a field names, by itself or as a list."""
    value = table.get(field)
    if value is None:
        problems.append(Problem(f"{path}.{field}", f"is required; {nearest('', registry.names)}"))
        return []
    entries = []
    for i, name in enumerate(value if isinstance(value, list) else [value]):
        here = f"{path}.{field}[{i}]" if isinstance(value, list) else f"{path}.{field}"
        if not isinstance(name, str):
            problems.append(Problem(here, f"must be a string, got {name!r:.80}"))
            continue
        try:
            entries.append(registry.get(name))
        except ValueError as error:
            problems.append(Problem(here, str(error)))
    if isinstance(value, list) and not value:
        problems.append(Problem(f"{path}.{field}", "an axis must have at least one value"))
    return entries


def _task_axes(table: dict[str, Any], path: str, problems: list[Problem]) -> list[tuple[str, Argument]]:
    fields = {argument.name: argument for argument in TASK_FIELDS}
    data = _names(table, "data", DATASETS, path, problems)
    models = _names(table, "model", MODELS, path, problems)
    if not data or not models:
        return []
    name_fields = {
        field: Argument(name=field, kind="str", default="", doc=field) for field in ("data", "model")
    }
    fields |= name_fields
    own = [{a.name: a for a in entry.arguments} for entry in (*data, *models)]
    # An argument must be taken by every data set, or by every model, that the table names.
    for group in (own[: len(data)], own[len(data) :]):
        shared = set.intersection(*(set(arguments) for arguments in group))
        fields |= {name: group[0][name] for name in shared}
    for name in table:
        if name not in fields and name != "label":
            takers = [e.name for e in (*data, *models) if name in {a.name for a in e.arguments}]
            why = f"only {', '.join(takers)} takes {name!r}" if takers else f"a task takes no {name!r}"
            problems.append(Problem(f"{path}.{name}", f"{why}; {nearest(name, [*fields, 'label'])}"))
    return list(fields.items())


def _entry_axes(
    table: dict[str, Any], registry: Any, path: str, problems: list[Problem], allowed: tuple[str, ...]
) -> list[tuple[str, Argument]]:
    if isinstance(table.get("name"), list):
        problems.append(Problem(f"{path}.name", "must be one name; write a table for each"))
        return []
    entries = _names(table, "name", registry, path, problems)
    if not entries:
        return []
    entry: Entry = entries[0]
    for name in table:
        if name not in allowed:
            try:
                entry.argument(name)
            except ValueError as error:
                problems.append(Problem(f"{path}.{name}", str(error)))
    return [(argument.name, argument) for argument in entry.arguments]


def _optimizer_axes(table: dict[str, Any], path: str, problems: list[Problem]) -> list[tuple[str, Argument]]:
    return _entry_axes(table, OPTIMIZERS, path, problems, ("name", "label"))


def _init_axes(table: dict[str, Any], path: str, problems: list[Problem]) -> list[tuple[str, Argument]]:
    return _entry_axes(table, INITS, path, problems, ("name", "label"))


def _task(choice: dict[str, Any]) -> TaskConfig:
    data, model = DATASETS.get(choice["data"]), MODELS.get(choice["model"])
    return TaskConfig(
        data=data.fill(choice),
        model=model.fill(choice),
        **{a.name: choice.get(a.name, a.default) for a in TASK_FIELDS},
    )


def _optimizer(choice: dict[str, Any]) -> Named:
    entry = OPTIMIZERS.get(choice["name"])
    filled = entry.fill(choice)
    refusal = entry.refusal(dict(filled.arguments))
    if refusal:
        raise ValueError(refusal)
    return filled


def _init(choice: dict[str, Any]) -> Named:
    return INITS.get(choice["name"]).fill(choice)


# -- learning rates --------------------------------------------------------------------------------


def _own_lrs(spec: StudySpec, index: int, problems: list[Problem]) -> Any:
    table = spec.optimizers[index]
    if "lr" not in table:
        if spec.search.lr is None:
            problems.append(Problem("search.lr", f"is required, since optimizers[{index}] has no lr of its own"))
        return spec.search.lr
    try:
        return parse_lr(table["lr"], f"optimizers[{index}].lr")
    except SpecError as error:
        problems.extend(error.problems)
        return None


def _point_count(lr: Any) -> int:
    return lr.points if isinstance(lr, LrRange) else len(lr) if isinstance(lr, list) else 1


def _points(lr: Any, path: str, problems: list[Problem]) -> tuple[float, ...]:
    values = lr.values() if isinstance(lr, LrRange) else [round_lr(v) for v in (lr if isinstance(lr, list) else [lr])]
    for i, value in enumerate(values):
        if value in values[:i]:
            problems.append(Problem(path, f"the learning rate {value:g} comes twice"))
    return tuple(sorted(values))


# -- labels and what does not fit ------------------------------------------------------------------


def _owners(tables: list[_Table]) -> list[int]:
    return [i for i, table in enumerate(tables) for _ in range(table.size)]


def _labelled(tables: list[_Table], path: str, problems: list[Problem]) -> tuple[Labelled[Any], ...]:
    """Each variant with its label: the name and the fields that vary, or the user's own."""
    built: list[tuple[_Table, dict[str, Any], Any]] = []
    for table in tables:
        for choice in table.choices():
            try:
                built.append((table, choice, table.build(choice)))
            except ValueError as error:
                problems.append(Problem(table.path, str(error)))
    flat = [_flat(config) for _, _, config in built]
    labels = []
    for (table, _, _), own in zip(built, flat, strict=True):
        if table.label is not None:
            varying = [f for f in own if len(table.axes.get(f, ())) > 1]
        else:
            rivals = [f for (t, _, _), f in zip(built, flat, strict=True) if t.label is None]
            names = _same_name(own, rivals)
            varying = [f for f in own if len({other.get(f) for other in names}) > 1]
        words = [f"{field}={_shown(own[field])}" for field in varying if field not in ("name", "data", "model")]
        base = table.label or table.base or f"{own['data']} {own['model']}"
        if table.base and not table.label and path == "search.init":
            words = [f"{f}={_shown(own[f])}" for f in own if f in table.axes and f != "name"]
        labels.append(" ".join([base, *words]))
    for i, (table, _, config) in enumerate(built):
        twin = next((j for j in range(i) if built[j][2] == config), None)
        if twin is not None:
            problems.append(Problem(table.path, f"is the same as {built[twin][0].path} ({labels[twin]})"))
        elif labels[i] in labels[:i]:
            problems.append(Problem(table.path, f"the label {labels[i]!r} comes twice"))
    return tuple(Labelled(label, config) for label, (_, _, config) in zip(labels, built, strict=True))


def _flat(config: Any) -> dict[str, Any]:
    if isinstance(config, TaskConfig):
        return {
            "data": config.data.name,
            "model": config.model.name,
            "norm": config.norm,
            "epochs": config.epochs,
            "batch_size": config.batch_size,
            "augment": config.augment,
            **dict(config.data.arguments),
            **dict(config.model.arguments),
        }
    return {"name": config.name, **dict(config.arguments)}


def _same_name(own: dict[str, Any], flat: list[dict[str, Any]]) -> list[dict[str, Any]]:
    identity = ("name", "data", "model")
    return [other for other in flat if all(other.get(f) == own.get(f) for f in identity)]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(v) for v in value) + ")"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _misfits(grid: Grid) -> list[Problem]:
    """Combinations of fields that are fine one by one and do not go together."""
    problems = []
    for i, task in enumerate(grid.tasks):
        path, config = f"tasks ({task.label})" if len(grid.tasks) > 1 else f"tasks[{i}]", task.config
        facts = DATASETS.get(config.data.name).facts(dict(config.data.arguments))
        model = MODELS.get(config.model.name)
        if config.batch_size > facts.train_size:
            problems.append(
                Problem(
                    f"{path}.batch_size",
                    f"must be <= {facts.train_size}, the training examples of {config.data.name}, "
                    f"got {config.batch_size}",
                )
            )
        if 0 in facts.train_counts or 0 in facts.test_counts:
            problems.append(
                Problem(f"{path}.classes", f"must be <= the training and the test examples, got {facts.classes}")
            )
        if model.needs_images and len(facts.shape) != 3:
            problems.append(
                Problem(f"{path}.model", f"{model.name} needs images; inputs of {config.data.name} have shape {facts.shape}")
            )
        if config.augment != "none" and len(facts.shape) != 3:
            problems.append(
                Problem(f"{path}.augment", f"{config.augment} needs images; inputs of {config.data.name} have shape {facts.shape}")
            )
        if config.norm == "batch" and config.batch_size < 2:
            problems.append(Problem(f"{path}.batch_size", "must be >= 2 with norm = batch, got 1"))
        width = dict(config.model.arguments).get("width")
        if config.norm == "group" and isinstance(width, int) and width % 4:
            problems.append(Problem(f"{path}.width", f"must be a multiple of 4 with norm = group, got {width}"))
        for init in grid.inits:
            refusal = INITS.get(init.config.name).refusal(model)
            if refusal:
                problems.append(Problem("search.init", refusal))
    return problems
