"""Real workers as processes, real drivers, a real Ray: every study once, whoever is stopped, killed or cancelled."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy as sa

from robustness.spec import expand, parse
from robustness.store import Order, Queue, Store, StudyState, open_store
from robustness.trial import TrialState
from tests.builders import spec

pytestmark = pytest.mark.cluster

CLAIM = 6.0
LONG: dict[str, Any] = {
    "task": {"epochs": 20},
    "search": {"lr": [0.01, 0.1, 1.0], "seeds": 16},
    "resources": {"pack": 4},
}


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


@contextmanager
def worker(url: str, log: Path, *, code: int = 0) -> Iterator[psutil.Process]:
    """`robustness worker` in a session of its own; what it says goes to a file."""
    command = [sys.executable, "-m", "robustness.cli", "worker", "--claim", str(CLAIM)]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env={**os.environ, "ROBUSTNESS_STORE": url}, stderr=file, start_new_session=True
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        assert process.wait(120) == code, log.read_text()


def until(what: Any, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s")
        time.sleep(0.1)


def state(store: Store, name: str = "small") -> StudyState | None:
    return Queue(store).of(name).submitted


def complete(store: Store, name: str = "small") -> int:
    return store.counts(Queue(store).of(name).id)[TrialState.COMPLETE]


def each_trial_once(store: Store) -> bool:
    with store.reading() as connection:
        query = "SELECT count(*) FROM trial WHERE attempts <> 1 OR state <> 'complete' OR epochs <> (SELECT count(*) FROM epoch WHERE trial_id = trial.id)"
        return connection.execute(sa.text(query)).scalar() == 0


def test_queued_studies_are_run_by_several_workers_each_once(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        submit(store, name=name, search={"lr": [0.1], "seeds": 2, "seed": ord(name)})
    with worker(store_url, tmp_path / "1"), worker(store_url, tmp_path / "2"):
        until(lambda: {state(store, name) for name in "ab"} == {StudyState.COMPLETE})
    said = (tmp_path / "1").read_text() + (tmp_path / "2").read_text()
    assert sorted(re.findall(r"(\w): taken", said)) == ["a", "b"]
    assert each_trial_once(store)


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[tuple[Store, str]]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with open_store(url, create=True) as opened:
        yield opened, url


@pytest.mark.parametrize("whole", [False, True], ids=["the worker", "the worker and its driver"])
def test_a_worker_that_slept_through_its_claim_is_refused_and_no_trial_is_stored_twice(
    whole: bool, file_store: tuple[Store, str], tmp_path: Path
) -> None:
    store, url = file_store
    total = submit(store, **LONG)
    with worker(url, tmp_path / "1") as first:
        until(lambda: complete(store) > 0)
        stopped = [first, *(first.children(recursive=True) if whole else [])]
        for process in stopped:
            process.suspend()
        before = complete(store)
        with worker(url, tmp_path / "2"):
            until(lambda: "small: taken" in (tmp_path / "2").read_text())
            until(lambda: complete(store) > before)
            for process in reversed(stopped):
                process.resume()
            until(lambda: "refused" in (tmp_path / "1").read_text())
            until(lambda: state(store) is StudyState.COMPLETE)
    assert "another worker has taken the study 'small' over" in (tmp_path / "1").read_text()
    assert complete(store) == total
    assert each_trial_once(store)


def test_cancel_stops_a_running_study_and_resume_runs_the_rest(
    file_store: tuple[Store, str], tmp_path: Path
) -> None:
    store, url = file_store
    total = submit(store, **LONG)
    queue = Queue(store)
    with worker(url, tmp_path / "1") as process:
        until(lambda: complete(store) > 0)
        assert queue.cancel("small").cancelling
        until(lambda: state(store) is StudyState.CANCELLED, 60)
        until(lambda: not process.children(recursive=True), 60)
        kept = complete(store)
        assert 0 < kept < total
        queue.resume("small", "me", limit=10)
        until(lambda: state(store) is StudyState.COMPLETE)
    assert complete(store) == total
    assert each_trial_once(store)


def test_a_killed_worker_takes_its_driver_along_and_another_goes_on(
    file_store: tuple[Store, str], tmp_path: Path
) -> None:
    store, url = file_store
    total = submit(store, **LONG)
    with worker(url, tmp_path / "1", code=-signal.SIGKILL) as first:
        until(lambda: complete(store) > 0)
        driver = first.children()[0]
        first.kill()
        until(lambda: not driver.is_running() or driver.status() == psutil.STATUS_ZOMBIE, 90)
    assert complete(store) < total
    with worker(url, tmp_path / "2"):
        until(lambda: state(store) is StudyState.COMPLETE)
    assert each_trial_once(store)


def test_a_worker_that_is_told_to_stop_gives_its_study_back(
    file_store: tuple[Store, str], tmp_path: Path
) -> None:
    store, url = file_store
    submit(store, **LONG)
    with worker(url, tmp_path / "1"):
        until(lambda: complete(store) > 0)
    assert state(store) is StudyState.QUEUED


def test_a_study_that_cannot_run_fails_with_the_reason(file_store: tuple[Store, str], tmp_path: Path) -> None:
    store, url = file_store
    submit(store, resources={"cpus": 512})
    with worker(url, tmp_path / "1"):
        until(lambda: state(store) is StudyState.FAILED)
    assert Queue(store).of("small").error.startswith("resources.cpus: must be <= ")


def test_serve_runs_what_is_submitted_and_ends_with_its_worker(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    command = [sys.executable, "-m", "robustness.cli", "serve", "--port", "0", "--store", url]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, env=environment)
    assert process.stdout is not None
    address = process.stdout.readline().strip().removesuffix("/docs")
    path = Path(process.stdout.readline().split()[-1])
    assert path == tmp_path / "robustness" / "tokens"
    token = path.read_text().split()[0]
    try:
        with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}) as client:
            assert client.post("/studies", json=spec(search={"lr": [0.1, 1e20]})).status_code == 201
            until(lambda: client.get("/studies/small").json()["state"] == "complete")
            [dead, *_] = client.get("/studies/small/trials", params={"outcome": "nonfinite"}).json()["items"]
            curve = client.get(f"/studies/small/trials/{dead['key']}/epochs").json()
        assert curve[-1]["train_loss"] is None
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
    finally:
        process.terminate()
        assert process.wait(120) == 0
    until(lambda: not [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE], 60)
    assert token not in (tmp_path / "err").read_text()


def test_a_service_beyond_this_machine_needs_a_token_that_was_set(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "robustness.cli",
        "serve",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--no-worker",
    ]
    options = ["--store", str(tmp_path / "s.db"), "--token-file", str(tmp_path / "tokens")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "there is no token yet" in done.stderr
    assert not list(tmp_path.iterdir())
