"""Trackers: one run a trial, divergences included, and no trouble of theirs reaches a sweep."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from robustness import cli
from robustness.catalog import trackers as catalog
from robustness.errors import SpecError
from robustness.store import StudyTrial, open_store
from robustness.sweep import trackers
from robustness.sweep.trackers import Trackers, parameters, results
from tests.builders import dead_epoch, epoch, record, space, spec, trials
from tests.waiting import PATIENCE

PROGRAM = str(Path(sys.executable).parent / "robustness")
SPEC: dict[str, Any] = {
    "optimizers": [{"name": "insgd"}, {"name": "adam"}],
    "search": {"lr": [0.1, 1e6, 1e20], "init": ["default"], "seeds": 2},
}
TRIALS = 2 * 3 * 2


def run(folder: Path, changes: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
    """`robustness run` of the small study in a folder, where the trackers write too."""
    path = folder / "study.json"
    path.write_text(json.dumps(spec(**changes)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "WANDB"))}
    return subprocess.run(
        [PROGRAM, "run", str(path), "--store", f"sqlite:///{folder / 's.db'}"],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def members() -> list[StudyTrial]:
    return [StudyTrial(trial, *labels) for trial, labels in space(**SPEC).trials()]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was run twice: with MLflow and TensorBoard, then with nothing left to do."""
    folder = tmp_path_factory.mktemp("tracked")
    for _ in range(2):
        done = run(folder, {**SPEC, "loggers": ["mlflow", "tensorboard"]})
        assert done.returncode == 0, done.stderr
        assert "switched off" not in done.stderr
    return folder


@pytest.fixture
def mlflow_runs(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Any]]:
    """MLflow's client, and its runs by the start of the trial's key."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient((tracked / "mlruns").as_uri())
    [experiment] = client.search_experiments(filter_string="name = 'small'")
    runs = client.search_runs([experiment.experiment_id], max_results=1_000)
    found = {run.data.params["key"]: run for run in runs}
    assert len(found) == len(runs)
    return client, found


@pytest.mark.cluster
def test_mlflow_has_one_finished_run_a_trial_with_all_its_parameters(
    mlflow_runs: tuple[Any, dict[str, Any]],
) -> None:
    _, found = mlflow_runs
    assert len(found) == TRIALS
    for member in members():
        run = found[member.trial.key[:16]]
        assert run.data.params == {name: str(value) for name, value in parameters(member).items()}
        assert run.info.status == "FINISHED"
        assert f"lr={member.trial.cell.lr:g}" in run.info.run_name


@pytest.mark.cluster
def test_mlflow_has_every_epoch_of_the_store_and_what_is_not_finite(
    tracked: Path, mlflow_runs: tuple[Any, dict[str, Any]]
) -> None:
    client, found = mlflow_runs
    dead = 0
    with open_store(f"sqlite:///{tracked / 's.db'}") as store:
        for trial in trials(**SPEC):
            run = found[trial.key[:16]]
            rows = store.epochs(trial.key)
            for name in ("train_loss", "test_accuracy", "distance"):
                history = client.get_metric_history(run.info.run_id, name)
                assert [metric.step for metric in history] == [row.epoch for row in rows]
                values = [getattr(row, name) for row in rows]
                assert [m.value for m in history] == pytest.approx(values, rel=1e-12, nan_ok=True)
            metrics = run.data.metrics
            assert metrics["stopped"] == 0
            assert ("first_nonfinite_step" in metrics) == bool(metrics["nonfinite"])
            dead += math.isnan(metrics["train_loss"])
    assert dead >= 2


@pytest.mark.cluster
def test_tensorboard_opens_one_file_a_trial(tracked: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = {path.name: path for path in (tracked / "runs" / "small").iterdir()}
    assert set(folders) == {trial.key[:16] for trial in trials(**SPEC)}
    ended = []
    for member in members():
        events = EventAccumulator(str(folders[member.trial.key[:16]])).Reload()
        assert "_hparams_/session_start_info" in events.summary_metadata
        ended += events.Scalars("ray/tune/nonfinite")
        if member.trial.cell.lr == 0.1:
            assert [row.step for row in events.Scalars("ray/tune/test_accuracy")] == [1, 2]
    assert len(ended) == TRIALS
    assert sum(row.value for row in ended) >= 2


@pytest.mark.cluster
@pytest.mark.slow
def test_wandb_has_one_offline_run_a_trial(tmp_path: Path) -> None:
    two = {**SPEC, "search": {"lr": [1e20], "seeds": 1}}
    done = run(tmp_path, {**two, "loggers": ["wandb"]}, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert "switched off" not in done.stderr
    for trial in trials(**two):
        [file] = tmp_path.glob(f"wandb/offline-run-*-{trial.key[:16]}/*.wandb")
        content = file.read_bytes()
        for word in (
            b"seed_index",
            trial.cell.optimizer.name.encode(),
            b"test_accuracy",
            b"first_nonfinite_step",
        ):
            assert word in content, done.stderr


def test_a_run_says_how_its_trial_ended() -> None:
    member = members()[0]
    rows = results(record(member.trial, epoch(1), dead_epoch(2, loss=math.inf), step=3))
    assert [row["training_iteration"] for row in rows] == [1, 2]
    assert rows[1]["train_loss"] == math.inf
    assert math.isnan(rows[1]["test_accuracy"])
    assert "clamped_share" not in rows[1]
    assert (rows[1]["first_nonfinite_step"], rows[1]["nonfinite"], rows[1]["stopped"]) == (3, 1, 0)
    assert "first_nonfinite_step" not in results(record(member.trial))[-1]


def test_a_tuple_among_the_parameters_is_text() -> None:
    [member, *_] = [m for m in members() if m.optimizer == "adam"]
    assert parameters(member)["betas"] == "[0.9, 0.999]"


class Recorder:
    """A tracker's callback in this process; `slow` seconds a trial, and raising from the trial `broken` on."""

    def __init__(self, slow: float = 0.0, broken: int | None = None, refuses: bool = False) -> None:
        self.slow, self.broken, self.refuses = slow, broken, refuses
        self.ended: list[str] = []

    def setup(self) -> None:
        if self.refuses:
            raise ConnectionError("no server at nowhere\nand more")

    def log_trial_start(self, trial: Any) -> None:
        time.sleep(self.slow)
        if self.broken is not None and len(self.ended) >= self.broken:
            raise OSError("disk full")

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        pass

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        assert not failed
        self.ended.append(trial.trial_id)

    def on_experiment_end(self, trials: list[Any]) -> None:
        pass


