"""What happened last in a store: how fast trials end, which one was not finite, what trials like these cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from robustness.store.schema import study, study_trial, trial
from robustness.store.store import Store
from robustness.trial import TrialState

__all__ = ["Cost", "answers", "last_nonfinite", "recent_costs", "stored_spec", "trials_per_second"]

Cost = tuple[float, int, dict[str, Any]]
"""Seconds of a trial, its epochs, its configuration."""


def answers(store: Store) -> None:
    """Ask the store for one row.

    Raises:
        StoreError: it cannot be read.
    """
    with store.reading() as connection:
        connection.execute(sa.select(study.c.id).limit(1))


def stored_spec(store: Store, name: str) -> dict[str, Any]:
    """The spec of a study; empty where there is no such study or it was imported."""
    with store.reading() as connection:
        text = connection.execute(sa.select(study.c.spec).where(study.c.name == name)).scalar()
    return json.loads(text) if text else {}


def trials_per_second(store: Store, study_id: int, *, since: str, window: float) -> float | None:
    """Trials that ended a second, over the window before the last one: a function of the store, not of the clock.

    Args:
        store: where it is.
        study_id: of the study.
        since: when its run began, UTC, ISO 8601; earlier ends do not count.
        window: seconds.

    Returns:
        None where nothing has ended since.
    """
    complete = (study_trial.c.study_id == study_id, trial.c.state == TrialState.COMPLETE.value)
    joined = study_trial.join(trial, trial.c.id == study_trial.c.trial_id)
    finished = trial.c.finished_at
    with store.reading() as connection:
        last = connection.execute(
            sa.select(sa.func.max(finished)).select_from(joined).where(*complete)
        ).scalar()
        if last is None or last < since:
            return None
        end = datetime.fromisoformat(last)
        start = max(datetime.fromisoformat(since), end - timedelta(seconds=window))
        count = connection.execute(
            sa.select(sa.func.count())
            .select_from(joined)
            .where(*complete, finished >= start.isoformat(timespec="seconds"))
        ).scalar_one()
    return float(count / max((end - start).total_seconds(), 1.0))


def last_nonfinite(store: Store, study_id: int) -> Mapping[str, Any] | None:
    """The trial of a study that became not finite last: optimizer, init, lr, step, at; None where there is none."""
    query = (
        sa.select(
            study_trial.c.optimizer,
            study_trial.c.init,
            trial.c.lr,
            trial.c.first_nonfinite_step.label("step"),
            trial.c.finished_at.label("at"),
        )
        .join(trial, trial.c.id == study_trial.c.trial_id)
        .where(study_trial.c.study_id == study_id, trial.c.nonfinite)
        .order_by(trial.c.finished_at.desc(), study_trial.c.position.desc())
        .limit(1)
    )
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def recent_costs(store: Store, *, data: str, model: str, most: int) -> list[Cost]:
    """What the last complete trials of a data set and a model took, in any study.

    Args:
        store: where they are.
        data: name of the data set.
        model: name of the model.
        most: trials.
    """
    like = f'%"data":{{%"name":"{data}"%"model":{{%"name":"{model}"%'  # keys are sorted
    query = (
        sa.select(trial.c.seconds, trial.c.epochs, trial.c.config)
        .where(trial.c.state == TrialState.COMPLETE.value, trial.c.config.like(like), trial.c.epochs > 0)
        .order_by(trial.c.id.desc())
        .limit(most)
    )
    with store.reading() as connection:
        return [(row.seconds, row.epochs, json.loads(row.config)) for row in connection.execute(query)]
