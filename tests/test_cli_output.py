"""Where the command line writes to: files, full disks, terminals that cannot show a letter, closed pipes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from robustness.store import open_store
from tests.builders import save
from tests.test_cli import call

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