def started(
    monkeypatch: pytest.MonkeyPatch, callback: Recorder, stop: threading.Event | None = None
) -> tuple[Trackers, list[str]]:
    said: list[str] = []
    monkeypatch.setitem(trackers._CALLBACKS, "mlflow", lambda study: (callback, None))
    return Trackers("small", ["mlflow"], said.append, stop or threading.Event()), said


def test_all_trials_that_wait_are_logged_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    callback = Recorder(slow=0.01)
    found, said = started(monkeypatch, callback)
    with found:
        for member in members():
            found.log(member, record(member.trial))
    assert callback.ended == [trial.key[:16] for trial in trials(**SPEC)]
    assert said == []


def test_a_tracker_that_fails_is_said_once_and_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    callback = Recorder(broken=2)
    found, said = started(monkeypatch, callback)
    with found:
        for member in members():
            found.log(member, record(member.trial))
    assert len(callback.ended) == 2
    assert said == ["mlflow failed and is switched off; the store has every trial: disk full"]


def test_a_tracker_that_cannot_be_set_up_is_refused_before_anything_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, _ = started(monkeypatch, Recorder(refuses=True))
    with pytest.raises(SpecError, match="^loggers: mlflow cannot be used: no server at nowhere$"), found:
        pass


def test_a_sweep_that_was_told_to_stop_does_not_wait_for_a_slow_tracker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trackers, "PATIENCE_SECONDS", 0.2)
    stop = threading.Event()
    callback = Recorder(slow=0.5)
    found, said = started(monkeypatch, callback, stop)
    with found:
        for member in members():
            found.log(member, record(member.trial))
        stop.set()
    [line] = said
    assert "trials were not logged to mlflow; the store has them" in line
    assert len(callback.ended) < TRIALS


def test_a_long_wait_at_the_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "SAY_AFTER_SECONDS", 0.0)
    found, said = started(monkeypatch, Recorder(slow=0.1))
    with found:
        for member in members():
            found.log(member, record(member.trial))
    assert said == [f"{TRIALS} trials to log to mlflow yet; Ctrl-C leaves them out"]


def test_a_named_tracker_that_is_not_installed_stops_before_the_store_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalog, "find_spec", lambda name: None)
    path = tmp_path / "study.json"
    path.write_text(json.dumps(spec(loggers=["wandb"])))
    monkeypatch.setattr(
        sys, "argv", ["robustness", "run", str(path), "--store", f"sqlite:///{tmp_path}/s.db"]
    )
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "pip install 'robustness-study[wandb]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_trackers_are_no_part_of_a_trials_identity() -> None:
    assert [t.key for t in trials(loggers=["mlflow"])] == [t.key for t in trials()]


def test_nothing_of_a_tracker_is_imported_for_a_study_without() -> None:
    code = (
        "import sys, threading; from robustness.sweep.trackers import Trackers\n"
        "with Trackers('s', [], print, threading.Event()) as found: assert not found\n"
        "assert not {'ray', 'mlflow', 'wandb', 'tensorboardX'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
