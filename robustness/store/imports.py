"""Writing other people's logs: a study whole or not at all, its trials complete from the start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from robustness.errors import SpecError
from robustness.store.links import write_links
from robustness.store.revision import touch_studies
from robustness.store.rows import chunks, epoch_row, final_figures, now
from robustness.store.schema import epoch, study, study_trial, trial
from robustness.trial import ImportedTrial

__all__ = ["write_study"]

CHUNK = 500  # trials with all their epochs in memory at once


def write_study(
    connection: Connection,
    name: str,
    *,
    title: str,
    source: dict[str, Any],
    tasks: dict[str, dict[str, Any]],
    trials: Iterable[ImportedTrial],
) -> int:
    """See `Store.import_study`; within the caller's transaction."""
    _remove_earlier(connection, name)
    values = {"title": title, "question": "", "spec": "{}", "tasks": json.dumps(tasks)}
    values |= {"source": json.dumps(source), "created_at": now(), "updated_at": now()}
    insert = study.insert().values(name=name, **values).returning(study.c.id)
    study_id = connection.execute(insert).scalar_one()
    position = 0
    for items in chunks(trials, CHUNK):
        _add(connection, study_id, position, items)
        position += len(items)
    touch_studies(connection, [study_id])
    return position


def _remove_earlier(connection: Connection, name: str) -> None:
    """An earlier import of that name goes with its trials, which no other study shares.

    Raises:
        SpecError: the study of that name was run here.
    """
    row = connection.execute(sa.select(study.c.id, study.c.source).where(study.c.name == name)).one_or_none()
    if row is None:
        return
    if row.source is None:
        raise SpecError.of("--name", f"{name!r} is a study that was run here; choose another name")
    members = sa.select(study_trial.c.trial_id).where(study_trial.c.study_id == row.id)
    stale = list(connection.execute(members).scalars())
    connection.execute(study.delete().where(study.c.id == row.id))
    for chunk in chunks(stale):
        connection.execute(trial.delete().where(trial.c.id.in_(chunk)))


def _add(connection: Connection, study_id: int, position: int, items: Sequence[ImportedTrial]) -> None:
    rows = [
        {
            "key": item.record.key,
            "config": item.config,
            "lr": item.lr,
            "seed_index": item.seed_index,
            "attempts": 1,
            **final_figures(item.record),
            **item.figures,
        }
        for item in items
    ]
    connection.execute(trial.insert(), rows)
    keys = [item.record.key for item in items]
    found = connection.execute(sa.select(trial.c.key, trial.c.id).where(trial.c.key.in_(keys)))
    ids = {row.key: row.id for row in found}
    write_links(connection, study_id, position, [ids[key] for key in keys], items)
    epochs = [epoch_row(ids[item.record.key], row) for item in items for row in item.record.epochs]
    for chunk in chunks(epochs):
        connection.execute(epoch.insert(), chunk)
