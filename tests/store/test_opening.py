"""Opening a database: what is a store, of which schema, and what is said of what is none."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url

from robustness.errors import SpecError, StoreDamaged, StoreError, StoreMissing
from robustness.store import SCHEMA_REVISION, Store, open_store
from robustness.store.engine import _DRIVERS, translated
from robustness.store.migrations import upgrade
from robustness.store.schema import metadata, request, submission, trial
from tests.builders import save


def test_a_store_that_does_not_exist_is_missing_not_empty(store_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        open_store(store_url)
    assert not list(tmp_path.glob("*.db"))


def test_the_migrations_make_exactly_the_tables_of_the_schema(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == SCHEMA_REVISION


def test_a_store_of_the_first_schema_is_upgraded_with_its_trials(store_url: str) -> None:
    engine = sa.create_engine(make_url(store_url).set(drivername=_DRIVERS[make_url(store_url).drivername]))
    upgrade(engine, to="0001")
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO study VALUES (1, 'old', '', '', '{}', '{\"t\": {\"epochs\": 2}}', '', '')",
            "INSERT INTO trial (id, key, config, lr, seed_index, state) VALUES (1, 'k', '{}', 0.1, 0, 'complete')",
            "INSERT INTO trial (id, key, config, lr, seed_index, state, first_nonfinite_step)"
            " VALUES (2, 'l', '{}', 0.1, 1, 'complete', 7)",
            "INSERT INTO epoch (trial_id, epoch, train_loss_max) VALUES (1, 1, 2.5), (1, 2, 1.5), (2, 1, 2.5), (2, 2, NULL)",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    with open_store(store_url) as store, store.reading() as connection:
        rows = connection.execute(sa.select(trial).order_by(trial.c.id)).all()
        assert [(row.stopped, row.max_train_loss) for row in rows] == [(False, 2.5), (False, math.inf)]
        assert [(row.nonfinite, row.first_nonfinite_step) for row in rows] == [(False, None), (True, 7)]
        assert json.loads(store.study("old").tasks) == {"t": {"epochs": 2, "stop_above": 0.0}}


def test_keys_of_requests_outlive_the_upgrade_that_gives_them_a_table(store_url: str) -> None:
    engine = sa.create_engine(make_url(store_url).set(drivername=_DRIVERS[make_url(store_url).drivername]))
    upgrade(engine, to="0005")
    with engine.begin() as connection:
        for i, key in enumerate(("'one'", "NULL"), 1):
            connection.exec_driver_sql(
                f"INSERT INTO study (id, name, title, question, spec, tasks, created_at, updated_at)"
                f" VALUES ({i}, 's{i}', '', '', '{{}}', '{{}}', '', '')"
            )
            connection.exec_driver_sql(
                f"INSERT INTO submission VALUES"
                f" ({i}, 'queued', {i}, '{{}}', 4, 'me', {key}, 'd', false, 0, NULL, 7, '', 0.0)"
            )
    engine.dispose()
    with open_store(store_url) as store, store.reading() as connection:
        assert connection.execute(sa.select(request)).all() == [("me", "one", "d", 1)]
        tokens = connection.execute(sa.select(submission.c.study_id, submission.c.token)).all()
    assert sorted(tokens) == [(1, 7), (2, 7)]


def test_a_store_of_a_newer_program_is_refused(store_url: str) -> None:
    with open_store(store_url, create=True) as store, store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="upgrade the program"):
        open_store(store_url)


def test_two_programs_may_make_one_store_at_once(store_url: str) -> None:
    outcomes: list[int] = []

    def make() -> None:
        with open_store(store_url, create=True) as opened:
            outcomes.append(save(opened, name=f"s{threading.get_ident()}"))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [1, 2, 3, 4]


def test_a_store_whose_connections_are_all_in_use_is_busy_in_words() -> None:
    with (
        pytest.raises(StoreError, match="all connections are in use"),
        translated(make_url("sqlite:///s.db")),
    ):
        raise sa.exc.TimeoutError


def test_a_damaged_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)
    with pytest.raises(StoreDamaged, match="damaged"):
        open_store(str(path), create=True)
    assert path.stat().st_size == 5_016


@pytest.mark.parametrize("text", ["lr,score\n0.1,0.9\n", "these are my notes, not a database\n" * 100])
def test_a_file_that_is_no_database_is_refused_and_called_no_damaged_store(tmp_path: Path, text: str) -> None:
    path = tmp_path / "store.db"
    path.write_text(text)
    with pytest.raises(SpecError, match="is not a store of this program; name another file"):
        open_store(str(path), create=True)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE notes (id INTEGER)"],
        ["CREATE TABLE study_trial (id INTEGER)"],
        ["CREATE TABLE trials (id INTEGER)", "CREATE TABLE alembic_version (version_num VARCHAR(32))"],
        [
            "CREATE TABLE trials (id INTEGER)",
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('v3.2.0.a')",
        ],
        [
            "CREATE TABLE trials (id INTEGER)",
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('0001')",
        ],
        [
            "CREATE TABLE study_trial (id INTEGER)",
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('1975ea83b712')",
        ],
    ],
    ids=["tables", "one-like-ours", "no-revision", "optuna", "a-revision-like-ours", "unknown-revision"],
)
@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(
    store_url: str, statements: list[str], create: bool
) -> None:
    engine = sa.create_engine(make_url(store_url).set(drivername=_DRIVERS[make_url(store_url).drivername]))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    before = sa.inspect(engine).get_table_names()
    with pytest.raises(SpecError, match="is not a store of this program"):
        open_store(store_url, create=create)
    assert sa.inspect(engine).get_table_names() == before
    engine.dispose()


def test_a_database_of_another_program_keeps_its_journal(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE notes (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SpecError):
        open_store(str(path), create=True)
    assert path.read_bytes() == before


def test_an_empty_file_is_not_taken_for_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with pytest.raises(StoreDamaged, match="empty file"):
        open_store(str(tmp_path / "store.db"), create=True)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("postgresql://user:secret@127.0.0.1:1/nothing")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        ":memory:",
        "sqlite://",
        "sqlite+aiosqlite:///x.db",
        "postgresql+asyncpg://x/y",
        ".",
        "x" * 300,
        "a\0b",
        "mysql://x/y",
        "sqlite//x",
        "mssql://x",
        "http://x",
    ],
)
def test_another_kind_of_url_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SpecError, StoreMissing)):
        open_store(url, create=True)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_an_error_in_words() -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        open_store("postgresql://postgres@127.0.0.1:1/nothing")
