"""Opening a database: URL, pragmas, schema version, and errors in words."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from robustness.errors import SpecError, StoreDamaged, StoreError, StoreMissing
from robustness.store.schema import SCHEMA_REVISION

__all__ = ["open_engine", "shown", "translated"]

READER_WAITS, WRITER_WAITS = 30_000, 150_000
"""Milliseconds for an SQLite lock."""
WRITER_IDLES = 600_000
"""Milliseconds between two statements of a transaction on PostgreSQL, longer than any import takes for its next chunk."""
_DAMAGED = ("malformed", "not a database", "corrupt", "disk image")


def open_engine(url: str, *, create: bool) -> Engine:
    """An engine on a store of the current schema.

    Args:
        url: `sqlite:///path.db`, `postgresql://...`, or a path of an SQLite file.
        create: make the store where there is none; otherwise that is an error.

    Raises:
        SpecError: no such kind of URL, or what is there is no store of this program.
        StoreMissing: nothing there, and `create` is false.
        StoreDamaged: the file is not a sound database.
        StoreError: it cannot be reached, or is of a newer version of this program.
    """
    target = _parse(url)
    if target.get_backend_name() == "sqlite":
        _check_file(Path(str(target.database)), create=create)
    engine = sa.create_engine(target)
    with translated(target):
        revision = _revision(engine)
        if engine.dialect.name == "sqlite":
            engine.dispose()  # only now is the file known to be ours: the pragmas write to it
            sa.event.listen(engine, "connect", _set_pragmas)
            sa.event.listen(engine, "begin", _begin)
        else:
            sa.event.listen(engine, "begin", _limit_idling)
        if revision is None and not create:
            raise StoreMissing(f"the database {shown(target)} holds no studies yet")
        if revision is None or revision < SCHEMA_REVISION:
            from robustness.store.migrations import upgrade  # Alembic is slow to import

            upgrade(engine)
        elif revision > SCHEMA_REVISION:
            raise StoreError(
                f"the store is of schema {revision} and this program knows {SCHEMA_REVISION}: upgrade the program"
            )
    return engine


def _check_file(path: Path, *, create: bool) -> None:
    try:
        if "\0" in str(path):
            raise ValueError("it holds a NUL")
        if path.is_dir():
            raise SpecError.of("--store", f"{path} is a folder; name a file in it")
        if not path.parent.is_dir():
            raise StoreMissing(f"the folder of the store {path} does not exist")
        if not path.exists():
            if not create:
                raise StoreMissing(
                    f"there is no store at {path}; 'robustness run' makes one (--store names it)"
                )
        elif not _filled(path):
            raise StoreDamaged(
                f"the store {path} is an empty file: restore your backup, or remove it to begin anew"
            )
        elif not _is_sqlite(path):
            raise _foreign(str(path))
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        raise SpecError.of("--store", f"{path!s:.200} cannot be used: {error!s:.200}") from None


def _filled(path: Path) -> bool:
    """Whether the file has contents, now or shortly: another program may be making the store."""
    for _ in range(20):
        if path.stat().st_size:
            return True
        time.sleep(0.1)
    return False


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _foreign(where: str) -> SpecError:
    return SpecError.of("--store", f"{where} is not a store of this program; name another file or database")


_MAGIC = b"SQLite format 3\0"
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def _parse(url: str) -> URL:
    rule = "must be sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        target = make_url(url if "://" in url else f"sqlite:///{url}")
    except (ArgumentError, ValueError):
        raise SpecError.of("--store", rule) from None
    if target.drivername not in _DRIVERS:
        raise SpecError.of("--store", f"{rule}, got one of {target.drivername!r:.80}")
    if target.drivername == "sqlite" and target.database in (None, "", ":memory:"):
        raise SpecError.of("--store", f"{rule}; a store in memory would be gone when the run ends")
    return target.set(drivername=_DRIVERS[target.drivername])


def shown(url: URL) -> str:
    """The URL without its password."""
    return url.render_as_string(hide_password=True)


def _set_pragmas(connection: Any, _: object) -> None:
    # Rollback journal and FULL: nothing acknowledged is lost when the machine loses power. WAL only from
    # 3.51.3 on, since earlier versions can corrupt a database when the WAL is reset.
    mode = "WAL" if sqlite3.sqlite_version_info >= (3, 51, 3) else "DELETE"
    connection.isolation_level = None  # transactions begin when we say so, DDL included; see `_begin`
    # No spilling: pages of a large transaction (an import, a new study) that leave memory lock readers out to its end.
    for pragma in (f"journal_mode={mode}", "synchronous=FULL", "foreign_keys=ON", "cache_spill=OFF"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: a reader's transaction that turns into a writer's can fail half-way.
    writing = connection.get_execution_options().get("writing", False)
    # It waits for a large import rather than end its sweep.
    connection.exec_driver_sql(f"PRAGMA busy_timeout={WRITER_WAITS if writing else READER_WAITS}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _limit_idling(connection: Connection) -> None:
    # A machine that is suspended in a transaction would keep its rows from every worker for as long as it sleeps.
    if connection.get_execution_options().get("writing", False):
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {WRITER_IDLES}")


def _revision(engine: Engine) -> str | None:
    """The revision of a store; None of a database without tables. Others use Alembic too: not all that have it are ours.

    Raises:
        SpecError: it holds tables of another program.
    """
    tables = sa.inspect(engine).get_table_names()
    if not tables:
        return None
    revision = None
    if {"alembic_version", "study_trial"} <= set(tables):
        with engine.connect() as connection:
            revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if revision is None or not re.fullmatch(r"\d{4}", revision):
        raise _foreign(shown(engine.url))
    return str(revision)


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Database errors as StoreError or StoreDamaged, with what to do next; broken constraints stay bugs."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        text = str(error.orig).strip()
        if any(word in text for word in _DAMAGED):
            raise StoreDamaged(
                f"the store {shown(url)} is damaged ({text}); move it aside and restore your backup, or save what "
                f"is readable with 'sqlite3 {url.database} .recover'"
            ) from None
        raise StoreError(f"the store {shown(url)} cannot be used: {text}") from None
    except sa.exc.TimeoutError:  # of the pool: no answer of a database
        raise StoreError(f"the store {shown(url)} is busy: all connections are in use") from None
