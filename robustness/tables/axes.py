"""What stands in rows, what in columns, and what is pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from robustness.errors import SpecError, nearest
from robustness.summary import Study
from robustness.tables.measured import Measurement

__all__ = ["AXES", "AXIS_TITLES", "Arrangement", "arranged", "parse_axes"]

AXES = ("task", "optimizer", "init")
AXIS_TITLES = {"task": "Task", "optimizer": "Optimizer", "init": "Initialization"}
_PLURALS = {"task": "tasks", "optimizer": "optimizers", "init": "initializations"}


def parse_axes(rows: str, columns: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`--rows` and `--columns`: lists of axes between commas.

    Raises:
        SpecError: an unknown axis, or one named twice.
    """
    found: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for option, text in (("--rows", rows), ("--columns", columns)):
        names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
        for name in names:
            if name not in AXES:
                raise SpecError.of(option, f"there is no axis {name!r:.80}; {nearest(name, AXES)}")
            if name in seen:
                raise SpecError.of(option, f"{name} stands in the table twice")
            seen.add(name)
        found.append(names)
    return found[0], found[1]


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Measurements that have a place.

    Attributes:
        rows: axes that name a row; those that could not be pooled come last.
        columns: axes that name a column.
        measured: what is shown, one for each place.
        labels: of each axis, in the study's order.
        notes: which axes were not pooled.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    measured: tuple[Measurement, ...]
    labels: dict[str, list[str]]
    notes: tuple[str, ...]

    def order(self, axes: Sequence[str]) -> Callable[[tuple[str | None, ...]], tuple[int, ...]]:
        """A key that sorts labels of these axes as the study has them; what is over all has none of them, and is last."""
        places = [{label: place for place, label in enumerate(self.labels[axis])} for axis in axes]
        return lambda labels: tuple(
            known.get(label or "", len(known)) for known, label in zip(places, labels, strict=True)
        )


def arranged(
    study: Study, measured: Iterable[Measurement], rows: tuple[str, ...], columns: tuple[str, ...]
) -> Arrangement:
    """Pool what stands in neither rows nor columns, as the metrics define it.

    A metric that has no value over all initializations, or tasks, keeps one line for each, and the table says
    so; optimizers are never pooled.
    """
    labels = {axis: [str(label) for label in study.trials[axis].unique()] for axis in AXES}
    kept = list(measured)
    notes: list[str] = []
    own_lines: tuple[str, ...] = ()
    for axis in AXES:
        names = labels[axis]
        if len(names) == 1:
            kept = _relabelled(kept, axis, names[0])
        elif axis in rows or axis in columns:
            kept = _told_apart(kept, axis)
        else:
            unpooled = _without_pooled(kept, axis)
            if unpooled:
                own_lines += (axis,)
                titles = ", ".join(dict.fromkeys(unpooled))
                notes.append(
                    f"Not pooled over {_PLURALS[axis]}, so that each has a line of its own: {titles}."
                    if axis != "optimizer"
                    else "Optimizers are never pooled: each has a line of its own."
                )
            else:
                kept = [m for m in kept if getattr(m, axis) is None]
    if not (rows or own_lines):
        own_lines = (
            ("optimizer",) if "optimizer" not in columns else ("task",) if "task" not in columns else ()
        )
    return Arrangement(
        rows=(*rows, *own_lines),
        columns=columns,
        measured=tuple(kept),
        labels=labels,
        notes=tuple(notes),
    )


def _relabelled(measured: list[Measurement], axis: str, label: str) -> list[Measurement]:
    """Of an axis with one label: pooled is the same as that label, whose own row is preferred."""
    found: dict[tuple[object, ...], Measurement] = {}
    for m in sorted(measured, key=lambda m: getattr(m, axis) is None):
        named = m if getattr(m, axis) == label else replace(m, **{axis: label})  # type: ignore[arg-type]
        found.setdefault((named.metric, named.at, named.task, named.optimizer, named.init), named)
    order = {metric: place for place, metric in enumerate(dict.fromkeys((m.metric, m.at) for m in measured))}
    return sorted(found.values(), key=lambda m: order[m.metric, m.at])


def _told_apart(measured: list[Measurement], axis: str) -> list[Measurement]:
    """Of a shown axis: nothing over all labels, but for metrics that are nothing else."""
    own = {(m.metric, m.at) for m in measured if getattr(m, axis) is not None}
    return [m for m in measured if getattr(m, axis) is not None or (m.metric, m.at) not in own]


def _without_pooled(measured: list[Measurement], axis: str) -> list[str]:
    pooled = {(m.metric, m.at) for m in measured if getattr(m, axis) is None}
    return [m.title for m in measured if (m.metric, m.at) not in pooled]
