"""The committed results against what their own trials give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "studies" / "insgd" / "results"


def recomputed(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(RESULTS / "recompute.py")
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_labels_answer_and_sentences_are_those_that_the_trials_give() -> None:
    done = recomputed("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_without_the_columns_that_labels_need_is_refused_by_name() -> None:
    done = recomputed("--check", "digits")
    assert done.returncode == 2
    assert "'digits'" in done.stderr
    assert "digits-edge" in done.stderr
