"""The largest rise of a trial's training loss in one step: the sign of chaotic trials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column. Losses of single steps were never stored: it stays empty for the trials so far."""
    op.add_column("trial", sa.Column("max_loss_rise", sa.Double))
