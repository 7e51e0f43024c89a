"""The keys of requests: a study that is submitted again with another key keeps the first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Give them a table of their own, with what submissions have of them."""
    op.create_table(
        "request",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("study_id", sa.Integer, sa.ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    )
    op.execute(
        "INSERT INTO request (owner, key, digest, study_id) "
        "SELECT owner, idempotency_key, digest, study_id FROM submission WHERE idempotency_key IS NOT NULL"
    )
    op.drop_index("submission_key", "submission")
    with op.batch_alter_table("submission") as submission:
        submission.drop_column("idempotency_key")
        submission.drop_column("digest")
