"""A study as the read side sees it: its trials, classified once, and what is computed from them, once, on demand."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from robustness.catalog import OPTIMIZERS
from robustness.errors import SpecError
from robustness.phrases import counted
from robustness.spec.sampling import DRAWING
from robustness.store import CONFIRM, Store
from robustness.store.trial_frames import (
    LABELS,
    RECORD_COLUMNS,
    TRIAL_COLUMNS,
    read_configs,
    read_epochs,
    read_records,
    read_trials,
)
from robustness.summary.confirmed import with_confirmed
from robustness.summary.grid import Grid
from robustness.summary.outcome import Thresholds, classify
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import draws_for
from robustness.summary.sampler_limits import sampler_of
from robustness.summary.tasks import TaskConstants, filled, task_facts
from robustness.trial import ImportedTask, TaskConfig, TrialState, task_from_dict

__all__ = ["Study", "check_begun", "epoch_frame", "load_study", "study_of_trials", "trial_frame"]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study with its trials. Grid, tuning and resamples are computed once, when they are first asked for.

    Attributes:
        id: of its row in the store.
        name: its id for users.
        title: free text; escape where shown.
        question: free text; escape where shown.
        spec: what the user wrote; empty where imported.
        source: where it was imported from; empty where it was run.
        environment: versions and machine of its last run; empty where not known.
        tasks: the configuration of each task label.
        facts: the constants of each task label, stand-ins included.
        optimizers: name and arguments of each optimizer label, as recorded with its first trial.
        trials: every trial of the study's design or its sampler, `TRIAL_COLUMNS`, in the spec's order.
        complete: the complete ones, classified; see `outcome.classify`.
        confirming: trials that repeat tuned settings with fresh seeds, as `trials`; in no rate and in no selection.
        confirmed: the complete ones, classified.
        settings: of studies whose settings were drawn, here or by others, what varied beside the learning rate: one
            column a number, the index of `trials`.
        thresholds: the rule by which they were classified.
    """

    id: int = 0
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

    @cached_property
    def grid(self) -> Grid:
        """Its squares: what every rate, figure and table is computed from."""
        return Grid(
            trials=self.trials,
            complete=self.complete,
            settings=self.settings,
            facts=self.facts,
            spec=self.spec,
            optimizers=tuple(self.optimizers),
        )

    @cached_property
    def tuning(self) -> tuple[Resampled, ...]:
        """What is tuned, of every optimizer on every task with something complete, on the sample itself."""
        return self._resampled(0)

    @cached_property
    def resamples(self) -> tuple[Resampled, ...]:
        """The same in every resample of whole seeds: what intervals are made from."""
        return self._resampled(draws_for(len(self.complete)))

    def _resampled(self, draws: int) -> tuple[Resampled, ...]:
        samples = [
            Resampled(
                cube=cube,
                constants=self.facts[cube.task],
                default_lr=_default_lr(self.optimizers.get(cube.optimizer, {})),
                draws=draws,
            )
            for cube in self.grid.cubes
        ]
        return tuple(with_confirmed(samples, confirming=self.confirming, confirmed=self.confirmed))

    @cached_property
    def is_confirmed(self) -> bool:
        """Whether scores are those of fresh seeds; see `confirmed.with_confirmed`."""
        return any(sample.confirmed is not None for sample in self.tuning)

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
    source = json.loads(row.source or "{}")
    trials = read_trials(store, row.id)
    spec = json.loads(row.spec)
    design = trials[trials["reason"] != CONFIRM]
    varies = bool(source) or sampler_of(spec) in DRAWING
    return study_of_trials(
        id=row.id,
        name=row.name,
        title=row.title,
        question=row.question,
        spec=spec,
        source=source,
        environment=json.loads(row.environment or "{}"),
        tasks={label: task_from_dict(plain) for label, plain in json.loads(row.tasks).items()},
        optimizers=_optimizers(store, row.id, design),
        trials=trials,
        settings=_settings(store, row.id, design, imported=bool(source)) if varies else None,
        thresholds=thresholds,
        seeds=seeds,
    )


