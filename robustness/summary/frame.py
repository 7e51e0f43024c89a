"""From the store to data frames."""

from __future__ import annotations

import gc
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from robustness.errors import SpecError
from robustness.phrases import counted
from robustness.spec.sampling import DRAWING
from robustness.store import CONFIRM, Store
from robustness.store.schema import epoch, study_trial, trial
from robustness.store.schema import study as study_table
from robustness.summary.chosen import sampler_of
from robustness.summary.outcome import Thresholds, classify
from robustness.summary.tasks import TaskConstants, filled, task_facts
from robustness.trial import ImportedTask, TaskConfig, TrialState, task_from_dict

__all__ = ["COLUMNS", "Study", "check_begun", "epoch_frame", "load_study", "trial_frame"]

_LABELS = ("task", "optimizer", "init")
_FIGURES = (
    "l0",
    "nonfinite",
    "stopped",
    "train_loss",
    "min_train_loss",
    "max_train_loss",
    "max_loss_rise",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "max_earlier_score",
    "clamped_share",
)
COLUMNS = (*_LABELS, "reason", "lr", "seed_index", "state", *_FIGURES)
"""What summaries need of a trial; `trial_frame` has all that was recorded."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as the read side sees it.

    Attributes:
        name: its id.
        title: free text; escape where shown.
        question: free text; escape where shown.
        spec: what the user wrote; empty where imported.
        source: where it was imported from; empty where it was run.
        environment: versions and machine of its last run; empty where not known.
        tasks: the configuration of each task label.
        facts: the constants of each task label, stand-ins included.
        optimizers: name and arguments of each optimizer label, as recorded with its first trial.
        trials: every trial of the study's design or its sampler, `COLUMNS`, in the spec's order.
        complete: the complete ones, classified; see `outcome.classify`.
        confirming: trials that repeat tuned settings with fresh seeds, as `trials`; in no rate and in no selection.
        confirmed: the complete ones, classified.
        settings: of studies whose settings were drawn, here or by others, what varied beside the learning rate: one
            column a number, the index of `trials`.
        thresholds: the rule by which they were classified.
    """

    name: str
    title: str
    question: str
    spec: dict[str, Any]
    source: dict[str, Any]
    environment: dict[str, str]
    tasks: dict[str, TaskConfig | ImportedTask]
    facts: dict[str, TaskConstants]
    optimizers: dict[str, dict[str, Any]]
    trials: pd.DataFrame
    complete: pd.DataFrame
    confirming: pd.DataFrame
    confirmed: pd.DataFrame
    settings: pd.DataFrame
    thresholds: Thresholds

    def budget(self, task: str) -> str:
        """Of a task, in words; what a sampler drew of it as a range."""
        config = self.tasks[task]
        text = config.budget
        if isinstance(config, TaskConfig):
            own = self.settings[self.trials["task"] == task]
            for name, word in (
                ("epochs", counted(config.epochs, "epoch")),
                ("batch_size", f"batch {config.batch_size}"),
            ):
                if name in own and own[name].nunique() > 1:
                    drawn = f"{own[name].min():g} to {own[name].max():g}"
                    text = text.replace(word, f"{drawn} epochs" if name == "epochs" else f"batch {drawn}")
        return text

    def only(self, optimizers: Collection[str]) -> Study:
        """The same, of these optimizers alone; labels stay those of all trials."""
        parts = {
            name: frame[frame["optimizer"].isin(optimizers)]
            for name in ("trials", "complete", "confirming", "confirmed")
            for frame in (getattr(self, name),)
        }
        kept = {label: plain for label, plain in self.optimizers.items() if label in optimizers}
        return replace(self, optimizers=kept, settings=self.settings.loc[parts["trials"].index], **parts)

    @property
    def counts(self) -> dict[str, int]:
        """Trials in each state, confirming ones included."""
        found = pd.concat([self.trials["state"], self.confirming["state"]]).value_counts()
        return {state.value: int(found.get(state.value, 0)) for state in TrialState}


