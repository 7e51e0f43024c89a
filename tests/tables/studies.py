"""A study whose trials end as a formula says, without training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robustness.store import Store
from robustness.trial import Trial
from tests.builders import dead_epoch, epoch, record, save, trials

SPEC: dict[str, Any] = {
    "title": "Which optimizer survives?",
    "task": {"data": ["digits", "mnist1d"]},
    "optimizers": [
        {"name": "sgd", "momentum": 0.9, "label": "momentum"},
        {"name": "adam"},
        {"name": "insgd", "norm": "l2"},
    ],
    "search": {"lr": [0.001, 0.01, 0.1, 1.0], "init": ["default", "kaiming-normal"], "seeds": 5},
}


def fill(store: Store, leave: int = 0, **changes: Any) -> None:
    """Save the study with all trials complete, but for the last `leave`."""
    spec = {**SPEC, **changes}
    held = store.acquire(save(store, **spec))
    every = trials(**spec)
    store.finish(held, [_ended(trial) for trial in every[: len(every) - leave]])
    store.release(held)


def _ended(trial: Trial) -> Any:
    cell = trial.cell
    rng = np.random.default_rng([trial.seed_index, int(-10 * math.log10(cell.lr)) + 100])
    above = {"sgd": 0.1, "adam": 0.01, "insgd": 10.0}.get(cell.optimizer.name, 1.0)
    above *= 1 if cell.init.name == "default" else 0.5 + trial.seed_index / 4
    if cell.lr > above:
        return record(trial, dead_epoch(1), step=3)
    best = {"sgd": 0.955, "adam": 0.95, "insgd": 0.97}.get(cell.optimizer.name, 0.9)
    score = best - 0.05 * abs(math.log10(cell.lr / above)) + 0.004 * float(rng.standard_normal())
    return record(trial, epoch(1), epoch(2, validation_accuracy=score, test_accuracy=score - 0.01))
