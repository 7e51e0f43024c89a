"""The tables. `migrations/` makes them; a test compares the two."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

__all__ = [
    "SCHEMA_REVISION",
    "epoch",
    "lease",
    "metadata",
    "request",
    "revision",
    "study",
    "study_trial",
    "submission",
    "trial",
]

SCHEMA_REVISION = "0007"
"""The newest migration; a store that states it needs no Alembic."""


class Real(TypeDecorator[float]):
    """A float64 in which NaN is NULL and infinities are themselves.

    SQLite binds NaN as NULL anyway; doing it everywhere makes both databases alike.
    """

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """NaN becomes NULL."""
        return None if value is None or math.isnan(value) else float(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> float:
        """NULL becomes NaN."""
        return math.nan if value is None else float(value)


metadata = MetaData()

study = Table(
    "study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("spec", Text, nullable=False),  # JSON of what the user wrote
    Column("tasks", Text, nullable=False),  # JSON: task label -> the task's fields, all filled in
    Column("source", Text),  # JSON: where an imported study came from; NULL where it was run
    Column("environment", Text),  # JSON: versions and machine of the last run
    Column("created_at", Text, nullable=False),  # UTC, ISO 8601
    Column("updated_at", Text, nullable=False),
)

trial = Table(
    "trial",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("config", Text, nullable=False),  # canonical JSON of all that determines the result
    Column("lr", Double, nullable=False),
    Column("seed_index", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text),  # the traceback of the last failed attempt
    Column("finished_at", Text),
    # Final figures, so that a summary of 100,000 trials reads no epochs.
    Column("l0", Real),
    Column("nonfinite", Boolean),  # other people's logs may tell that, and not the step
    Column("first_nonfinite_step", BigInteger),
    Column("stopped", Boolean),
    Column("epochs", Integer),
    Column("train_loss", Real),
    Column("min_train_loss", Real),
    Column("max_train_loss", Real),
    Column("max_loss_rise", Real),
    Column("validation_loss", Real),
    Column("validation_accuracy", Real),
    Column("test_loss", Real),
    Column("test_accuracy", Real),
    Column("max_earlier_score", Real),
    Column("parameter_norm", Real),
    Column("distance", Real),
    Column("clamped_share", Real),
    Column("seconds", Real),
    CheckConstraint("state IN ('waiting', 'running', 'complete', 'failed')", name="trial_state"),
)

study_trial = Table(
    "study_trial",
    metadata,
    Column("study_id", Integer, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("trial_id", Integer, ForeignKey("trial.id"), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("task", Text, nullable=False),  # labels, as the study's readers see them
    Column("optimizer", Text, nullable=False),
    Column("init", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),  # why a sampler added it; empty where designed
)
Index("study_trial_trial", study_trial.c.trial_id)

epoch = Table(
    "epoch",
    metadata,
    Column("trial_id", Integer, ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("train_loss", Real),
    Column("train_loss_max", Real),
    Column("validation_loss", Real),
    Column("validation_accuracy", Real),
    Column("test_loss", Real),
    Column("test_accuracy", Real),
    Column("parameter_norm", Real),
    Column("distance", Real),
    Column("clamped_share", Real),
    Column("seconds", Real),
)

lease = Table(
    "lease",
    metadata,
    Column("study_id", Integer, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("token", BigInteger, nullable=False),  # grows with every new holder: the fencing token
    Column("holder", Text, nullable=False),  # host, process id and the process's start; empty when released
    Column("expires_at", Double, nullable=False),  # seconds since 1970
)

# Beside the study's row, which may hold a spec of a megabyte: this number changes with every commit of a sweep.
revision = Table(
    "revision",
    metadata,
    Column("study_id", Integer, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "number", BigInteger, nullable=False
    ),  # grows with every change of what a reader of the study sees
)

submission = Table(
    "submission",
    metadata,
    Column("study_id", Integer, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String(9), nullable=False),
    Column("ticket", BigInteger, nullable=False),  # the place in the queue: a clock may be set back
    Column("spec", Text, nullable=False),  # JSON of what is to be run; the study's own is what was run last
    Column("trials", Integer, nullable=False),  # of the spec; of adaptive samplers the most that there can be
    Column("owner", String(64), nullable=False),  # the token that it was submitted with, by its id
    Column("cancelling", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),  # drivers that died without a word, one after the other
    Column("error", Text),
    Column("token", BigInteger, nullable=False),  # grows with every worker: the fencing token
    Column("worker", Text, nullable=False),  # host, process id and the process's start; empty when released
    Column("expires_at", Double, nullable=False),  # seconds since 1970
    CheckConstraint(
        "state IN ('queued', 'running', 'complete', 'failed', 'cancelled')", name="submission_state"
    ),
)
Index("submission_state_ticket", submission.c.state, submission.c.ticket)

request = Table(
    "request",
    metadata,
    Column("owner", String(64), primary_key=True),  # the token that it came with, by its id
    Column("key", String(255), primary_key=True),  # Idempotency-Key
    Column("digest", String(64), nullable=False),  # of its body
    Column("study_id", Integer, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
)
