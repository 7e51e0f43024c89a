"""Schema migrations, one file a revision; imported only when a store is made or upgraded."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

__all__ = ["upgrade"]

LOCK = 0x0B057
"""Of PostgreSQL: two programs that make one store together do it one after the other."""


def upgrade(engine: Engine, to: str = "head") -> None:
    """Bring a database to a revision, the newest, in one transaction; nothing where another has just done it."""
    scripts = ScriptDirectory(str(Path(__file__).parent))
    with engine.execution_options(writing=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        context = MigrationContext.configure(
            connection,
            opts={"fn": lambda revision, _: scripts._upgrade_revs(to, revision)},  # noqa: SLF001
        )
        with Operations.context(context):
            context.run_migrations()
