"""Studies from frames of trials, without a store."""

from __future__ import annotations

from typing import Any

import pandas as pd

from robustness.store import CONFIRM
from robustness.summary import Study, TaskConstants, Thresholds, classify
from robustness.trial import ImportedTask
from tests.summary.frames import AT_CHANCE, FACTS, frame


def study_of(
    trials: pd.DataFrame, facts: TaskConstants = FACTS, optimizers: dict[str, dict[str, Any]] | None = None
) -> Study:
    every = trials.reset_index(drop=True)
    fresh = every["reason"] == CONFIRM
    trials, confirming = every[~fresh], every[fresh]
    tasks = list(dict.fromkeys(trials["task"]))
    constants = dict.fromkeys(tasks, facts)
    return Study(
        name="s",
        title="A study",
        question="",
        spec={},
        source={},
        environment={},
        tasks={task: ImportedTask(budget="10 epochs") for task in tasks},
        facts=constants,
        optimizers=optimizers or {name: {"name": "sgd"} for name in dict.fromkeys(trials["optimizer"])},
        trials=trials,
        complete=classify(trials[trials["state"] == "complete"], constants),
        confirming=confirming,
        confirmed=classify(confirming[confirming["state"] == "complete"], constants),
        settings=trials[[]],
        thresholds=Thresholds(),
    )


def grid_rows(
    *, optimizers: tuple[str, ...] = ("a", "b"), inits: tuple[str, ...] = ("i", "j"), seeds: int = 6
) -> list[dict[str, Any]]:
    """A grid of five learning rates: the largest diverges, the smallest stalls, the rest train by their distance to 0.1."""
    rows = []
    for o, optimizer in enumerate(optimizers):
        for i, init in enumerate(inits):
            for lr in (0.001, 0.01, 0.1, 1.0, 10.0):
                for seed in range(seeds):
                    accuracy = 0.95 - 0.1 * (lr != 0.1) - 0.01 * o - 0.02 * i + 0.001 * ((seed * 7 + i) % 5)
                    row = {"optimizer": optimizer, "init": init, "lr": lr, "seed_index": seed}
                    good = {"test_accuracy": accuracy, "validation_accuracy": accuracy}
                    dead = {"first_nonfinite_step": 5.0, "train_loss": float("nan")}
                    dead |= {"test_accuracy": float("nan"), "validation_accuracy": float("nan")}
                    early = 0.001 * o  # the second optimizer's last seed survives
                    ends = dead if lr == 10.0 and not (early and seed == 0) else good
                    rows.append(row | (AT_CHANCE if lr == 0.001 else ends))
    return rows


def fragile_rows(trained: dict[str, int], seeds: int = 10) -> list[dict[str, Any]]:
    """Optimizers that train at one learning rate of five, 0.01, in so many seeds; the optimizer `good` in all, at three."""
    lrs = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    rows = [
        {"optimizer": "good", "lr": lr, "seed_index": s, **(AT_CHANCE if lr in (lrs[0], lrs[-1]) else {})}
        for lr in lrs
        for s in range(seeds)
    ]
    return rows + [
        {"optimizer": name, "lr": lr, "seed_index": s, **({} if lr == 1e-2 and s < k else AT_CHANCE)}
        for name, k in trained.items()
        for lr in lrs
        for s in range(seeds)
    ]


def grid_study(**changes: Any) -> Study:
    return study_of(frame(*grid_rows(**changes)))
