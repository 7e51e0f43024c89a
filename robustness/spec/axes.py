"""Numbers that a study varies over a range: points of a grid, or what a sampler draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from robustness.catalog import Argument
from robustness.errors import Problem, SpecError
from robustness.spec.models import Range, parse_range
from robustness.trial import round_lr

__all__ = ["Axis", "Labelled", "ranged", "values_of"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A number that the sampler draws, conditional on the variant that it belongs to.

    Attributes:
        name: its path in the spec, unique in a study.
        field: the argument that it sets.
        low: least value.
        high: largest value.
        log: evenly on a logarithmic scale.
        whole: values are whole numbers.
    """

    name: str
    field: str
    low: float
    high: float
    log: bool
    whole: bool

    def value(self, unit: float) -> float | int:
        """The value at a place from 0 (low) to 1 (high), to 12 significant digits.

        >>> Axis(name="x", field="x", low=1e-4, high=1.0, log=True, whole=False).value(0.5)
        0.01
        """
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        # Each whole number has its share of the axis, the ends included.
        found = low * (high / low) ** unit if self.log else low + (high - low) * unit
        found = min(max(found, self.low), self.high)
        return round(found) if self.whole else round_lr(found)


@dataclass(frozen=True, slots=True)
class Labelled(Generic[T]):
    """A variant of a task, optimizer or initialization.

    Attributes:
        label: what a reader sees it called.
        config: itself; where the sampler draws some of its numbers, with the least of each.
        path: of its table.
        axes: the numbers that are drawn.
        build: the config with these numbers, by field.
    """

    label: str
    config: T
    path: str
    axes: tuple[Axis, ...] = ()
    build: Callable[[Mapping[str, float | int]], T] | None = field(default=None, compare=False)

    def at(self, point: Mapping[str, float]) -> T:
        """The config at a point of the unit cube, given by the names of axes; others than its own are ignored."""
        if self.build is None:
            return self.config
        return self.build({axis.field: axis.value(point[axis.name]) for axis in self.axes})

    @property
    def ends(self) -> tuple[T, ...]:
        """What must be allowed for all that can be drawn to be: the config with the least and the largest numbers."""
        if not self.axes:
            return (self.config,)
        return (self.config, self.at(dict.fromkeys((axis.name for axis in self.axes), 1.0)))


def ranged(value: Any, argument: Argument, path: str, problems: list[Problem]) -> Axis | tuple[Any, ...]:
    """A field's range: its points, or what the sampler draws from; nothing where it breaks a rule."""
    if argument.kind not in ("float", "int"):
        problems.append(Problem(path, f"a range is for a number; must be {argument.rule}, got {value!r:.80}"))
        return ()
    try:
        found = parse_range(value, path)
    except SpecError as error:
        problems.extend(error.problems)
        return ()
    whole = argument.kind == "int"
    before = len(problems)
    for side in ("low", "high"):
        end = getattr(found, side)
        try:
            argument.check(int(end) if whole and end == int(end) else end)
        except ValueError as error:
            problems.append(Problem(f"{path}.{side}", str(error)))
    if len(problems) > before:
        return ()
    if found.points is not None:
        return tuple(dict.fromkeys(round(v) if whole else v for v in found.values()))
    return _drawn(found, argument, path)


def _drawn(found: Range, argument: Argument, path: str) -> Axis:
    return Axis(
        name=path,
        field=argument.name,
        low=found.low,
        high=found.high,
        log=found.log,
        whole=argument.kind == "int",
    )


def values_of(found: Axis | tuple[Any, ...]) -> tuple[Any, ...]:
    """What a grid has of them: the points; of what is drawn its least value, which stands for all."""
    return (found.value(0.0),) if isinstance(found, Axis) else found
