"""Opening a database: URL, pragmas, schema version, and errors in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from robustness.errors import SpecError, StoreDamaged, StoreError, StoreMissing
from robustness.store.schema import SCHEMA_REVISION

__all__ = ["open_engine", "translated"]

_DAMAGED = ("malformed", "not a database", "corrupt", "disk image")


def open_engine(url: str, *, create: bool) -> Engine:
    """An engine on a store of the current schema.

    Args:
        url: `sqlite:///path.db`, `postgresql://...`, or a path of an SQLite file.
        create: make the store where there is none; otherwise that is an error.

    Raises:
        SpecError: no such kind of URL.
        StoreMissing: nothing there, and `create` is false.
        StoreDamaged: the file is not a sound database.
        StoreError: it cannot be reached, or is of a newer version of this program.
    """
    target = _parse(url)
    if target.get_backend_name() == "sqlite" and target.database not in (None, "", ":memory:"):
        path = Path(str(target.database))
        if not path.exists() and not create:
            raise StoreMissing(f"there is no store at {path}; 'robustness run' makes one (--store names it)")
        if not path.parent.is_dir():
            raise StoreMissing(f"the folder of the store {path} does not exist")
    engine = sa.create_engine(target)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_pragmas)
    with translated(url):
        revision = _revision(engine)
        if revision is None and not create:
            raise StoreMissing(f"the database {_shown(target)} holds no studies yet")
        if revision is None or revision < SCHEMA_REVISION:
            from robustness.store.migrations import upgrade  # Alembic is slow to import

            upgrade(engine)
        elif revision > SCHEMA_REVISION:
            raise StoreError(
                f"the store is of schema {revision} and this program knows {SCHEMA_REVISION}: upgrade the program"
            )
    return engine


def _parse(url: str) -> URL:
    if "://" not in url:
        url = f"sqlite:///{url}"
    try:
        target = make_url(url)
    except (ArgumentError, ValueError):
        raise SpecError.of("--store", f"must be sqlite:///FILE or postgresql://..., got {url!r}") from None
    if target.get_backend_name() not in ("sqlite", "postgresql"):
        raise SpecError.of("--store", f"must be sqlite:///FILE or postgresql://..., got {url!r}")
    if target.drivername == "postgresql":
        target = target.set(drivername="postgresql+psycopg")
    return target


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _set_pragmas(connection: Any, _: object) -> None:
    # Rollback journal and FULL: nothing acknowledged is lost when the machine loses power. WAL only from
    # 3.51.3 on, since earlier versions can corrupt a database when the WAL is reset.
    mode = "WAL" if sqlite3.sqlite_version_info >= (3, 51, 3) else "DELETE"
    for pragma in (f"journal_mode={mode}", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _revision(engine: Engine) -> str | None:
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Database errors as StoreError or StoreDamaged, with what to do next."""
    try:
        yield
    except DatabaseError as error:
        text = str(error.orig)
        if any(word in text for word in _DAMAGED):
            raise StoreDamaged(
                f"the store {url} is damaged ({text}); move it aside and restore your backup, or save what is "
                f"readable with 'sqlite3 {url.removeprefix('sqlite:///')} .recover'"
            ) from None
        if isinstance(error, OperationalError):
            raise StoreError(f"the store cannot be used: {text.strip()}") from None
        raise
