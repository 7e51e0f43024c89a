"""The first schema: study, trial, study_trial, epoch, lease."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_EPOCH_FIGURES = (
    "train_loss",
    "train_loss_max",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "parameter_norm",
    "distance",
    "clamped_share",
    "seconds",
)
_FINAL_FIGURES = (
    "train_loss",
    "min_train_loss",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "max_earlier_test_accuracy",
    "parameter_norm",
    "distance",
    "clamped_share",
    "seconds",
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "study",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("title", "question", "spec", "tasks", "created_at", "updated_at")
        ),
    )
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("lr", sa.Double, nullable=False),
        sa.Column("seed_index", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        sa.Column("finished_at", sa.Text),
        sa.Column("l0", sa.Double),
        sa.Column("first_nonfinite_step", sa.BigInteger),
        sa.Column("epochs", sa.Integer),
        *(sa.Column(name, sa.Double) for name in _FINAL_FIGURES),
        sa.CheckConstraint("state IN ('waiting', 'running', 'complete', 'failed')", name="trial_state"),
    )
    op.create_table(
        "study_trial",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("trial_id", sa.Integer, sa.ForeignKey("trial.id"), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("task", "optimizer", "init")),
    )
    op.create_index("study_trial_trial", "study_trial", ["trial_id"])
    op.create_table(
        "epoch",
        sa.Column("trial_id", sa.Integer, sa.ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Double) for name in _EPOCH_FIGURES),
    )
    op.create_table(
        "lease",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
