"""One conformance suite for every database."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import astuple
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url

from robustness.errors import LeaseHeld, LeaseLost, SpecError, StoreDamaged, StoreError, StoreMissing
from robustness.store import SCHEMA_REVISION, FailedAttempt, Queue, Store, open_store
from robustness.store import lease as leases
from robustness.store.engine import _DRIVERS, translated
from robustness.store.migrations import upgrade
from robustness.store.schema import lease, metadata, request, submission, trial
from robustness.trial import TrialState
from tests.builders import dead_epoch, epoch, record, save, trials

INF = math.inf


def states(store: Store, study_id: int) -> dict[str, int]:
    return {state.value: n for state, n in store.counts(study_id).items() if n}


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
        assert [(row.stopped, row.max_train_loss) for row in rows] == [(False, 2.5), (False, INF)]
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


def test_opening_a_store_again_finds_what_was_saved(store_url: str) -> None:
    with open_store(store_url, create=True) as store:
        save(store)
    with open_store(store_url) as store:
        [row] = store.studies()
        assert (row.name, row.waiting, row.complete) == ("small", 4, 0)


def test_a_store_of_a_newer_program_is_refused(store_url: str) -> None:
    with open_store(store_url, create=True) as store, store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="upgrade the program"):
        open_store(store_url)


def test_an_unknown_study_is_missing_with_the_nearest_name(store: Store) -> None:
    save(store)
    with pytest.raises(StoreMissing, match="did you mean 'small'"):
        store.study("smal")


def test_nan_and_infinities_come_back_as_they_were(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    [first, second, *_] = trials()
    rows = (epoch(1, train_loss_max=INF, validation_loss=-INF), dead_epoch(2, loss=INF), dead_epoch(3))
    store.finish(held, [record(first, *rows, l0=math.nan, step=60), record(second, l0=INF)])
    for before, after in zip(rows, store.epochs(first.key), strict=True):
        assert [str(v) for v in astuple(before)] == [str(v) for v in after[1:]]
    with store.reading() as connection:
        rows_of = {row.key: row for row in connection.execute(sa.select(trial))}
    dead, exploded = rows_of[first.key], rows_of[second.key]
    assert math.isnan(dead.l0)
    assert (exploded.l0, dead.first_nonfinite_step, exploded.first_nonfinite_step) == (INF, 60, None)
    assert math.isnan(dead.train_loss)
    assert math.isnan(dead.test_accuracy)


def test_finished_trials_are_complete_and_the_rest_is_unfinished_in_order(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    found = trials()
    store.finish(held, [record(found[1])])
    assert states(store, study_id) == {"complete": 1, "waiting": 3}
    assert [t.key for t in store.unfinished(study_id)] == [found[i].key for i in (0, 2, 3)]


def test_finishing_twice_keeps_the_first_result(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    [first, *_] = trials()
    store.finish(held, [record(first, epoch(1, test_accuracy=0.5))])
    store.finish(held, [record(first, epoch(1, test_accuracy=0.9), epoch(2))])
    assert [row.test_accuracy for row in store.epochs(first.key)] == [0.5]


def test_a_failed_trial_keeps_its_error_and_is_run_again(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    [first, *_] = trials()
    store.fail(held, [FailedAttempt(first.key, "out of memory")])
    assert states(store, study_id) == {"failed": 1, "waiting": 3}
    assert first.key in {t.key for t in store.unfinished(study_id)}
    store.finish(held, [record(first)])
    with store.reading() as connection:
        row = connection.execute(sa.select(trial).where(trial.c.key == first.key)).one()
    assert (row.state, row.error, row.attempts) == ("complete", None, 2)


def test_a_complete_trial_cannot_fail_afterwards(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    [first, *_] = trials()
    store.finish(held, [record(first)])
    store.fail(held, [FailedAttempt(first.key, "late")])
    assert states(store, study_id) == {"complete": 1, "waiting": 3}


def test_trials_left_running_wait_again(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    store.start(held, [t.key for t in trials()[:3]])
    assert states(store, study_id) == {"running": 3, "waiting": 1}
    store.requeue(held)
    assert states(store, study_id) == {"waiting": 4}


def test_two_studies_share_their_trials(store: Store) -> None:
    first, second = save(store), save(store, name="other", search={"seeds": 3})
    store.finish(store.acquire(first), [record(t) for t in trials()])
    assert states(store, second) == {"complete": 4, "waiting": 2}


def test_saving_a_study_again_replaces_its_trials_and_loses_no_result(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    store.finish(held, [record(t) for t in trials()])
    store.release(held)
    assert save(store, search={"seeds": 1}) == study_id
    assert states(store, study_id) == {"complete": 2}
    save(store)
    assert states(store, study_id) == {"complete": 4}


def test_a_half_written_transaction_leaves_nothing(store: Store) -> None:
    study_id = save(store)
    held = store.acquire(study_id)
    twice = record(trials()[0], epoch(1), epoch(1))
    with pytest.raises(sa.exc.IntegrityError):
        store.finish(held, [record(trials()[1]), twice])
    assert states(store, study_id) == {"waiting": 4}
    assert store.epochs(trials()[1].key) == []


def test_a_lease_held_by_a_live_process_is_refused(store: Store) -> None:
    study_id = save(store)
    store.acquire(study_id)
    with pytest.raises(LeaseHeld, match="another driver"):
        store.acquire(study_id)


def test_a_study_that_another_driver_runs_is_not_rewritten(store: Store) -> None:
    study_id = save(store)
    store.acquire(study_id)
    with pytest.raises(LeaseHeld):
        save(store, title="other", search={"seeds": 1})
    assert store.study("small").title == ""
    assert states(store, study_id) == {"waiting": 4}


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


def test_a_released_lease_can_be_taken_and_the_old_token_writes_nothing(store: Store) -> None:
    study_id = save(store)
    old = store.acquire(study_id)
    store.release(old)
    with pytest.raises(LeaseLost):
        store.renew(old)
    new = store.acquire(study_id)
    assert new.token > old.token
    with pytest.raises(LeaseLost):
        store.finish(old, [record(trials()[0])])
    assert states(store, study_id) == {"waiting": 4}
    store.release(old)  # a stale release changes nothing
    store.finish(new, [record(trials()[0])])


def test_a_lease_that_ran_out_is_taken_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study_id = save(store)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.05)
    old = store.acquire(study_id)
    time.sleep(0.1)
    store.acquire(study_id)
    with pytest.raises(LeaseLost):
        store.renew(old)


def test_the_lease_of_a_dead_process_is_taken_over_at_once(store: Store, store_url: str) -> None:
    study_id = save(store)
    code = f"from robustness.store import open_store; open_store({store_url!r}).acquire({study_id})"
    subprocess.run([sys.executable, "-c", code], check=True)
    store.acquire(study_id)


def test_the_lease_of_a_process_elsewhere_is_waited_for(store: Store) -> None:
    study_id = save(store)
    store.acquire(study_id)
    with store.writing() as connection:
        connection.execute(lease.update().values(holder="another-host 1 1.00"))
    with pytest.raises(LeaseHeld, match="another-host"):
        store.acquire(study_id)


def test_only_one_of_many_drivers_gets_the_lease(store: Store) -> None:
    study_id = save(store)
    outcomes: list[str] = []

    def race() -> None:
        try:
            store.acquire(study_id)
            outcomes.append("held")
        except (LeaseHeld, StoreError):
            outcomes.append("refused")

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] + ["refused"] * 7


def test_two_studies_finishing_the_same_trial_store_it_once(store: Store) -> None:
    held = [store.acquire(save(store, name=name)) for name in ("a", "b")]
    found = trials()
    threads = [
        threading.Thread(target=lambda h=h: [store.finish(h, [record(t)]) for t in found]) for h in held
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(store.epochs(t.key)) for t in found] == [2] * 4


def test_drivers_that_fail_the_same_trials_in_opposite_orders_do_not_wait_for_ever(store: Store) -> None:
    held = [store.acquire(save(store, name=name)) for name in ("a", "b")]
    attempts = [FailedAttempt(trial.key, "broken") for trial in trials()]
    orders = [attempts, attempts[::-1]]
    wrong: list[StoreError] = []

    def fail(i: int) -> None:
        try:
            for _ in range(20):
                store.fail(held[i], orders[i])
        except StoreError as error:
            wrong.append(error)

    threads = [threading.Thread(target=fail, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_study_begins_while_another_with_its_trials_is_deleted(store: Store) -> None:
    wrong: list[BaseException] = []

    def begin() -> None:
        try:
            save(store, name="new")
        except Exception as error:  # noqa: BLE001  whatever it is
            wrong.append(error)

    for _ in range(15):
        save(store, name="old")
        thread = threading.Thread(target=begin)
        thread.start()
        Queue(store).delete("old")
        thread.join()
        assert len(store.unfinished(store.study("new").id)) == len(trials())
        Queue(store).delete("new")
    assert not wrong


def test_a_large_transaction_keeps_no_reader_waiting(store: Store) -> None:
    study_id = save(store)
    plain = {"config": "x" * 1_000, "lr": 0.1, "seed_index": 0, "state": TrialState.WAITING}
    with store.writing() as connection:
        # 20 MB: more than SQLite keeps in memory by default.
        connection.execute(trial.insert(), [{"key": f"{i:064}", **plain} for i in range(20_000)])
        began = time.monotonic()
        assert store.counts(study_id)[TrialState.WAITING] == len(trials())
        assert time.monotonic() - began < 5


def test_a_store_whose_connections_are_all_in_use_is_busy_in_words() -> None:
    with (
        pytest.raises(StoreError, match="all connections are in use"),
        translated(make_url("sqlite:///s.db")),
    ):
        raise sa.exc.TimeoutError


def test_a_process_of_another_container_of_this_name_is_not_taken_for_dead() -> None:
    host, pid, begun = leases.this_process().rsplit(" ", 2)
    place, _, started = begun.rpartition(":")
    assert place
    assert not leases.is_dead(f"{host} {pid} {place}:{started}")
    assert leases.is_dead(f"{host} {pid} {place}:0")  # its id is another process's now
    assert not leases.is_dead(f"{host} {pid} elsewhere:0")


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


def test_states_are_the_four_of_the_design() -> None:
    assert [state.value for state in TrialState] == ["waiting", "running", "complete", "failed"]
