"""Studies as one Optuna journal file, which optuna-dashboard opens: an Optuna study for each task of a study.

Optuna knows no divergence, and drops what is not finite. So a diverged trial is complete here, with its capped
score, and its user attributes say what happened; values that are not finite are left out of the curves.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from robustness.errors import writing
from robustness.store import Store
from robustness.summary import Study, load_study
from robustness.summary.study import epoch_frame, trial_frame
from robustness.trial import TrialState

__all__ = ["write_journal"]

Advance = Callable[[int], None]
Curves = dict[str, dict[int, float]]
"""Score by epoch, by a trial's key."""

STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.WAITING: OptunaState.WAITING,
    TrialState.RUNNING: OptunaState.WAITING,  # nothing runs in a file, and Optuna would want to know since when
}
_LOG_FROM = 30.0
"""Spread from which a hyperparameter is on a logarithmic axis."""


def write_journal(store: Store, path: Path, names: Sequence[str], advance: Advance) -> dict[str, int]:
    """Write studies to a new journal file, whole or not at all.

    Args:
        store: where they are.
        path: of the file; an existing one would be appended to.
        names: of the studies.
        advance: called with how many trials were done, again and again.

    Returns:
        The number of trials of each Optuna study, `study: task`.

    Raises:
        StoreMissing: no study of one of these names.
    """
    journal = _Gathered()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # names of objectives
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(journal)
        counts: dict[str, int] = {}
        for name in names:
            counts |= _add_study(storage, store, load_study(store, name), advance)
    with writing(path):
        JournalFileBackend(str(path)).append_logs(journal.logs)
    return counts


class _Gathered(BaseJournalBackend):
    """A journal in memory: a file costs 12 ms an entry, as each one is synced to the disk."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def _add_study(storage: JournalStorage, store: Store, study: Study, advance: Advance) -> dict[str, int]:
    frame = trial_frame(store, study)
    epochs = epoch_frame(store, study.name)
    counts = {}
    for label, own in frame.groupby("task", sort=False):
        task = str(label)
        made = optuna.create_study(storage=storage, study_name=f"{study.name}: {task}", direction="maximize")
        made.set_metric_names(["score"])
        loss = study.facts[task].score == "loss"
        for name, text in (
            ("title", study.title),
            ("question", study.question),
            ("score", "minus the test loss" if loss else "test accuracy"),
            ("a trial that did not train", "scores as the best constant predictor"),
            ("an infeasible trial", "diverged"),
        ):
            if text:
                made.set_user_attr(name, text)
        curves = _curves(
            epochs[epochs["task"] == label], "test_loss" if loss else "test_accuracy", -1 if loss else 1
        )
        for trial in _trials(own, curves, _unscored(study.facts[task].chance, own)):
            made.add_trial(trial)
            advance(1)
        counts[made.study_name] = len(own)
    return counts


def _unscored(chance: float, own: pd.DataFrame) -> float:
    """The score of a trial that did not train; where a log does not tell it, the lowest there is."""
    lowest = own["score"].min()
    return chance if math.isfinite(chance) else float(lowest) if math.isfinite(lowest) else 0.0


def _curves(epochs: pd.DataFrame, column: str, sign: int) -> Curves:
    values = sign * epochs[column]
    found: Curves = {}
    for key, epoch, value in zip(epochs["key"], epochs["epoch"], values, strict=True):
        if math.isfinite(value):
            found.setdefault(key, {})[int(epoch)] = value
    return found


# -- trials ----------------------------------------------------------------------------------------


def _trials(own: pd.DataFrame, curves: Curves, unscored: float) -> Iterator[FrozenTrial]:
    """The trials of one task, in the study's order."""
    parameters = [
        _parameters(row)
        for row in own[["optimizer", "init", "lr", "seed_index", "config"]].to_dict("records")
    ]
    distributions = _distributions(parameters)
    for row, given in zip(own.to_dict("records"), parameters, strict=True):
        params = {name: value for name, value in given.items() if name in distributions}
        state = STATES[TrialState(row["state"])]
        complete = state is OptunaState.COMPLETE
        score = row["score"] if math.isfinite(row["score"]) else unscored
        trial = create_trial(
            state=OptunaState.WAITING,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs=_attributes(row),
            # Where a constraint is broken, the dashboard marks a trial in its lists and plots, and Optuna never
            # calls it the best. It reads the list of Optuna 4, which Optuna 5 takes too.
            system_attrs={"constraints": [float(row["side"] == "diverged")]} if complete else {},
            intermediate_values=curves.get(row["key"], {}),
        )
        if state is not OptunaState.WAITING:
            trial.state = state
            trial.values = [score] if complete else None
            trial.datetime_complete = datetime.fromisoformat(row["finished_at"])
            seconds = row["seconds"] if math.isfinite(row["seconds"]) else 0.0
            trial.datetime_start = trial.datetime_complete - timedelta(seconds=seconds)
        yield trial


