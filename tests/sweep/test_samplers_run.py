"""Studies of every sampler on a real Ray: killed half-way, and where nothing ever trains."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robustness.cli import app
from tests.builders import spec
from tests.sweep.test_run import PROGRAM, run, wait_for_trials

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_ray")]

OPTIMIZERS = [{"name": "insgd"}, {"name": "sgd", "momentum": 0.9}]
RANGE = {"low": 1e-3, "high": 100.0}
SAMPLERS: dict[str, dict[str, Any]] = {
    "qmc": {"lr": RANGE, "budget": 40},
    "tpe": {"lr": RANGE, "budget": 40},
    "edge": {"lr": RANGE, "resolution": 0.1},
    "refine": {"lr": {**RANGE, "points": 6}, "budget": 6},
}


def write(folder: Path, sampler: str, **changes: Any) -> Path:
    search = {
        "sampler": sampler,
        "seeds": 4,
        "init": ["default", "orthogonal"],
        **SAMPLERS[sampler],
        **changes,
    }
    path = folder / "study.json"
    path.write_text(json.dumps(spec(optimizers=OPTIMIZERS, search=search)))
    return path


def attempts(store: Path) -> dict[str, tuple[int, str]]:
    """Attempts of each trial, and when it ended."""
    with sqlite3.connect(store) as connection:
        rows = connection.execute("SELECT key, attempts, finished_at FROM trial WHERE state = 'complete'")
        return {key: (tried, ended) for key, tried, ended in rows}


def members(store: Path) -> list[tuple[str, str, float]]:
    """The study's trials in order: key, reason, final accuracy."""
    with sqlite3.connect(store) as connection:
        return connection.execute(
            "SELECT key, reason, coalesce(test_accuracy, -1) FROM study_trial JOIN trial ON trial.id = trial_id"
            " ORDER BY key"
        ).fetchall()


# `random` is drawn by the lines of `qmc`.
@pytest.mark.parametrize("sampler", ["qmc", "tpe", "edge", "refine"])
def test_after_kill_9_a_sampler_asks_for_the_same_and_nothing_finished_is_rerun(
    sampler: str, tmp_path: Path
) -> None:
    path, store, other = write(tmp_path, sampler), tmp_path / "store.db", tmp_path / "undisturbed.db"
    undisturbed = run(path, other)
    assert undisturbed["complete"] == undisturbed["trials"] > 100
    driver = subprocess.Popen(
        [PROGRAM, "run", str(path), "--store", str(store), "--json", "--pack", "8"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_trials(driver, store, 3 * undisturbed["trials"] // 10)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = attempts(store)
    assert 0.2 * undisturbed["trials"] < len(before) < undisturbed["trials"]
    said = run(path, store)
    assert (said["complete"], said["failed"]) == (undisturbed["complete"], 0)
    after = attempts(store)
    assert {key: after[key] for key in before} == before
    assert members(store) == members(other)
    assert run(path, store)["reused"] == undisturbed["complete"]


@pytest.mark.parametrize("sampler", ["tpe", "edge", "refine"])
def test_a_study_in_which_everything_diverges_finishes_and_every_command_answers(
    sampler: str, tmp_path: Path
) -> None:
    """Learning rates at which nothing is finite after the first steps."""
    beyond = {"low": 1e30, "high": 1e35, **({"points": 6} if sampler == "refine" else {})}
    hopeless: dict[str, Any] = {"lr": beyond, "seeds": 2}
    if sampler != "edge":
        hopeless["budget"] = 3
    path, store = write(tmp_path, sampler, **hopeless), tmp_path / "store.db"
    said = run(path, store)
    assert said["complete"] == said["trials"] > 0
    assert said["failed"] == 0
    with sqlite3.connect(store) as connection:
        [(nonfinite,)] = connection.execute("SELECT sum(nonfinite) FROM trial").fetchall()
    assert nonfinite == said["trials"]
    out = tmp_path / "figures"
    for command in (
        ["list"],
        ["show", "small"],
        ["metrics", "small", "--json"],
        ["compare", "small", "insgd", "sgd", "--metric", "critical_lr"],
        ["audit", "small", "--json"],
        ["table", "small"],
        ["table", "small", "--format", "csv"],
        ["table", "small", "--rows", "optimizer", "--metric", "critical_lr,divergence_rate"],
        ["figures", "small", "--out", str(out), "--formats", "html"],
        ["report", "small", "-o", str(tmp_path / "report.html")],
        ["export", "small", "-o", str(tmp_path / "trials.csv"), "--format", "csv"],
        ["export", "optuna", str(tmp_path / "journal.log")],
    ):
        done = CliRunner().invoke(app, [*command, "--store", str(store)])
        assert done.exit_code == 0, (command, done.stderr, done.exception)
    assert list(out.iterdir())
