"""How long tests wait, and for what: for a condition, never for a time; two processors may be shared with much else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["PATIENCE", "wait_until"]

PATIENCE = 600.0
"""Seconds after which a test gives up; it costs time only where the test fails."""


def wait_until(
    condition: Callable[[], bool],
    expected: str,
    *logs: Path,
    interval: float = 0.1,
    patience: float = PATIENCE,
) -> None:
    """Wait for a condition; where it does not come, the test fails.

    Args:
        condition: asked every `interval` seconds; what it raises ends the wait.
        expected: what was waited for, in words.
        logs: files whose text is shown where the test fails.
        interval: seconds.
        patience: seconds.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            logged = "".join(f"\n{log.name}: {log.read_text()}" for log in logs)
            pytest.fail(f"not within {patience:g} s: {expected}{logged}")
        time.sleep(interval)
