"""Long trainings on a real Ray that are killed, and go on from their checkpoints."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from robustness.checkpoint_files import outlines
from robustness.store import open_store
from tests.builders import spec
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.cluster

PROGRAM = [sys.executable, "-m", "robustness.cli"]
SMALL = {"data": "synthetic", "train_size": 512, "validation_size": 40, "test_size": 40, "batch_size": 32}
RESNET20: dict[str, Any] = {
    "task": {**SMALL, "model": "resnet20", "norm": "batch", "augment": "pad-crop-flip", "epochs": 8},
    "optimizers": [{"name": "insgd", "schedule": "cosine", "warmup_epochs": 2.0}],
    "search": {"lr": 0.1, "seeds": 1},
}
MLP: dict[str, Any] = {
    "task": {**SMALL, "norm": "batch", "epochs": 100},
    "optimizers": [{"name": "sgd", "momentum": 0.9}],
    "search": {"lr": [0.01, 0.1, 1e20], "seeds": 2},
    "resources": {"pack": 6},
}


def started(folder: Path, study: dict[str, Any], seconds: float = 0.0) -> subprocess.Popen[str]:
    """`robustness run`, in a session of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "study.json").write_text(json.dumps(spec(**study)))
    where = ["--store", f"sqlite:///{folder}/store.db", "--checkpoints", str(folder / "checkpoints")]
    return subprocess.Popen(
        [*PROGRAM, "run", str(folder / "study.json"), *where],
        start_new_session=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "ROBUSTNESS_CHECKPOINT_SECONDS": str(seconds), "HOME": str(folder)},
    )


def run(folder: Path, study: dict[str, Any], seconds: float = 0.0) -> str:
    """A run to its end; what it said."""
    driver = started(folder, study, seconds)
    _, said = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, said
    return said


def wait_for_checkpoint(driver: subprocess.Popen[str], folder: Path, epoch: int) -> None:
    def is_there() -> bool:
        assert driver.poll() is None, driver.communicate()[1]
        return any(outline.epoch >= epoch for outline in outlines(folder / "checkpoints"))

    wait_until(is_there, f"a checkpoint of epoch {epoch}", interval=0.02)


def below(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(driver.pid).children(recursive=True)


def kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def figures(folder: Path) -> list[tuple[Any, ...]]:
    """All that is recorded, but for wall times and when and how often it was tried."""
    with open_store(f"sqlite:///{folder}/store.db") as store, store.reading() as connection:
        names = "epoch train_loss train_loss_max validation_loss validation_accuracy test_loss test_accuracy"
        each = [f"epoch.{name}" for name in [*names.split(), "parameter_norm", "distance", "clamped_share"]]
        query = (
            f"SELECT trial.key, trial.state, trial.l0, trial.first_nonfinite_step, {', '.join(each)}"
            " FROM trial JOIN epoch ON epoch.trial_id = trial.id ORDER BY trial.key, epoch.epoch"
        )
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def epoch_gone_on_from(said: str) -> int:
    [epoch] = set(re.findall(r"goes on after epoch (\d+) of \d+, from its checkpoint", said))
    return int(epoch)


def test_a_resnet20_that_is_killed_with_all_its_processes_goes_on_and_ends_with_the_identical_record(
    tmp_path: Path,
) -> None:
    disturbed, undisturbed = tmp_path / "a", tmp_path / "b"
    driver = started(disturbed, RESNET20)
    wait_for_checkpoint(driver, disturbed, 3)
    others = below(driver)
    os.killpg(driver.pid, signal.SIGKILL)
    kill(others)
    driver.communicate()
    assert figures(disturbed) == []
    assert epoch_gone_on_from(run(disturbed, RESNET20)) >= 3
    run(undisturbed, RESNET20, seconds=1e9)
    assert figures(disturbed) == figures(undisturbed)
    assert len(figures(disturbed)) == 8
    assert list((disturbed / "checkpoints").iterdir()) == []  # what is complete needs none


def test_members_of_a_pack_whose_worker_dies_go_on_each_by_itself_from_the_packs_checkpoint(
    tmp_path: Path,
) -> None:
    disturbed, undisturbed = tmp_path / "a", tmp_path / "b"
    study = {**MLP, "resources": {"pack": 6, "cpus": os.cpu_count() or 1}}  # one pack at a time
    driver = started(disturbed, study)
    wait_for_checkpoint(driver, disturbed, 3)
    kill([p for p in below(driver) if p.cmdline() and "Trainable" in p.cmdline()[0]])
    _, said = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, said
    assert epoch_gone_on_from(said) >= 3
    run(undisturbed, study, seconds=1e9)
    assert figures(disturbed) == figures(undisturbed)
    assert list((disturbed / "checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("ROBUSTNESS_CHECKPOINTS", "/dev/null/folder", "--checkpoints: /dev/null/folder cannot be made"),
        ("ROBUSTNESS_CHECKPOINT_SECONDS", "often", "must be a number >= 0, got 'often'"),
        ("ROBUSTNESS_CHECKPOINT_SECONDS", "-1", "must be a number >= 0, got '-1'"),
    ],
)
def test_a_folder_or_an_interval_that_cannot_be_is_told_before_anything_is_trained(
    variable: str, value: str, error: str, tmp_path: Path
) -> None:
    (tmp_path / "study.json").write_text(json.dumps(spec()))
    done = subprocess.run(
        [*PROGRAM, "run", str(tmp_path / "study.json"), "--store", f"sqlite:///{tmp_path}/store.db"],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert error in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store.db").exists()
