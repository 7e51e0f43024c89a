"""Whole studies on a real Ray, through the command line as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robustness.catalog import DATASETS
from robustness.store import Queue, open_store
from tests.builders import spec
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.cluster

PROGRAM = str(Path(sys.executable).parent / "robustness")
SPEC: dict[str, Any] = {
    "optimizers": [{"name": "insgd"}, {"name": "sgd", "momentum": 0.9}],
    "task": {"epochs": 3},
    "search": {"lr": [1e-3, 0.1, 1.0, 10.0, 1e20], "init": ["default", "orthogonal"], "seeds": 20},
}
TRIALS = 2 * 5 * 2 * 20


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "study.json"
    path.write_text(json.dumps(spec(**{**SPEC, **changes})))
    return path


def run(path: Path, store: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """`robustness run --json`; its one object."""
    done = subprocess.run(
        [PROGRAM, "run", str(path), "--store", str(store), "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "stderr": done.stderr}


def table(store: Path) -> str:
    done = subprocess.run(
        [PROGRAM, "table", "small", "--store", str(store), "--format", "csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def complete(store: Path) -> int:
    if not store.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10) as connection:
            [count] = connection.execute("SELECT count(*) FROM trial WHERE state = 'complete'").fetchone()
    except sqlite3.OperationalError:  # not made yet
        return 0
    return int(count)


def wait_for_trials(driver: subprocess.Popen[Any], store: Path, count: int) -> None:
    """Until so many are complete; a driver that ended earlier fails the test at once."""

    def are_complete() -> bool:
        ended = driver.poll() is not None
        if complete(store) >= count:
            return True
        assert not ended, driver.communicate()
        return False

    wait_until(are_complete, f"{count} complete trials", interval=0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """A study run from beginning to end: its spec, its store, what `run` printed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    path, store = write(folder), folder / "store.db"
    return path, store, run(path, store)


def test_a_study_runs_and_says_what_it_did(undisturbed: tuple[Path, Path, dict[str, Any]]) -> None:
    _, store, said = undisturbed
    assert said["stderr"] == ""
    keys = ["study", "trials", "complete", "failed", "reused", "seconds", "trials_per_second"]
    assert [key for key in said if key != "stderr"] == keys
    assert [said[key] for key in keys[:5]] == ["small", TRIALS, TRIALS, 0, 0]
    assert said["trials_per_second"] == pytest.approx(TRIALS / said["seconds"], rel=0.01)
    rows = list(csv.DictReader(io.StringIO(table(store))))
    assert len(rows) == 2 * 5 * 2
    assert all(int(row["n"]) == 20 for row in rows)
    assert all(row["nonfinite"] == "20" for row in rows if float(row["lr"]) == 1e20)
    assert all(row["trained"] == "20" for row in rows if float(row["lr"]) == 0.1)


def test_a_second_run_trains_nothing(undisturbed: tuple[Path, Path, dict[str, Any]]) -> None:
    path, store, _ = undisturbed
    said = run(path, store)
    assert (said["reused"], said["complete"], said["seconds"]) == (TRIALS, TRIALS, 0.0)


