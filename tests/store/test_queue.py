"""The queue on both databases: claims, fencing, and the number that every change of a study moves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from robustness.errors import LeaseLost, QueueFull, SpecError, StudyBusy
from robustness.store import Claim, Claims, FailedAttempt, Order, Queue, Store, StudyState
from robustness.store.claims import DEATHS
from robustness.store.lease import this_process
from robustness.store.schema import lease, submission
from tests.builders import record, save, space, spec, trials

LONG = 3_600.0
"""A claim that no test outlasts, however slow the machine."""


def order(name: str = "small", owner: str = "me", **changes: Any) -> Order:
    plain = spec(name=name)
    texts: dict[str, Any] = {"title": "", "question": "", "spec": plain, "tasks": {}}
    return Order(name=name, owner=owner, trials=space().trial_count, **{**texts, **changes})


def submit(store: Store, *names: str) -> None:
    for name in names:
        Queue(store).submit(order(name), limit=10)


def take(store: Store, seconds: float = LONG) -> Claim:
    claim = Claims(store, seconds).take()
    assert claim is not None
    return claim


def state(store: Store, name: str = "small") -> StudyState | None:
    return Queue(store).of(name).submitted


def test_studies_are_taken_in_the_order_in_which_they_came(store: Store) -> None:
    submit(store, "b", "a", "c")
    assert [take(store).name for _ in range(3)] == ["b", "a", "c"]
    assert Claims(store, LONG).take() is None


def test_only_one_of_many_workers_gets_a_study(store: Store) -> None:
    submit(store, "a", "b")
    found: list[str] = []

    def work() -> None:
        claim = Claims(store, LONG).take()
        if claim is not None:
            found.append(claim.name)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while (claim := Claims(store, LONG).take()) is not None:  # PostgreSQL skips what another looks at
        found.append(claim.name)
    assert sorted(found) == ["a", "b"]


def test_a_claim_that_ran_out_is_taken_over_and_the_old_worker_is_refused(store: Store) -> None:
    submit(store, "small")
    old = take(store, 0.05)
    time.sleep(0.1)
    new = take(store)
    assert new.token > old.token
    claims = Claims(store, LONG)
    refused: list[Callable[[], object]] = [
        lambda: claims.renew(old),
        lambda: claims.finish(old, StudyState.COMPLETE),
        lambda: claims.died(old, "x"),
    ]
    for call in refused:
        with pytest.raises(LeaseLost, match="another worker"):
            call()
    assert state(store) is StudyState.RUNNING
    claims.finish(new, StudyState.COMPLETE)
    with pytest.raises(LeaseLost):
        claims.renew(new)


def test_who_cancels_while_a_worker_takes_the_study_asks_the_worker_to_stop(store: Store) -> None:
    submit(store, "small")
    found: list[bool] = []
    canceller = threading.Thread(target=lambda: found.append(Queue(store).cancel("small").cancelling))
    with store.writing() as connection:  # a worker's transaction, before its end
        values = {"state": "running", "worker": this_process(), "expires_at": time.time() + LONG}
        connection.execute(submission.update().values(**values))
        canceller.start()
        time.sleep(0.3)
    canceller.join()
    assert found == [True]
    assert state(store) is StudyState.RUNNING


def test_looking_for_a_study_waits_for_no_writer(store: Store) -> None:
    submit(store, "small")
    take(store)
    with store.writing() as connection:
        connection.execute(submission.update().values(attempts=1))
        assert Claims(store, LONG).take() is None


def test_a_study_is_left_alone_while_a_driver_is_at_work_on_it(store: Store) -> None:
    held = store.acquire(save(store))
    with pytest.raises(StudyBusy, match="extend=true"):
        Queue(store).submit(order(), limit=10)
    store.release(held)
    Queue(store).submit(order(extend=True), limit=10)
    held = store.acquire(held.study_id)
    assert Claims(store, LONG).take() is None
    store.release(held)
    assert take(store).name == "small"


def test_a_study_whose_drivers_die_fails_in_the_end(store: Store) -> None:
    submit(store, "small")
    for death in range(DEATHS):
        claim = take(store)
        last = death == DEATHS - 1
        assert Claims(store, LONG).died(claim, "killed") is (StudyState.FAILED if last else StudyState.QUEUED)
    assert Claims(store, LONG).take() is None
    assert Queue(store).of("small").error == "killed"
    assert Queue(store).resume("small", "me", limit=10).submitted is StudyState.QUEUED
    assert Queue(store).of("small").error == ""


def test_a_cancelled_study_whose_worker_died_is_not_run_again(store: Store) -> None:
    submit(store, "small")
    take(store)
    assert Queue(store).cancel("small").cancelling
    with store.writing() as connection:
        connection.execute(submission.update().values(expires_at=0.0))
    assert Claims(store, LONG).take() is None
    assert state(store) is StudyState.CANCELLED
    assert not Queue(store).of("small").cancelling


def test_a_request_is_known_by_its_key_after_another_has_replaced_its_study(store: Store) -> None:
    queue = Queue(store)
    first = order(key="one", digest="1")
    queue.submit(first, limit=10)
    queue.cancel("small")
    queue.submit(order(key="two", digest="2", extend=True), limit=10)
    _, again = queue.submit(first, limit=10)
    assert again
    with pytest.raises(SpecError, match="came before with another body"):
        queue.submit(order(key="one", digest="other"), limit=10)


def test_a_cancel_that_comes_after_the_workers_last_look_comes_true(store: Store) -> None:
    submit(store, "small")
    claim = take(store)
    assert Queue(store).cancel("small").cancelling
    # Its driver was interrupted: without the cancel it would run again.
    assert Claims(store, LONG).finish(claim, StudyState.QUEUED) is StudyState.CANCELLED
    assert Claims(store, LONG).take() is None
    assert not Queue(store).of("small").cancelling


def test_a_study_that_fails_while_it_is_cancelled_can_be_resumed(store: Store) -> None:
    submit(store, "small")
    for _ in range(DEATHS - 1):
        Claims(store, LONG).died(take(store), "killed")
    claim = take(store)
    assert Queue(store).cancel("small").cancelling
    assert Claims(store, LONG).died(claim, "killed") is StudyState.FAILED
    assert Queue(store).resume("small", "me", limit=10).submitted is StudyState.QUEUED


def test_resume_runs_what_the_study_is_now(store: Store) -> None:
    submit(store, "small")
    Claims(store, LONG).finish(take(store), StudyState.COMPLETE)
    more = spec(search={"lr": [0.1, 0.3, 1.0], "seeds": 5})
    study_id = save(store, **more)  # by the command line
    assert Queue(store).resume("small", "me", limit=10).trials == len(trials(**more))
    assert take(store).spec == json.loads(store.study("small").spec)
    assert len(store.unfinished(study_id)) == len(trials(**more))


def test_a_worker_gives_a_study_back_to_its_place(store: Store) -> None:
    submit(store, "a", "b")
    claim = take(store)
    Claims(store, LONG).finish(claim, StudyState.QUEUED)
    assert take(store).name == "a"


def test_the_limit_counts_what_waits_for_one_owner(store: Store) -> None:
    queue = Queue(store)
    queue.submit(order("a"), limit=1)
    with pytest.raises(QueueFull, match="at most 1"):
        queue.submit(order("b"), limit=1)
    queue.submit(order("b", owner="you"), limit=1)
    take(store)
    queue.submit(order("c"), limit=1)
    queue.cancel("b")
    with pytest.raises(QueueFull):
        queue.submit(order("d"), limit=1)
    queue.submit(order("d", owner="you"), limit=1)
    with pytest.raises(QueueFull):  # it counts for whoever submitted it
        queue.resume("b", "me", limit=1)


def test_an_imported_study_is_neither_run_nor_replaced(store: Store) -> None:
    store.import_study("log", title="", source={"format": "csv"}, tasks={}, trials=[])
    queue = Queue(store)
    with pytest.raises(SpecError, match="imported"):
        queue.submit(order("log", extend=True), limit=10)
    with pytest.raises(StudyBusy, match="imported"):
        queue.resume("log", "me", limit=10)


def test_who_slept_through_a_deletion_writes_nothing_into_the_next_study(store: Store) -> None:
    held = store.acquire(save(store))
    submit_token = held.token
    with store.writing() as connection:  # it ran out while its driver slept
        connection.execute(lease.update().values(expires_at=0.0))
    before = Queue(store).of("small").revision
    Queue(store).delete("small")
    again = store.acquire(save(store))
    assert again.token != submit_token
    assert Queue(store).of("small").revision != before
    with pytest.raises(LeaseLost):
        store.finish(held, [record(trials()[0])])


def test_every_change_that_a_reader_sees_moves_the_revision_of_all_who_share_it(store: Store) -> None:
    study_id = save(store)
    save(store, name="other", search={"seeds": 1})
    save(store, name="apart", search={"lr": [0.5]})
    held = store.acquire(study_id)
    found = trials()
    queue = Queue(store)

    def moved(change: Callable[[], object]) -> set[str]:
        before = {s.name: s.revision for s in queue.all()}
        change()
        return {s.name for s in queue.all() if s.revision != before[s.name]}

    shared, own = found[0], found[1]
    assert (shared.seed_index, own.seed_index) == (0, 1)
    assert moved(lambda: store.start(held, [shared.key])) == {"small", "other"}
    assert moved(lambda: store.requeue(held)) == {"small", "other"}
    assert moved(lambda: store.fail(held, [FailedAttempt(shared.key, "x")])) == {"small", "other"}
    assert moved(lambda: store.finish(held, [record(shared)])) == {"small", "other"}
    assert moved(lambda: store.finish(held, [record(own)])) == {"small"}
    assert moved(lambda: store.finish(held, [record(own)])) == set()
    assert moved(lambda: store.renew(held)) == set()
    store.release(held)
    assert moved(lambda: queue.submit(order(extend=True), limit=10)) == {"small"}
    assert moved(lambda: take(store)) == {"small"}
    assert moved(lambda: queue.cancel("small")) == {"small"}


def test_the_states_of_the_table_are_those_of_the_program(store: Store) -> None:
    submit(store, "small")
    for each in StudyState:
        with store.writing() as connection:
            connection.execute(submission.update().values(state=each.value))
    with pytest.raises(sa.exc.IntegrityError), store.writing() as connection:
        connection.execute(submission.update().values(state="paused"))
