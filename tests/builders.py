"""Small specs, trials and records for tests."""

from __future__ import annotations

import math
from typing import Any

from robustness.spec import Space, expand, parse
from robustness.store import Store, StudyTrial
from robustness.trial import EpochRecord, Trial, TrialRecord


def spec(**changes: Any) -> dict[str, Any]:
    """A small valid study as plain data; `search` and `task` are merged, the rest replaced."""
    task = {"data": "digits", "model": "mlp", "epochs": 2, "batch_size": 64, **changes.pop("task", {})}
    search = {"lr": [0.1, 1.0], "init": ["default"], "seeds": 2, **changes.pop("search", {})}
    return {
        "name": "small",
        "tasks": [task],
        "optimizers": [{"name": "sgd"}],
        "search": {k: v for k, v in search.items() if v is not None},
        **changes,
    }


def space(**changes: Any) -> Space:
    return expand(parse(spec(**changes)))


def trials(**changes: Any) -> list[Trial]:
    return [trial for trial, _ in space(**changes).trials()]


def save(store: Store, **changes: Any) -> int:
    """Save the small study; its id."""
    study = parse(spec(**changes))
    found = expand(study)
    study_id = store.register(study.name)
    held = store.acquire(study_id)
    store.save_study(
        held,
        title=study.title,
        question=study.question,
        spec=study.model_dump(mode="json"),
        tasks={task.label: task.config.as_dict() for task in found.tasks},
        trials=[StudyTrial(trial, *labels) for trial, labels in found.trials()],
    )
    store.release(held)
    return study_id


def epoch(number: int = 1, **changes: float) -> EpochRecord:
    figures = {
        "train_loss": 0.5,
        "train_loss_max": 0.9,
        "validation_loss": 0.6,
        "validation_accuracy": 0.9,
        "test_loss": 0.6,
        "test_accuracy": 0.91,
        "parameter_norm": 5.0,
        "distance": 1.0,
        "clamped_share": math.nan,
        "seconds": 0.1,
    }
    return EpochRecord(epoch=number, **{**figures, **changes})


def dead_epoch(number: int = 1, loss: float = math.nan) -> EpochRecord:
    after = (
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "parameter_norm",
        "distance",
    )
    return epoch(number, train_loss=loss, train_loss_max=loss, **dict.fromkeys(after, math.nan))


def record(trial: Trial, *epochs: EpochRecord, l0: float = 2.3, step: int | None = None) -> TrialRecord:
    return TrialRecord(
        key=trial.key,
        l0=l0,
        first_nonfinite_step=step,
        nonfinite=step is not None,
        epochs=epochs or (epoch(1), epoch(2)),
    )
