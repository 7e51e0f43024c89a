"""Studies without a store: trials by rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any

from robustness.summary import Study, TaskConstants
from tests.summary.frames import AT_CHANCE, BLOWUP, FACTS, frame
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


SHIFT = {"a": 1.0, "b": 10.0}
"""The same optimizer twice: b takes ten times smaller steps at the same learning rate."""


def shifted(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    """Trains from 1e-3 to 0.1 (of a), blows up above, stays at chance below; seeds differ a little at the edge."""
    own = math.log10(lr / SHIFT[optimizer])
    edge = -1.2 if seed % 3 == 0 else -0.7
    if own > edge:
        return BLOWUP
    if own < -3.2:
        return AT_CHANCE
    score = 0.95 - 0.01 * (own + 2) ** 2 + 0.001 * (seed % 4)
    return {"validation_accuracy": score, "test_accuracy": score, "train_loss": 0.1 + 0.1 * (own + 2) ** 2}


def worse(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    """A blows up two grid steps earlier than b, and scores less."""
    edge = -2.1 if optimizer == "a" else -0.7
    if math.log10(lr) > edge - 0.5 * (seed == 0):
        return BLOWUP
    score = (0.90 if optimizer == "a" else 0.95) + 0.001 * (seed % 3)
    return {"validation_accuracy": score, "test_accuracy": score}
