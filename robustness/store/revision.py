"""A number for each study that grows with every change of what its readers see: the exact key of every cache."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from robustness.store.rows import insert_into
from robustness.store.schema import revision, study_trial, trial

__all__ = ["touch_studies", "touch_trials"]


def touch_studies(connection: Connection, ids: Iterable[int]) -> None:
    """Note that these studies change in this transaction."""
    # In order, so that two drivers whose studies share trials never wait for each other in a circle.
    for study_id in sorted(set(ids)):
        # Not from one on: SQLite gives a deleted study's id to the next, and a cache must not take it for the first.
        insert = insert_into(connection, revision).values(study_id=study_id, number=secrets.randbits(48))
        connection.execute(
            insert.on_conflict_do_update(index_elements=["study_id"], set_={"number": revision.c.number + 1})
        )


def touch_trials(connection: Connection, which: sa.ColumnElement[bool]) -> None:
    """Note that these trials change: every study that has one of them does."""
    owners = (
        sa.select(study_trial.c.study_id)
        .join(trial, trial.c.id == study_trial.c.trial_id)
        .where(which)
        .distinct()
    )
    touch_studies(connection, connection.execute(owners).scalars())
