"""The queue of the service, and a number that grows with every change of a study."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables; studies so far were not queued, and their number comes with their next change."""
    op.create_table(
        "revision",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "submission",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("ticket", sa.BigInteger, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("trials", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("digest", sa.String(64)),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'complete', 'failed', 'cancelled')", name="submission_state"
        ),
    )
    op.create_index("submission_state_ticket", "submission", ["state", "ticket"])
    op.create_index("submission_key", "submission", ["owner", "idempotency_key"], unique=True)
