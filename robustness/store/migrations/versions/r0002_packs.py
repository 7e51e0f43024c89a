"""Trials that stopped early, the largest loss of a trial, and the task field `stop_above`."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_study = sa.table("study", sa.column("id", sa.Integer), sa.column("tasks", sa.Text))


def upgrade() -> None:
    """Add the columns; earlier trials never stopped early, and their losses are in their epochs."""
    op.add_column("trial", sa.Column("stopped", sa.Boolean))
    op.add_column("trial", sa.Column("max_train_loss", sa.Double))
    op.execute("UPDATE trial SET stopped = false WHERE state = 'complete'")
    of_trial = "FROM epoch WHERE epoch.trial_id = trial.id"
    op.execute(
        f"UPDATE trial SET max_train_loss = (SELECT max(train_loss_max) {of_trial}) WHERE state = 'complete'"
    )
    # NULL is NaN: as the program does, a loss that was not a number counts as infinite.
    infinite = "9e999" if op.get_bind().dialect.name == "sqlite" else "'Infinity'"
    op.execute(
        f"UPDATE trial SET max_train_loss = {infinite} WHERE state = 'complete'"
        f" AND EXISTS (SELECT 1 {of_trial} AND train_loss_max IS NULL)"
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(_study)).all():
        tasks = {label: {"stop_above": 0.0, **task} for label, task in json.loads(row.tasks).items()}
        connection.execute(_study.update().where(_study.c.id == row.id).values(tasks=json.dumps(tasks)))
