"""Leases: one driver a study, and who may take over from whom."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from robustness.errors import LeaseHeld, LeaseLost, StoreError
from robustness.store import Store
from robustness.store import lease as leases
from robustness.store.schema import lease
from tests.builders import record, save, trials
from tests.store.conftest import states


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


def test_a_process_of_another_container_of_this_name_is_not_taken_for_dead() -> None:
    host, pid, begun = leases.this_process().rsplit(" ", 2)
    place, _, started = begun.rpartition(":")
    assert place
    assert not leases.is_dead(f"{host} {pid} {place}:{started}")
    assert leases.is_dead(f"{host} {pid} {place}:0")  # its id is another process's now
    assert not leases.is_dead(f"{host} {pid} elsewhere:0")
