"""Small logs in the published formats, and what an import makes of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from robustness.importers import import_logs, surveyed
from robustness.store import Store, open_store
from robustness.store.schema import study_trial, trial
from robustness.summary import Study, load_study
from robustness.summary.study import trial_frame

DATA = Path(__file__).parents[1] / "data" / "imports"
NAN = math.nan


def imported(tmp_path: Path, format_name: str, path: Path, name: str = "logs") -> Study:
    """Import into a store of the test's own; the study as the summaries read it, with all that was recorded."""
    found = surveyed(format_name, path, name=name)
    with open_store(f"sqlite:///{tmp_path / 'store.db'}", create=True) as store:
        import_logs(store, found)
        study = load_study(store, name)
        trials = trial_frame(store, study)
        more = trials[trials.columns.difference(study.complete.columns)]
        return replace(study, trials=trials, complete=study.complete.join(more))


def keys(store: Store, name: str = "logs") -> list[str]:
    """Keys of the trials of a study, in its order."""
    return [row.key for row in _rows(store, name)]


def epochs(tmp_path: Path, position: int = 0) -> list[Any]:
    """Rows of the epochs of one trial of the study `logs`."""
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        return store.epochs(keys(store)[position])


def configs(tmp_path: Path) -> list[dict[str, Any]]:
    """What is kept of each trial of the study `logs`."""
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        return [json.loads(row.config) for row in _rows(store, "logs")]


def _rows(store: Store, name: str) -> list[Any]:
    query = (
        sa.select(trial.c.key, trial.c.config)
        .join(study_trial, study_trial.c.trial_id == trial.c.id)
        .where(study_trial.c.study_id == store.study(name).id)
        .order_by(study_trial.c.position)
    )
    with store.reading() as connection:
        return list(connection.execute(query))


def deepobs(
    root: Path,
    *,
    train: Sequence[float],
    test: Sequence[float] | None = None,
    accuracies: Sequence[float] | None = None,
    steps: Sequence[float] = (),
    problem: str = "fmnist_2c2d",
    seed: int = 42,
    lr: Any = 0.1,
    file: str = "",
    **changes: Any,
) -> Path:
    """Write a log as DeepOBS 1.1 does; a change to None takes the field out."""
    plain: dict[str, Any] = {
        "train_losses": list(train),
        "test_losses": list(train if test is None else test),
        "minibatch_train_losses": list(steps),
        "optimizer": "GradientDescentOptimizer",
        "testproblem": problem,
        "weight_decay": None,
        "batch_size": 128,
        "num_epochs": len(train) - 1,
        "learning_rate": lr,
        "lr_sched_epochs": None,
        "lr_sched_factors": None,
        "random_seed": seed,
        "train_log_interval": 1,
        "hyperparams": {},
    }
    if accuracies is not None:
        plain |= {"train_accuracies": list(accuracies), "test_accuracies": list(accuracies)}
    plain |= changes
    plain = {key: value for key, value in plain.items() if value is not ...}
    path = root / problem / "Optimizer" / f"lr__{lr}" / (file or f"random_seed__{seed}__2019.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain))
    return path