def load_study(
    store: Store, name: str, thresholds: Thresholds | None = None, *, seeds: Collection[int] | None = None
) -> Study:
    """Read and classify a study.

    Args:
        store: where it is.
        name: its id.
        thresholds: of the rule.
        seeds: keep these seed indices only; outcomes are those that all seeds give.

    Raises:
        StoreMissing: no study of that name.
        SpecError: no trial has one of these seed indices.
    """
    row = store.study(name)
    rules = thresholds or Thresholds()
    source = json.loads(row.source or "{}")
    tasks = {label: task_from_dict(plain) for label, plain in json.loads(row.tasks).items()}
    every = _read_trials(store, row.id)
    trials = every[every["reason"] != CONFIRM]
    confirming = every[every["reason"] == CONFIRM]
    complete = trials[trials["state"] == TrialState.COMPLETE.value]
    facts = {
        label: filled(task_facts(task), complete[complete["task"] == label]) for label, task in tasks.items()
    }
    spec = json.loads(row.spec)
    drawn = bool(source) or sampler_of(spec) in DRAWING
    settings = _settings(store, row.id, trials, imported=bool(source)) if drawn else trials[[]]
    within = (
        settings.groupby([trials[label] for label in _LABELS], sort=False).nunique() if drawn else settings
    )
    only_lr_varies = not (within > 1).any(axis=None)
    classified = classify(complete, facts, rules, only_lr_varies=only_lr_varies)
    confirmed = _confirmed(confirming, complete, facts, rules)
    if seeds is not None:  # the rule, and what it takes from the study, stay those of all seeds
        trials, classified = (part[part["seed_index"].isin(seeds)] for part in (trials, classified))
        if not len(trials):
            raise SpecError.of(
                "--seed-filter", f"no trial of {name!r} has one of the seed indices {sorted(seeds)}"
            )
    return Study(
        name=row.name,
        title=row.title,
        question=row.question,
        spec=spec,
        source=source,
        environment=json.loads(row.environment or "{}"),
        tasks=tasks,
        facts=facts,
        optimizers=_optimizers(store, row.id, trials),
        trials=trials,
        complete=classified,
        confirming=confirming,
        confirmed=confirmed,
        settings=settings.loc[trials.index],
        thresholds=rules,
    )


def check_begun(study: Study) -> None:
    """Check that a study has trials: a run that is killed while it starts leaves a study without any.

    Raises:
        SpecError: it has none.
    """
    if not len(study.trials):
        raise SpecError.of("study", f"{study.name!r} has no trials yet; if nothing runs it, run it again")


def _confirmed(
    confirming: pd.DataFrame, complete: pd.DataFrame, facts: dict[str, TaskConstants], rules: Thresholds
) -> pd.DataFrame:
    """The complete confirming trials, classified beside the design, which their labels may rest on."""
    own = confirming[confirming["state"] == TrialState.COMPLETE.value]
    return classify(pd.concat([complete, own]) if len(own) else own, facts, rules).loc[own.index]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would walk a hundred thousand new rows again and again."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def _read_trials(store: Store, study_id: int) -> pd.DataFrame:
    # The database's own values, a column at a time: rows as objects take five times as long.
    columns = [
        *(study_trial.c[name] for name in (*_LABELS, "reason")),
        *(trial.c[name] for name in ("lr", "seed_index", "state", *_FIGURES)),
    ]
    query = (
        sa.select(*columns)
        .join(trial, trial.c.id == study_trial.c.trial_id)
        .where(study_trial.c.study_id == study_id)
        .order_by(study_trial.c.position)
    )
    with store.reading() as connection, _uncollected():
        rows = connection.execute(query).cursor.fetchall()
    values = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(COLUMNS, ())
    kinds = {"seed_index": np.int64, **dict.fromkeys((*_LABELS, "reason", "state"), object)}
    # NULL is NaN.
    arrays = {name: np.array(column, dtype=kinds.get(name, float)) for name, column in values.items()}
    return pd.DataFrame(arrays)