def study_of_trials(
    *,
    id: int = 0,
    name: str,
    title: str,
    question: str,
    spec: dict[str, Any],
    source: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    tasks: dict[str, TaskConfig | ImportedTask],
    optimizers: dict[str, dict[str, Any]],
    trials: pd.DataFrame,
    settings: pd.DataFrame | None = None,
    thresholds: Thresholds | None = None,
    seeds: Collection[int] | None = None,
) -> Study:
    """Classify trials, wherever they were read from, and make the study of them; arguments as in `Study`, but for these.

    Args:
        id: of its row in the store; 0 where it comes from elsewhere.
        name: its id for users.
        title: free text.
        question: free text.
        spec: what the user wrote.
        source: where it was imported from.
        environment: versions and machine of its last run.
        tasks: the configuration of each task label.
        optimizers: name and arguments of each optimizer label.
        trials: every trial, `TRIAL_COLUMNS`, confirming ones included.
        settings: what varied beside the learning rate in the trials of the design; None where nothing did.
        thresholds: of the rule.
        seeds: keep these seed indices only; outcomes are those that all seeds give.

    Raises:
        SpecError: no trial has one of these seed indices.
    """
    rules = thresholds or Thresholds()
    confirming = trials[trials["reason"] == CONFIRM]
    trials = trials[trials["reason"] != CONFIRM]
    complete = trials[trials["state"] == TrialState.COMPLETE.value]
    facts = {
        label: filled(task_facts(task), complete[complete["task"] == label]) for label, task in tasks.items()
    }
    settings = trials[[]] if settings is None else settings
    only_lr_varies = settings.columns.empty or not _varies_in_rows(settings, trials)
    classified = classify(complete, facts, rules, only_lr_varies=only_lr_varies)
    confirmed = _confirmed(confirming, complete, facts, rules, only_lr_varies=only_lr_varies)
    if seeds is not None:  # the rule, and what it takes from the study, stay those of all seeds
        trials, classified = (part[part["seed_index"].isin(seeds)] for part in (trials, classified))
        if not len(trials):
            raise SpecError.of(
                "--seed-filter", f"no trial of {name!r} has one of the seed indices {sorted(seeds)}"
            )
    return Study(
        id=id,
        name=name,
        title=title,
        question=question,
        spec=spec,
        source=source or {},
        environment=environment or {},
        tasks=tasks,
        facts=facts,
        optimizers={str(label): optimizers[label] for label in trials["optimizer"].unique()},
        trials=trials,
        complete=classified,
        confirming=confirming,
        confirmed=confirmed,
        settings=settings.loc[trials.index],
        thresholds=rules,
    )


def _varies_in_rows(settings: pd.DataFrame, trials: pd.DataFrame) -> bool:
    """Whether a number other than the learning rate varies inside a row."""
    within = settings.groupby([trials[label] for label in LABELS], sort=False).nunique()
    return bool((within > 1).any(axis=None))


def check_begun(study: Study) -> None:
    """Check that a study has trials: a run that is killed while it starts leaves a study without any.

    Raises:
        SpecError: it has none.
    """
    if not len(study.trials):
        raise SpecError.of("study", f"{study.name!r} has no trials yet; if nothing runs it, run it again")


def _confirmed(
    confirming: pd.DataFrame,
    complete: pd.DataFrame,
    facts: dict[str, TaskConstants],
    rules: Thresholds,
    *,
    only_lr_varies: bool,
) -> pd.DataFrame:
    """The complete confirming trials, classified beside the design, which their labels may rest on."""
    own = confirming[confirming["state"] == TrialState.COMPLETE.value]
    beside = pd.concat([complete, own]) if len(own) else own
    return classify(beside, facts, rules, only_lr_varies=only_lr_varies).loc[own.index]


def _optimizers(store: Store, study_id: int, trials: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The optimizer of one trial of each label: all of a label share it."""
    first = trials["optimizer"].drop_duplicates()
    configs = read_configs(store, study_id, first.index.tolist())
    return {
        str(label): configs[int(position)]["optimizer"]
        for position, label in zip(first.index, first, strict=True)
    }


def _default_lr(optimizer: dict[str, Any]) -> float:
    """The learning rate of an optimizer's own documentation; NaN where the catalog has none."""
    name = optimizer.get("name", "")
    return OPTIMIZERS.get(name).default_lr if name in [entry.name for entry in OPTIMIZERS] else math.nan


def _settings(store: Store, study_id: int, trials: pd.DataFrame, *, imported: bool) -> pd.DataFrame:
    """The numbers that vary between trials, the learning rate apart; of a study that was run, what its sampler drew."""
    numbers = {position: _numbers(config) for position, config in read_configs(store, study_id).items()}
    frame = pd.DataFrame(list(numbers.values()), index=list(numbers)).loc[trials.index]
    numeric = frame.select_dtypes("number")
    if imported:
        return numeric.loc[:, numeric.nunique() > 1]
    by_row = numeric.groupby([trials[label] for label in LABELS], sort=False)
    return numeric.loc[:, (by_row.nunique() > 1).any()]


def _numbers(config: dict[str, Any]) -> dict[str, float]:
    """All that a trial's configuration says in numbers, or may."""
    if "hyperparameters" in config:
        return dict(config["hyperparameters"])
    task = {name: value for name, value in config["task"].items() if name not in ("data", "model")}
    found: dict[str, float] = {**config["task"]["data"], **config["task"]["model"], **task}
    for part in (config["optimizer"], config["init"]):
        found |= {f"{part['name']}.{name}": value for name, value in part.items()}
    return found


def trial_frame(store: Store, study: Study) -> pd.DataFrame:
    """Every trial with all that was recorded: figures, config (JSON), last error, when it ended.

    Outcome, side and evidence are empty where a trial is not complete.
    """
    trials = pd.concat([study.trials, study.confirming]).sort_index()
    records = read_records(store, study.id).loc[trials.index]
    labels = pd.concat([study.complete, study.confirmed])[["outcome", "side", "evidence", "skill", "score"]]
    figures = trials[[name for name in TRIAL_COLUMNS if name not in RECORD_COLUMNS]]
    return pd.concat([figures[list(LABELS)], records, figures.drop(columns=list(LABELS))], axis=1).join(
        labels
    )


def epoch_frame(store: Store, name: str) -> pd.DataFrame:
    """Every epoch of every complete trial of a study, with its labels.

    Raises:
        StoreMissing: no study of that name.
    """
    return read_epochs(store, store.study(name).id)
