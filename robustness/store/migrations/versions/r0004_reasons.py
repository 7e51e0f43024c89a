"""Why a sampler added a trial to a study."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; every trial so far was in its study's design."""
    op.add_column("study_trial", sa.Column("reason", sa.Text, nullable=False, server_default=""))