def _optimizers(store: Store, study_id: int, trials: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The optimizer of one trial of each label: all of a label share it."""
    first = trials["optimizer"].drop_duplicates()
    query = (
        sa.select(study_trial.c.optimizer, trial.c.config)
        .join(trial, trial.c.id == study_trial.c.trial_id)
        .where(study_trial.c.study_id == study_id, study_trial.c.position.in_(first.index.tolist()))
        .order_by(study_trial.c.position)
    )
    with store.reading() as connection:
        return {row.optimizer: json.loads(row.config)["optimizer"] for row in connection.execute(query)}


def _settings(store: Store, study_id: int, trials: pd.DataFrame, *, imported: bool) -> pd.DataFrame:
    """The numbers that vary between trials, the learning rate apart; of a study that was run, what its sampler drew."""
    query = (
        sa.select(study_trial.c.position, trial.c.config)
        .join(trial, trial.c.id == study_trial.c.trial_id)
        .where(study_trial.c.study_id == study_id)
        .order_by(study_trial.c.position)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    plain = [_numbers(json.loads(row.config)) for row in rows]
    frame = pd.DataFrame(plain, index=[row.position for row in rows]).loc[trials.index]
    numeric = frame.select_dtypes("number")
    if imported:
        return numeric.loc[:, numeric.nunique() > 1]
    own = numeric.groupby([trials[label] for label in _LABELS], sort=False)
    return numeric.loc[:, (own.nunique() > 1).any()]


def _numbers(config: dict[str, Any]) -> dict[str, float]:
    """All that a trial's configuration says in numbers, or may."""
    if "hyperparameters" in config:
        return dict(config["hyperparameters"])
    task = {name: value for name, value in config["task"].items() if name not in ("data", "model")}
    found: dict[str, float] = {**config["task"]["data"], **config["task"]["model"], **task}
    for part in (config["optimizer"], config["init"]):
        found |= {f"{part['name']}.{name}": value for name, value in part.items()}
    return found


_RECORDED = (
    "lr",
    "seed_index",
    "key",
    "state",
    "attempts",
    "config",
    "error",
    "finished_at",
    "first_nonfinite_step",
    "epochs",
    "parameter_norm",
    "distance",
    "seconds",
)


def trial_frame(store: Store, study: Study) -> pd.DataFrame:
    """Every trial with all that was recorded: figures, config (JSON), last error, when it ended.

    Outcome, side and evidence are empty where a trial is not complete.
    """
    query = (
        sa.select(*(trial.c[name] for name in _RECORDED))
        .join(study_trial, study_trial.c.trial_id == trial.c.id)
        .join(study_table, study_table.c.id == study_trial.c.study_id)
        .where(study_table.c.name == study.name)
        .order_by(study_trial.c.position)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    trials = pd.concat([study.trials, study.confirming]).sort_index()
    rest = pd.DataFrame.from_records(rows, columns=list(_RECORDED)).loc[trials.index]
    rest = rest.astype(dict.fromkeys(_RECORDED[_RECORDED.index("first_nonfinite_step") :], float))
    labels = pd.concat([study.complete, study.confirmed])[["outcome", "side", "evidence", "skill", "score"]]
    own = trials[[name for name in COLUMNS if name not in _RECORDED]]
    return pd.concat([own[list(_LABELS)], rest, own.drop(columns=list(_LABELS))], axis=1).join(labels)


def epoch_frame(store: Store, name: str) -> pd.DataFrame:
    """Every epoch of every complete trial of a study, with its labels.

    Raises:
        StoreMissing: no study of that name.
    """
    study_id = store.study(name).id
    figures = [c for c in epoch.c if c.name not in ("trial_id", "epoch")]
    query = (
        sa.select(
            *(study_trial.c[label] for label in _LABELS),
            trial.c.lr,
            trial.c.seed_index,
            trial.c.key,
            epoch.c.epoch,
            *(sa.type_coerce(c, sa.Double).label(c.name) for c in figures),
        )
        .join(trial, trial.c.id == study_trial.c.trial_id)
        .join(epoch, epoch.c.trial_id == trial.c.id)
        .where(study_trial.c.study_id == study_id)
        .order_by(study_trial.c.position, epoch.c.epoch)
    )
    with store.reading() as connection:
        result = connection.execute(query)
        frame = pd.DataFrame.from_records(result.all(), columns=list(result.keys()))
    return frame.astype({c.name: float for c in figures})