def test_a_run_under_the_same_name_says_which_results_the_study_no_longer_has(
    undisturbed: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, store, _ = undisturbed
    copy = tmp_path / "store.db"
    copy.write_bytes(store.read_bytes())
    said = run(path, copy, "--set", "search.lr=[0.1, 1.0]")
    assert (said["trials"], said["reused"]) == (160, 160)
    assert "240 complete trials are no longer part of small; the store keeps" in said["stderr"]
    assert run(path, copy)["stderr"] == ""
    assert complete(copy) == TRIALS


def loaded_by(path: Path, store: Path) -> set[str]:
    """The modules that `robustness run` loads."""
    code = (
        f"import sys; sys.argv = ['robustness', 'run', {str(path)!r}, '--store', {str(store)!r}]\n"
        "from robustness import cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_a_run_with_nothing_to_do_loads_neither_torch_nor_ray(
    undisturbed: tuple[Path, Path, dict[str, Any]],
) -> None:
    path, store, _ = undisturbed
    assert not {"torch", "ray", "pandas"} & loaded_by(path, store)


@pytest.mark.usefixtures("shared_ray")
def test_a_sweep_loads_no_tracker_that_its_study_does_not_name(tmp_path: Path) -> None:
    loaded = loaded_by(write(tmp_path, search={"lr": 0.1, "seeds": 1}), tmp_path / "store.db")
    assert "ray.tune" in loaded
    assert not {"mlflow", "wandb", "comet_ml"} & loaded


@pytest.mark.usefixtures("shared_ray")
def test_more_seeds_and_learning_rates_run_only_what_is_new(
    undisturbed: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, store, _ = undisturbed
    before = table(store)
    copy = tmp_path / "store.db"
    with sqlite3.connect(store) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    more = write(tmp_path, search={**SPEC["search"], "seeds": 21, "lr": [*SPEC["search"]["lr"], 0.5]})
    said = run(more, copy)
    assert (said["reused"], said["trials"], said["complete"]) == (TRIALS, 2 * 6 * 2 * 21, 2 * 6 * 2 * 21)
    run(write(tmp_path), copy)
    assert table(copy) == before


@pytest.mark.usefixtures("shared_ray")
def test_the_size_of_packs_changes_no_figure_in_a_store_of_its_own(
    undisturbed: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, store = undisturbed[0], tmp_path / "store.db"
    run(path, store, "--pack", "7")
    ours, theirs = (everything(s) for s in (store, undisturbed[1]))
    assert ours == theirs


def everything(store: Path) -> list[tuple[Any, ...]]:
    """Every recorded figure of every epoch, but for wall times."""
    figures = (
        "train_loss",
        "train_loss_max",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "distance",
    )
    with sqlite3.connect(store) as connection:
        return connection.execute(
            f"SELECT key, first_nonfinite_step, l0, epoch.epoch, {', '.join(f'epoch.{name}' for name in figures)}"
            " FROM trial JOIN epoch ON epoch.trial_id = trial.id ORDER BY key, epoch.epoch"
        ).fetchall()


@pytest.mark.usefixtures("shared_ray")
def test_one_at_a_time_gives_the_same_table(
    undisturbed: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    """By another engine: only what rounding decides, at the edge of stability, may differ."""
    calm = {"lr": [1e-3, 0.1], "init": ["default", "orthogonal"], "seeds": 3}
    path = write(tmp_path, search=calm)
    tables = []
    for pack in ("auto", "1"):
        store = tmp_path / f"{pack}.db"
        run(path, store, "--pack", pack)
        tables.append(list(csv.DictReader(io.StringIO(table(store)))))
    for packed, alone in zip(*tables, strict=True):
        assert packed.keys() == alone.keys()
        for name in packed:
            assert packed[name] == alone[name] or abs(float(packed[name]) - float(alone[name])) < 1e-3, name


def test_after_kill_9_the_same_command_finishes_what_is_missing(
    undisturbed: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, store = undisturbed[0], tmp_path / "store.db"
    driver = subprocess.Popen(
        [PROGRAM, "run", str(path), "--store", str(store), "--json"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_trials(driver, store, TRIALS // 4)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    done = complete(store)
    assert 0.2 * TRIALS <= done <= 0.8 * TRIALS
    said = run(path, store)
    assert (said["reused"], said["complete"], said["failed"]) == (done, TRIALS, 0)
    assert table(store) == table(undisturbed[1])


@pytest.mark.parametrize(
    ("kind", "group"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)],
    ids=["SIGINT", "SIGTERM", "SIGTERM to Ray too"],  # as Slurm, systemd and timeout send it
)
def test_a_signal_stops_cleanly_and_says_how_to_go_on(
    kind: signal.Signals, group: bool, tmp_path: Path
) -> None:
    path, store = write(tmp_path, search={**SPEC["search"], "seeds": 200}), tmp_path / "store.db"
    driver = subprocess.Popen(
        [PROGRAM, "run", str(path), "--store", str(store)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_trials(driver, store, 3)
    (os.killpg if group else os.kill)(driver.pid, kind)
    _, err = driver.communicate(timeout=60)  # the whole study takes longer, and says so: see below
    assert driver.returncode == 130
    assert "4,000 to run, 0 complete" in err
    assert "The same command goes on from there." in err
    assert "Traceback" not in err
    assert 0 < complete(store) < 4_000
    with open_store(str(store)) as found:
        assert not Queue(found).of("small").driven


@pytest.mark.usefixtures("shared_ray")
def test_an_execution_that_fails_is_missing_data_with_its_traceback(tmp_path: Path) -> None:
    """A data file that is cut off: present when the study is checked, unreadable when it is trained."""
    root = tmp_path / "data"
    for file in DATASETS.get("fashion-mnist").files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"\x00\x00\x08\x03")
    path, store = (
        write(tmp_path, task={"data": "fashion-mnist"}, search={"lr": 0.1, "seeds": 2}),
        tmp_path / "store.db",
    )
    said = run(path, store, "--data", str(root), "--max-failures", "1", code=1)
    assert (said["failed"], said["complete"], said["trials_per_second"]) == (4, 0, 0.0)
    assert "Traceback" in said["stderr"]
    assert "a trial failed 2 times" in said["stderr"]
    rows = list(csv.DictReader(io.StringIO(table(store))))
    assert [(row["n"], row["diverged"]) for row in rows] == [("0", "0")] * 2
    with sqlite3.connect(store) as connection:
        assert set(connection.execute("SELECT state, attempts FROM trial")) == {("failed", 2)}


def test_a_worker_that_dies_costs_its_pack_one_attempt_and_no_result(
    undisturbed: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    # Small packs keep every worker busy to the end: whichever dies is training one.
    path, store = undisturbed[0], tmp_path / "store.db"
    driver = subprocess.Popen(
        [PROGRAM, "run", str(path), "--store", str(store), "--json", "--pack", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_trials(driver, store, 6)
    worker = ray_workers_of(driver.pid)[0]
    os.kill(worker, signal.SIGKILL)
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, err
    said = json.loads(out)
    assert (said["complete"], said["failed"]) == (TRIALS, 0)
    with sqlite3.connect(store) as connection:
        found = dict(connection.execute("SELECT attempts, count(*) FROM trial GROUP BY attempts"))
    assert set(found) == {1, 2}
    assert found[2] <= 4
    assert table(store) == table(undisturbed[1])


def ray_workers_of(driver: int) -> list[int]:
    """Process ids of the actors that train, below the driver."""
    import psutil

    below = psutil.Process(driver).children(recursive=True)
    return [p.pid for p in below if p.cmdline() and "Trainable" in p.cmdline()[0]]


def test_resources_that_no_node_has_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = subprocess.run(
        [PROGRAM, "run", str(path), "--store", str(tmp_path / "s.db"), "--set", "resources.cpus=1000"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert re.search(
        r"error: resources.cpus: must be <= \d+, what the largest node has, got 1000", done.stderr
    )


def test_a_cluster_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = subprocess.run(
        [PROGRAM, "run", str(path), "--store", str(tmp_path / "s.db"), "--address", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "error: no Ray cluster at '127.0.0.1:1'" in done.stderr
    assert "Traceback" not in done.stderr
