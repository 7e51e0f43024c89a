"""What a metric says: one row of `robustness metrics`, and the list of all metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from robustness.errors import SpecError, nearest
from robustness.summary.flags import Flag, Remark, has_flag

__all__ = [
    "DEFAULT_DELTA",
    "METRICS",
    "SCOPES",
    "Delta",
    "Metric",
    "MetricRow",
    "Raw",
    "bounds_of",
    "check_metrics",
    "declare",
]

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRow:
    """One number with its interval.

    Attributes:
        metric: its id, a key of `METRICS`.
        task: label; None over all tasks.
        optimizer: label.
        init: label; None where pooled over initializations.
        value: NaN where there is none; infinite where censored, and a remark says so.
        low: end of the 95 % interval; NaN where there is none.
        high: the other end.
        n: trials behind a rate, seeds behind everything else.
        unit: of value and interval.
        at: the point of a curve, or against whom.
        remarks: what a reader must know: censored, no interval and why, selection on test data.
    """

    metric: str
    task: str | None
    optimizer: str
    init: str | None
    value: float
    low: float
    high: float
    n: int
    unit: str
    at: str = ""
    remarks: tuple[Remark, ...] = ()

    def has(self, *flags: Flag) -> bool:
        """Whether one of these flags is among the remarks."""
        return has_flag(self.remarks, *flags)


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A metric before its interval: its value in every resample.

    Attributes:
        levels: of the `Resamples`.
        fixed: the ends of an interval that is not a bootstrap's.
        least_sd: of `resampling.estimates`.
    """

    metric: str
    init: str | None
    values_R: npt.NDArray[np.float64]
    levels: tuple[int, ...]
    n: int
    unit: str = ""
    at: str = ""
    fixed: tuple[float, float] | None = None
    least_sd: float = 0.0
    remarks: tuple[Remark, ...] = ()


Scope = Literal["row", "tasks", "pair", "study"]
"""What a metric is computed of: an optimizer on a task, on all tasks, against another, or the whole study."""
SCOPES: tuple[Scope, ...] = ("row", "tasks", "pair", "study")
"""In the order in which `measure` lists them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A metric, declared beside the function that computes it.

    Attributes:
        id: its name.
        title: for tables.
        unit: of its values; empty where the task's score decides.
        better: which direction is robust.
        doc: what it is, in a clause.
        scope: what it is computed of.
        compute: the function, but for the metric's id.
        is_tuned: it stands at, or around, a tuned learning rate.
        of_trained: it rests on which trials trained.
        least: the least value that it can have.
    """

    id: str
    title: str
    unit: str
    better: Better
    doc: str
    scope: Scope
    compute: Callable[..., Iterator[Raw]]
    is_tuned: bool
    of_trained: bool
    least: float


METRICS: dict[str, Metric] = {}
"""Every metric by its id; `declare` fills it."""
Compute = TypeVar("Compute", bound=Callable[..., Iterator["Raw"]])


def declare(
    id_: str,
    doc: str,
    *,
    title: str,
    unit: str,
    better: Better,
    scope: Scope = "row",
    is_tuned: bool = True,
    of_trained: bool = False,
    least: float = -math.inf,
) -> Callable[[Compute], Compute]:
    """Declare a metric above the function that computes it; see `Metric`.

    Raises:
        ValueError: there is a metric of that id.
    """

    def register(compute: Compute) -> Compute:
        if id_ in METRICS:
            raise ValueError(f"there is a metric {id_!r} already")
        METRICS[id_] = Metric(
            id=id_,
            title=title,
            unit=unit,
            better=better,
            doc=doc,
            scope=scope,
            compute=partial(compute, id_),
            is_tuned=is_tuned,
            of_trained=of_trained,
            least=least,
        )
        return compute

    return register


def bounds_of(metric: str, unit: str) -> tuple[float, float]:
    """The least and the greatest value that a metric can have.

    >>> bounds_of("score", "accuracy"), bounds_of("skill", "skill")
    ((0.0, 1.0), (-inf, inf))
    """
    declared = METRICS[metric]
    if metric == "tunability" or not (unit == "share" or (unit == "accuracy" and declared.unit == "")):
        return declared.least, math.inf
    return (-1.0, 1.0) if metric == "rate_difference" else (0.0, 1.0)


def check_metrics(names: list[str]) -> None:
    """Check ids of metrics.

    Raises:
        SpecError: one is unknown; the nearest is offered.
    """
    for name in names:
        if name not in METRICS:
            raise SpecError.of("--metric", f"there is no metric {name!r:.80}; {nearest(name, METRICS)}")


@dataclass(frozen=True, slots=True)
class Delta:
    """How far below the tuned score a learning rate may lie: in units of the score, or as a share of skill."""

    value: float
    of_skill: bool

    @classmethod
    def parse(cls, text: str) -> Delta:
        """`0.02` is in units of the score, `5%` of skill.

        Raises:
            SpecError: neither, or negative.
        """
        of_skill = text.strip().endswith("%")
        try:
            value = float(text.strip().removesuffix("%"))
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise SpecError.of(
                "--delta", f"must be a score >= 0 (0.02) or a share of skill (5%), got {text!r:.80}"
            )
        return cls(value / 100 if of_skill else value, of_skill)

    def in_score(self, span: float, *, is_loss: bool) -> float:
        """In units of the score, span being r - b; a loss has no unit of its own: always of skill."""
        return self.value * span if self.of_skill or is_loss else self.value

    def __str__(self) -> str:
        return f"{100 * self.value:g} % of skill" if self.of_skill else f"{self.value:g}"


DEFAULT_DELTA = Delta(0.05, of_skill=True)