def _parameters(row: dict[Hashable, Any]) -> dict[str, Any]:
    """The axes of the study, and whatever else the trial's configuration says that may vary within a task."""
    config = json.loads(row["config"])
    found = {name: row[name] for name in ("optimizer", "init", "lr", "seed_index")}
    optimizer = config.get("optimizer")
    more = dict(optimizer) if isinstance(optimizer, dict) else {}
    more.pop("name", None)
    for name, value in {**more, **config.get("hyperparameters", {})}.items():
        if value is not None:
            # Optuna's categories are single values.
            plain = value if isinstance(value, (bool, int, float, str)) else json.dumps(value)
            found[f"optimizer_{name}" if name in found else name] = plain
    return found | {name: value for name, value in _drawn(config).items() if name not in found}


def _drawn(config: dict[str, Any]) -> dict[str, float]:
    """The numbers of a trial's initialization and of its task, which a sampler may have drawn."""
    if not isinstance(config.get("task"), dict):
        return {}  # other people's log
    task = config["task"]
    found = {f"init_{name}": value for name, value in config["init"].items()}
    found |= {**task, **task["data"], **task["model"]}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _distributions(parameters: Sequence[dict[str, Any]]) -> dict[str, BaseDistribution]:
    """One for each axis, and for each hyperparameter that varies."""
    values: dict[str, dict[Any, None]] = {}
    for one in parameters:
        for name, value in one.items():
            # 1 and True are equal, and not the same choice.
            values.setdefault(name, {})[type(value) is bool, value] = None
    found: dict[str, BaseDistribution] = {}
    for name, known in values.items():
        if len(known) > 1 or name in ("optimizer", "init", "lr", "seed_index"):
            found[name] = _distribution(name, [value for _, value in known])
    return found


def _distribution(name: str, values: Sequence[Any]) -> BaseDistribution:
    if any(isinstance(value, (bool, str)) for value in values):
        return CategoricalDistribution(list(values))
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return IntDistribution(int(low), int(high))
    return FloatDistribution(
        float(low), float(high), log=low > 0 and (name == "lr" or high >= _LOG_FROM * low)
    )


def _attributes(row: dict[Hashable, Any]) -> dict[str, Any]:
    """What happened, for the dashboard's lists and plots; what a trial does not have is left out."""
    found: dict[str, Any] = {}
    if row["state"] == TrialState.COMPLETE:
        found = {name: row[name] for name in ("outcome", "side", "evidence")}
        found["diverged"] = int(row["side"] == "diverged")  # a number, so that it can be an axis
        if math.isfinite(row["skill"]):
            found["skill"] = row["skill"]
        if math.isfinite(row["first_nonfinite_step"]):
            found["first_nonfinite_step"] = int(row["first_nonfinite_step"])
    if row["state"] == TrialState.FAILED and row["error"]:
        found["error"] = row["error"].strip().splitlines()[-1][:500]
    return {**found, "state": row["state"], "key": row["key"]}
