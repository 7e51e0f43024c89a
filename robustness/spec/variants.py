"""The tables of a study file: names and arguments against the catalog, lists as axes, labels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robustness.catalog import DATASETS, INITS, MODELS, OPTIMIZERS, TASK_FIELDS, Argument, Entry
from robustness.errors import Problem, nearest
from robustness.spec.axes import Axis, Labelled, ranged, values_of
from robustness.spec.models import check_text
from robustness.trial import Named, TaskConfig

__all__ = ["Table", "init_tables", "labelled", "optimizer_tables", "task_tables"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the spec with its lists as axes; `build` makes the config of one choice.

    `drawn` are the axes whose values the sampler chooses; among `axes` they have their least value.
    """

    path: str
    base: str
    label: str | None
    axes: dict[str, tuple[Any, ...]]
    build: Callable[[dict[str, Any]], Any]
    drawn: tuple[Axis, ...] = ()

    @property
    def size(self) -> int:
        """Number of variants, without making them."""
        return math.prod(len(values) for values in self.axes.values())

    def choices(self) -> Iterator[dict[str, Any]]:
        """Every combination of the axes."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))


_Lookup = Callable[[dict[str, Any], str, list[Problem]], list[tuple[str, Argument]]]


def _tables(
    tables: Sequence[Any],
    path: str,
    arguments_of: _Lookup,
    build: Callable[[dict[str, Any]], Any],
    problems: list[Problem],
) -> list[Table]:
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
        ranges = {
            name: ranged(table[name], arguments[name], f"{here}.{name}", problems)
            for name in table
            if name in arguments and isinstance(table[name], dict)
        }
        drawn = tuple(axis for axis in ranges.values() if isinstance(axis, Axis))
        axes = {
            name: values_of(ranges[name])
            if name in ranges
            else _axis(table[name], arguments[name], f"{here}.{name}", problems)
            for name in table
            if name in arguments
        }
        label = _checked_label(table.get("label"), f"{here}.label", problems)
        base = str(table["name"]) if "name" in table else ""
        if "name" in table:
            axes = {"name": (table["name"],), **axes}
        found.append(Table(path=here, base=base, label=label, axes=axes, build=build, drawn=drawn))
    return found


def _axis(value: Any, argument: Argument, path: str, problems: list[Problem]) -> tuple[Any, ...]:
    """The values of one field: a list is an axis (for a tuple argument, a list of lists)."""
    is_axis = isinstance(value, list) and (
        argument.kind != "floats" or bool(value) and isinstance(value[0], list)
    )
    values = value if is_axis else [value]
    if not values:
        problems.append(Problem(path, "an axis must have at least one value"))
    checked: dict[Any, None] = {}
    for i, item in enumerate(values):
        here = f"{path}[{i}]" if is_axis else path
        try:
            value_of_item = argument.check(item)
        except ValueError as error:
            problems.append(Problem(here, str(error)))
            continue
        if value_of_item in checked:
            problems.append(Problem(here, f"{item!r} comes twice"))
        checked[value_of_item] = None
    return tuple(checked)


def _checked_label(label: Any, path: str, problems: list[Problem]) -> str | None:
    if label is None:
        return None
    if not isinstance(label, str) or not 1 <= len(label.strip()) <= len(label) <= 100:
        problems.append(Problem(path, f"must be a string of 1 to 100 characters, got {label!r:.80}"))
        return None
    try:
        return check_text(label)
    except ValueError as error:
        problems.append(Problem(path, str(error)))
        return None


def task_tables(tables: Sequence[Any], problems: list[Problem]) -> list[Table]:
    """The tables of `tasks`; what breaks a rule is added to `problems`."""
    return _tables(tables, "tasks", _task_axes, _task, problems)


def optimizer_tables(tables: Sequence[Any], problems: list[Problem]) -> list[Table]:
    """The tables of `optimizers`, without their learning rates."""
    own = [{k: v for k, v in table.items() if k != "lr"} for table in tables]
    return _tables(own, "optimizers", _optimizer_axes, _optimizer, problems)


def init_tables(init: Any, problems: list[Problem]) -> list[Table]:
    """The tables of `search.init`: one name or table, or a list of them."""
    listed = init if isinstance(init, list) else [init]
    if not listed:
        problems.append(Problem("search.init", "must have at least one initialization"))
    own = [{"name": item} if isinstance(item, str) else item for item in listed]
    return _tables(own, "search.init", _init_axes, _init, problems)


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
            takers = [e.name for e in (*DATASETS, *MODELS) if name in {a.name for a in e.arguments}]
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
    # Where a table names several, each has bounds of its own; its axes were held to the first one's.
    for entry in (data, model):
        for argument in entry.arguments:
            if argument.name in choice:
                try:
                    argument.check(choice[argument.name])
                except ValueError as error:
                    raise ValueError(f"{argument.name} with {entry.name} {error}") from None
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


# -- labels ----------------------------------------------------------------------------------------


def labelled(tables: list[Table], path: str, problems: list[Problem]) -> tuple[Labelled[Any], ...]:
    """Each variant with its label: the name and the fields that vary, or the user's own.

    What does not build, or comes twice, is added to `problems` and left out.
    """
    built: list[tuple[Table, Labelled[Any], dict[str, Any]]] = []
    for table in tables:
        for choice in table.choices():
            try:
                variant = _variant(table, choice)
            except ValueError as error:
                problems.append(Problem(table.path, str(error)))
                continue
            built.append((table, variant, _flat(variant.config)))
    rivals: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for table, _, fields in built:
        if table.label is None:
            rivals.setdefault(_identity(fields), []).append(fields)
    varying = {
        identity: [name for name in group[0] if len({fields[name] for fields in group}) > 1]
        for identity, group in rivals.items()
    }
    found: dict[Any, Labelled[Any]] = {}
    owners: dict[str, Table] = {}
    for table, variant, fields in built:
        if table.label is not None:
            shown = [name for name, values in table.axes.items() if len(values) > 1]
        elif path == "search.init":  # what was given says most: `normal std=0.01`
            shown = [name for name in table.axes if name != "name"]
        else:
            shown = varying[_identity(fields)]
        drawn = {axis.field for axis in table.drawn}
        label = _label(table, fields, [name for name in shown if name not in drawn])
        same = (variant.config, tuple((axis.field, axis.low, axis.high, axis.log) for axis in table.drawn))
        if same in found:
            problems.append(Problem(table.path, f"is the same as {owners[found[same].label].path} ({label})"))
        elif label in owners:
            problems.append(Problem(table.path, f"the label {label!r} comes twice"))
        else:
            found[same], owners[label] = replace(variant, label=label), table
    return tuple(found.values())


def _variant(table: Table, choice: dict[str, Any]) -> Labelled[Any]:
    """One choice of a table, still without its label.

    Raises:
        ValueError: its arguments do not go together, or would not where something is drawn.
    """

    def at(values: Mapping[str, float | int]) -> Any:
        return table.build({**choice, **values})

    variant = Labelled("", table.build(choice), table.path, table.drawn, at if table.drawn else None)
    if table.drawn:
        variant.at(dict.fromkeys((axis.name for axis in table.drawn), 1.0))
    return variant


def _label(table: Table, fields: dict[str, Any], shown: list[str]) -> str:
    base = table.label or table.base or f"{fields['data']} {fields['model']}"
    words = [_shown(fields[n]) if n in _IDENTITY else f"{n}={_shown(fields[n])}" for n in shown]
    return " ".join([base, *words])


_IDENTITY = ("name", "data", "model")


def _identity(fields: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(fields.get(name) for name in _IDENTITY)


def _flat(config: Any) -> dict[str, Any]:
    if isinstance(config, TaskConfig):
        return {
            "data": config.data.name,
            "model": config.model.name,
            **{a.name: getattr(config, a.name) for a in TASK_FIELDS},
            # A size that asks for the whole is left out of the configuration.
            **{a.name: a.default for a in DATASETS.get(config.data.name).arguments},
            **dict(config.data.arguments),
            **dict(config.model.arguments),
        }
    return {"name": config.name, **dict(config.arguments)}


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(v) for v in value) + ")"
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
