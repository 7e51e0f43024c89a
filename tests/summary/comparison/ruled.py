"""Studies without a store: trials by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any

from robustness.summary import Study, TaskConstants
from tests.summary.frames import FACTS, frame
from tests.summary.studies import study_of

Rule = Callable[[str, str, float, int], dict[str, Any]]
"""What is special about a trial of an optimizer, initialization, learning rate and seed."""

LRS = tuple(10.0 ** (k / 2) for k in range(-8, 3))  # 1e-4 to 10, half a decade apart


def grid_rows(
    rule: Rule,
    optimizers: Iterable[str] = ("a", "b"),
    inits: Iterable[str] = ("i", "j"),
    lrs: Iterable[float] = LRS,
    seeds: Iterable[int] = range(8),
    task: str = "t",
) -> list[dict[str, Any]]:
    """A full grid in the order of a spec."""
    return [
        {"task": task, "optimizer": o, "init": i, "lr": lr, "seed_index": s, **rule(o, i, lr, s)}
        for o, i, lr, s in product(optimizers, inits, lrs, seeds)
    ]


def study(rows: list[dict[str, Any]], facts: TaskConstants = FACTS, **changes: Any) -> Study:
    """A classified study of such trials."""
    return replace(study_of(frame(*rows), facts), **changes)
