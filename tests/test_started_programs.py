"""A test that starts a large program without its marker fails, so that `make test-fast` stays fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rays import ray_head
from tests.started_programs import needed_marker


@pytest.mark.parametrize(
    ("command", "marker"),
    [
        (["/usr/bin/chromium", "--headless"], "browser"),
        ([sys.executable, "wrapper.py", "/usr/bin/chromium"], "browser"),
        (["/site-packages/playwright/driver/node", "cli.js"], "browser"),
        (
            ["runuser", "-u", "postgres", "--", Path("/usr/lib/postgresql/15/bin/initdb"), "-D", "x"],
            "postgres",
        ),
        (["/site-packages/ray/core/src/ray/gcs/gcs_server"], "cluster"),
        (["nsenter", "--target", "1", "--net", "--pid", "--mount", "--", "ray", "start"], "cluster"),
        ([b"git", b"status"], None),
        ([sys.executable, "-m", "robustness.cli", "--version"], None),
    ],
)
def test_a_program_is_known_through_whoever_starts_it(
    command: list[str | bytes | Path], marker: str | None
) -> None:
    assert needed_marker(command) == marker


@pytest.mark.parametrize("shell", [False, True])
def test_a_test_without_the_marker_cannot_start_the_program(shell: bool, tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\ntouch started\n")
    program.chmod(0o755)
    with pytest.raises(pytest.fail.Exception, match="has no marker 'browser'"):
        subprocess.run(str(program) if shell else [program], cwd=tmp_path, shell=shell, check=False)
    assert not (tmp_path / "started").exists()


@pytest.mark.browser
def test_a_test_with_the_marker_starts_it(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\ntouch started\n")
    program.chmod(0o755)
    subprocess.run([program], cwd=tmp_path, check=True)
    assert (tmp_path / "started").exists()


def test_a_ray_that_starts_in_another_process_needs_the_marker_too(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="'cluster'"), ray_head(tmp_path / "log"):
        pass
