"""Where the command line writes to: files, full disks, terminals that cannot show a letter, closed pipes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from robustness.store import open_store
from tests.builders import save
from tests.test_cli import call, spec_file

TITLE = "η → ∞"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with a study that has a title not all terminals can show."""
    url = f"sqlite:///{tmp_path_factory.mktemp('output') / 's.db'}"
    with open_store(url, create=True) as store:
        save(store, title=TITLE)
    return url


def run(command: str, url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as a shell runs it."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m robustness.cli {command}"],
        capture_output=True,
        text=True,
        env={**os.environ, "ROBUSTNESS_STORE": url, **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["report", "small", "-o", "/proc/x.html"], "--output"),
        (["report", "small", "-o", "/dev/null", "--pdf", "/proc/x.pdf"], "--pdf"),
        (["export", "small", "-o", "/proc/x.csv"], "--output"),
        (["export", "optuna", "/proc/x.log"], "PATH"),
        (["figures", "small", "--formats", "html", "--out", "/proc/self"], "--out"),
    ],
)
def test_a_folder_that_takes_no_file_is_refused_before_the_work(
    arguments: list[str], option: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments, "--store", url) == 2
    assert capsys.readouterr().err.startswith(f"error: {option}: the folder /proc")


@pytest.mark.parametrize(
    "arguments",
    [["report", "small"], ["export", "small", "--format", "csv"], ["export", "small", "--format", "parquet"]],
)
def test_a_full_disk_is_said_with_the_file(
    arguments: list[str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments, "--store", url, "-o", "/dev/full") == 1
    assert re.search(
        r"^error: /dev/full cannot be written: .*No space left on device$", capsys.readouterr().err, re.M
    )


@pytest.mark.parametrize("command", ["list", "show small", "schema", "metrics small --json"])
def test_output_into_a_full_disk_is_said(command: str, url: str) -> None:
    done = run(f"{command} > /dev/full", url)
    assert done.returncode == 1
    assert done.stderr == "error: stdout cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", ["list", "show small"])
def test_letters_that_a_terminal_cannot_show_are_replaced(command: str, url: str) -> None:
    done = run(command, url, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? ? ?" in done.stdout


@pytest.mark.parametrize("command", ["list", "metrics small --json", "schema"])
def test_a_closed_pipe_ends_quietly_and_is_no_failed_trial(command: str, url: str) -> None:
    done = run(f"{command} | true", url)
    assert done.returncode == 141
    assert done.stderr == ""


def test_a_file_that_cannot_be_read_is_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/home/secret")

    monkeypatch.setattr("robustness.catalog.data_root", refuse)
    assert call("plan", tmp_path / "x.toml", "--store", tmp_path / "s.db") == 1
    assert capsys.readouterr().err == "error: /home/secret: Permission denied\n"


NAME = "a-study-whose-name-is-long-indeed-and-says-so"


def listed(columns: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as store:
        save(store, name=NAME, title="Which of them survives?")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        assert call("list", "--store", tmp_path / "s.db") == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_other_programs_read_whole_names_and_titles(
    columns: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = listed(columns, tmp_path, capsys)
    assert re.search(rf"{NAME} +Which of them survives\? +0/4 +0 +0 +20\d\d-\d\d-\d\d \d\d:\d\d", out)


@pytest.mark.parametrize(("columns", "title"), [(40, ""), (80, ""), (120, "Which of t.*…"), (200, "Which.*")])
def test_a_narrow_terminal_costs_titles_and_no_name(
    columns: int,
    title: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    out = listed(columns, tmp_path, capsys)
    assert re.search(rf"{NAME} +{title} +0/4 +0 +0 +20\d\d-\d\d-\d\d \d\d:\d\d", out)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_plan_loses_no_column_in_40_letters(
    terminal: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(Console, "is_terminal", terminal)
    assert call("plan", spec_file(tmp_path), "--metric", "score") == 0
    out = capsys.readouterr().out
    assert "…" not in out
    assert re.search(r"^ +2 \(this study\)( +[0-9.]+){5} *$", out, re.M)
    assert out.count("points") == 5
    assert ("sd 10.0 points" in out) == (not terminal)


def test_a_worker_names_the_store_in_which_it_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "robustness.cli", "worker", "--store", str(tmp_path / "typo.db")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.terminate()
    assert line == f"worker: waiting for studies in sqlite:///{tmp_path / 'typo.db'}\n"
    assert process.returncode == 0


def test_one_of_a_thing_is_not_called_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("optimizer,lr,test_accuracy\nsgd,0.1,0.9\n")
    store = ("--store", tmp_path / "s.db")
    for arguments, words in (
        (("import", "csv", table, "--name", "one"), "1 trial of 1 task in study one\n"),
        (("show", "one"), "\n1 trial: 1 complete\n"),
        (("export", "one", "-o", tmp_path / "one.csv"), "1 row in "),
        (("export", "optuna", tmp_path / "one.log"), "1 trial of 1 Optuna study in "),
    ):
        assert call(*arguments, *store) == 0
        assert words in capsys.readouterr().out


def test_a_budget_of_one_epoch_is_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as store:
        save(store, task={"epochs": 1})
    assert call("table", "small", "--store", tmp_path / "s.db") == 0
    assert "Budget: 1 epoch, batch 64." in capsys.readouterr().out
