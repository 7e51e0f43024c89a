"""Schema migrations, one file a revision; imported only when a store is made or upgraded."""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

__all__ = ["upgrade"]


def upgrade(engine: Engine) -> None:
    """Bring a database to the newest revision, in one transaction."""
    scripts = ScriptDirectory(str(Path(__file__).parent))
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"fn": lambda revision, _: scripts._upgrade_revs("head", revision)},  # noqa: SLF001
        )
        with Operations.context(context):
            context.run_migrations()
