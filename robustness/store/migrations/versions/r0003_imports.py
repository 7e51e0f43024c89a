"""Other people's logs: where a study came from, what it was run with, trials that died at a step nobody wrote down, losses as scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; the score of what was run so far is its accuracy."""
    op.add_column("study", sa.Column("source", sa.Text))
    op.add_column("study", sa.Column("environment", sa.Text))
    op.add_column("trial", sa.Column("nonfinite", sa.Boolean))
    op.execute("UPDATE trial SET nonfinite = (first_nonfinite_step IS NOT NULL) WHERE state = 'complete'")
    op.alter_column("trial", "max_earlier_test_accuracy", new_column_name="max_earlier_score")
