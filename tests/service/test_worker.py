"""Real workers as processes, real drivers, a real Ray: every study once, whoever is stopped, killed or cancelled."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy as sa

from robustness.spec import expand, parse
from robustness.store import Order, Queue, Store, StudyState, open_store
from robustness.store.schema import lease
from robustness.trial import TrialState
from tests.builders import spec
from tests.rays import joining
from tests.service.workers import asleep, gone, worker
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

LONG: dict[str, Any] = {
    "task": {"epochs": 20},
    "search": {"lr": [0.01, 0.1, 1.0], "seeds": 16},
    "resources": {"pack": 4},
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """In a file; the queue itself is tested on both databases without Ray."""
    with open_store(url, create=True) as opened:
        yield opened


def submit(store: Store, **changes: Any) -> int:
    """Queue a study; how many trials it has."""
    study = parse(spec(**changes))
    space = expand(study)
    order = Order(
        name=study.name,
        title="",
        question="",
        spec=study.model_dump(mode="json"),
        tasks={task.label: task.config.as_dict() for task in space.tasks},
        trials=space.trial_count,
        owner="me",
    )
    Queue(store).submit(order, limit=10)
    return space.trial_count


def state(store: Store, name: str = "small") -> StudyState | None:
    return Queue(store).of(name).submitted


def complete(store: Store, name: str = "small") -> int:
    return store.counts(Queue(store).of(name).id)[TrialState.COMPLETE]


def drivers(store: Store) -> int:
    """How many have had the lease of the only study."""
    with store.reading() as connection:
        return int(connection.execute(sa.select(lease.c.token)).scalar_one())


def each_trial_once(store: Store) -> bool:
    with store.reading() as connection:
        query = "SELECT count(*) FROM trial WHERE attempts <> 1 OR state <> 'complete' OR epochs <> (SELECT count(*) FROM epoch WHERE trial_id = trial.id)"
        return connection.execute(sa.text(query)).scalar() == 0


def test_queued_studies_are_run_by_several_workers_each_once_or_fail_with_the_reason(
    store: Store, url: str, ray: str, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        submit(store, name=name, search={"lr": [0.1], "seeds": 2, "seed": ord(name)})
    submit(store, name="c", resources={"cpus": 512})
    logs = tmp_path / "1", tmp_path / "2"
    with worker(url, ray, logs[0]), worker(url, ray, logs[1]):
        ended = [StudyState.COMPLETE, StudyState.COMPLETE, StudyState.FAILED]
        wait_until(
            lambda: [state(store, name) for name in "abc"] == ended, "a and b complete, c failed", *logs
        )
    said = "".join(log.read_text() for log in logs)
    assert sorted(re.findall(r"(\w): taken", said)) == ["a", "b", "c"]
    assert Queue(store).of("c").error.startswith("resources.cpus: must be <= ")
    with store.reading() as connection:
        done = connection.execute(sa.text("SELECT count(*) FROM trial WHERE state = 'complete'")).scalar()
    assert done == 4


@pytest.mark.parametrize("whole", [False, True], ids=["the worker", "the worker and its driver"])
def test_a_worker_that_slept_through_its_claim_is_refused_and_no_trial_is_stored_twice(
    whole: bool, store: Store, url: str, ray: str, tmp_path: Path
) -> None:
    total = submit(store, **LONG)
    logs = first_log, second_log = tmp_path / "1", tmp_path / "2"
    with worker(url, ray, first_log) as first:
        wait_until(lambda: complete(store) > 0, "a first trial", *logs[:1])
        stopped = [first, *(first.children(recursive=True) if whole else [])]
        before = drivers(store)
        wait_until(
            lambda: asleep(stopped, tmp_path / "store.db"), "stopped between two transactions", *logs[:1]
        )
        with worker(url, ray, second_log):
            # A stopped driver keeps Ray's processors: the next one has the study and waits for them.
            wait_until(lambda: drivers(store) > before, "another driver", *logs)
            for process in reversed(stopped):
                process.resume()
            wait_until(lambda: "refused" in first_log.read_text(), "the first worker is refused", *logs)
            wait_until(lambda: state(store) is StudyState.COMPLETE, "complete", *logs)
    assert "another worker has taken the study 'small' over" in first_log.read_text()
    assert complete(store) == total
    assert each_trial_once(store)


def test_cancel_stops_a_running_study_and_resume_runs_the_rest(
    store: Store, url: str, ray: str, tmp_path: Path
) -> None:
    total = submit(store, **LONG)
    queue, log = Queue(store), tmp_path / "1"
    with worker(url, ray, log) as process:
        wait_until(lambda: complete(store) > 0, "a first trial", log)
        assert queue.cancel("small").cancelling
        wait_until(lambda: state(store) is StudyState.CANCELLED, "cancelled", log)
        wait_until(lambda: not process.children(recursive=True), "its driver gone", log)
        kept = complete(store)
        assert 0 < kept < total
        queue.resume("small", "me", limit=10)
        wait_until(lambda: state(store) is StudyState.COMPLETE, "complete", log)
    assert complete(store) == total
    assert each_trial_once(store)


def test_a_study_outlives_a_worker_that_is_told_to_stop_and_one_that_is_killed(
    store: Store, url: str, ray: str, tmp_path: Path
) -> None:
    total = submit(store, **LONG)
    logs = [tmp_path / str(number) for number in range(3)]
    with worker(url, ray, logs[0]):
        wait_until(lambda: complete(store) > 0, "a first trial", logs[0])
    assert state(store) is StudyState.QUEUED
    kept = complete(store)
    with worker(url, ray, logs[1], code=-signal.SIGKILL) as second:
        wait_until(lambda: complete(store) > kept, "a next trial", logs[1])
        [driver] = second.children()
        assert driver.nice() > second.nice()  # who answers on this machine goes first
        second.kill()
        wait_until(lambda: gone(driver), "the driver of a killed worker gone", logs[1])
    assert complete(store) < total
    with worker(url, ray, logs[2]):
        wait_until(lambda: state(store) is StudyState.COMPLETE, "complete", logs[2])
    assert each_trial_once(store)


def test_serve_runs_what_is_submitted_and_ends_with_its_worker(url: str, ray: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "robustness.cli", "serve", "--port", "0", "--store", url]
    environment = {**os.environ, **joining(ray), "XDG_CONFIG_HOME": str(tmp_path)}
    log = tmp_path / "err"
    with log.open("w") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, env=environment)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, log.read_text()
        path = Path(process.stdout.readline().split()[-1])
        assert path == tmp_path / "robustness" / "tokens"
        token = path.read_text().split()[0]
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{address}api/v1", headers=headers, timeout=PATIENCE) as client:
            assert client.post("/studies", json=spec(search={"lr": [0.1, 1e20]})).status_code == 201
            wait_until(lambda: client.get("/studies/small").json()["state"] == "complete", "complete", log)
            [dead, *_] = client.get("/studies/small/trials", params={"outcome": "nonfinite"}).json()["items"]
            curve = client.get(f"/studies/small/trials/{dead['key']}/epochs").json()
        assert curve[-1]["train_loss"] is None
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
    finally:
        process.terminate()
        ended = process.wait(PATIENCE)
    assert ended == 0, log.read_text()
    wait_until(lambda: all(map(gone, children)), "its worker gone", log)
    assert token not in log.read_text()
