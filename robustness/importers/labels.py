"""The labels of tasks and optimizers in an import: a name from the log, and what varies between runs of that name.

What belongs to a task (its budget, its model's arguments) is never part of an optimizer's label, so one optimizer has
one label over all tasks.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from robustness.importers.reading import MAX_LABEL, checked_label, kept
from robustness.importers.runs import Run
from robustness.phrases import listed

__all__ = [
    "hyperparameters_varying_in_tasks",
    "label_notes",
    "optimizer_labels",
    "task_labels",
    "value_text",
]


def task_labels(heads: Sequence[Run], task_settings: Collection[str]) -> list[str]:
    """Each run's task, with those settings of tasks that vary between the runs of its name.

    Args:
        heads: the runs.
        task_settings: names of settings that belong to the task.

    Raises:
        SpecError: a label would not be one line of text.
    """
    shown = _task_settings_shown(heads, task_settings)
    return [_label(head, head.task, head.settings, shown[head.task], "the task's label") for head in heads]


def _task_settings_shown(heads: Sequence[Run], task_settings: Collection[str]) -> dict[str, tuple[str, ...]]:
    return _varying([(head.task, head.task, _only(head.settings, task_settings)) for head in heads])


def hyperparameters_varying_in_tasks(
    heads: Sequence[Run], task_settings: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Of each optimizer, the names of arguments and settings that vary between its runs on one task.

    Args:
        heads: the runs, their tasks as `task_labels` has them.
        task_settings: names of settings that belong to the task.
    """
    return _varying([(head.optimizer, head.task, _hyperparameters(head, task_settings)) for head in heads])


def optimizer_labels(heads: Sequence[Run], shown: Mapping[str, Collection[str]]) -> list[str]:
    """Each run's optimizer, with the arguments and settings that are shown for its name.

    Args:
        heads: the runs.
        shown: of each optimizer's name, the names of what tells its runs apart, on every task.

    Raises:
        SpecError: a label would not be one line of text.
    """
    return [
        _label(
            head,
            head.optimizer,
            _hyperparameters(head, ()),
            shown.get(head.optimizer, ()),
            "the optimizer's label",
        )
        for head in heads
    ]


def label_notes(
    heads: Sequence[Run], shown: Mapping[str, Collection[str]], task_settings: Collection[str]
) -> list[str]:
    """What a reader should know of the labels: what tells tasks and optimizers apart, and what does not.

    Args:
        heads: the runs, their tasks as the log has them.
        shown: of `optimizer_labels`.
        task_settings: names of settings that belong to the task.
    """
    notes = [
        f"{task}: runs that differ in {listed(names)} are tasks of their own"
        for task, names in _task_settings_shown(heads, task_settings).items()
        if names
    ]
    for optimizer in dict.fromkeys(head.optimizer for head in heads):
        names = sorted(shown.get(optimizer, ()))
        if names:
            notes.append(f"{optimizer}: runs that differ in {listed(names)} are optimizers of their own")
        between = _differing_between_tasks(
            [head for head in heads if head.optimizer == optimizer], {*names, *task_settings}
        )
        if between:
            verb = "differs" if len(between) == 1 else "differ"
            notes.append(f"{optimizer}: {listed(between)} {verb} between tasks, and no label shows it")
    return notes


def _differing_between_tasks(heads: Sequence[Run], ignored: Collection[str]) -> list[str]:
    """Names of arguments and settings that are one on each task, and not the same on all."""
    values: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for head in heads:
        for name, value in _hyperparameters(head, ignored).items():
            values[name][head.task].add(value_text(value))
    return sorted(
        name
        for name, by_task in values.items()
        if all(len(texts) == 1 for texts in by_task.values()) and len(set().union(*by_task.values())) > 1
    )


def _only(fields: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}


def _hyperparameters(head: Run, ignored: Collection[str]) -> dict[str, Any]:
    fields = {**head.settings, **head.arguments}
    return {name: value for name, value in fields.items() if name not in ignored}


def _varying(runs: Sequence[tuple[str, str, Mapping[str, Any]]]) -> dict[str, tuple[str, ...]]:
    """Of each name, the fields with more than one value, or with one that some runs lack, inside one group.

    Args:
        runs: the name, the group inside of which values are compared, and the fields of each run.
    """
    values: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    names: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for owner, group, fields in runs:
        names[owner, group] |= set(fields)
    for owner, group, fields in runs:
        for name in names[owner, group]:
            values[owner, group, name].add(value_text(fields[name]) if name in fields else "")
    found: dict[str, set[str]] = {owner: set() for owner, _, _ in runs}
    for (owner, _, name), texts in values.items():
        if len(texts) > 1:
            found[owner].add(name)
    return {owner: tuple(sorted(varying)) for owner, varying in found.items()}


def _label(head: Run, name: str, fields: Mapping[str, Any], shown: Collection[str], what: str) -> str:
    parts = [f"{field}={value_text(fields[field])}" for field in sorted(shown) if field in fields]
    label = " ".join([name, *parts])
    if len(label) > MAX_LABEL:  # what was cut off still tells two labels apart
        label = f"{label[: MAX_LABEL - 10]} {hashlib.sha256(label.encode()).hexdigest()[:8]}"
    return checked_label(label, head.file, what)


def value_text(value: Any) -> str:
    """A value as labels show it.

    >>> value_text(0.0010), value_text(True), value_text([1, 2])
    ('0.001', 'true', '[1, 2]')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    return value if isinstance(value, str) else json.dumps(kept(value), sort_keys=True)
