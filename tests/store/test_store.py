"""One conformance suite for every database."""

from __future__ import annotations

import math
import threading
from dataclasses import astuple

import pytest
import sqlalchemy as sa

from robustness.errors import StoreError, StoreMissing
from robustness.store import FailedAttempt, Lease, Queue, Store, engine, open_store
from robustness.store.schema import study, trial
from robustness.trial import TrialState
from tests.builders import dead_epoch, epoch, record, save, trials
from tests.store.conftest import states

INF = math.inf


def test_opening_a_store_again_finds_what_was_saved(store_url: str) -> None:
    with open_store(store_url, create=True) as store:
        save(store)
    with open_store(store_url) as store:
        [row] = store.studies()
        assert (row.name, row.waiting, row.complete) == ("small", 4, 0)


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
        assert list(map(str, astuple(before))) == list(map(str, after[1:]))
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


def test_two_studies_finishing_the_same_trial_store_it_once(store: Store) -> None:
    held = [store.acquire(save(store, name=name)) for name in ("a", "b")]
    found = trials()

    def finish_all(lease: Lease) -> None:
        for one in found:
            store.finish(lease, [record(one)])

    threads = [threading.Thread(target=finish_all, args=(each,)) for each in held]
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
        # Only this thread could end the writing: a reader that waited for it would be refused in the end.
        assert store.counts(study_id)[TrialState.WAITING] == len(trials())


@pytest.mark.postgres
def test_a_writer_that_sleeps_in_a_transaction_loses_it_and_its_rows_are_free(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WRITER_IDLES", 500)
    with open_store(postgres_url, create=True) as store:
        save(store)
        rename = sa.update(study).values(title=sa.bindparam("title"))

        def sleep_and_write() -> None:
            with store.writing() as sleeper:
                sleeper.execute(rename, {"title": "half"})
                with store.writing() as other:  # waits for the row
                    other.execute(rename, {"title": "whole"})
                sleeper.execute(rename, {"title": "late"})

        with pytest.raises(StoreError, match="idle-in-transaction"):
            sleep_and_write()
        assert store.study("small").title == "whole"


def test_states_are_the_four_of_the_design() -> None:
    assert [state.value for state in TrialState] == ["waiting", "running", "complete", "failed"]
