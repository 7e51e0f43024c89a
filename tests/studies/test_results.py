"""The committed results against what their own trials give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "studies" / "insgd" / "results"


@pytest.mark.slow
def test_answers_tables_and_sentences_are_those_that_the_trials_give() -> None:
    done = subprocess.run(
        [sys.executable, str(RESULTS / "recompute.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
