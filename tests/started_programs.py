"""A test says by its markers which large programs it starts: one that starts them unsaid is failed.

`make test-fast` leaves tests out by these markers; without this it would start the programs all the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import pytest

__all__ = ["MARKER_OF_PROGRAM", "allowed_programs", "needed_marker", "require_marker"]

MARKER_OF_PROGRAM = {
    "ray": "cluster",  # the command, and the folder of gcs_server and raylet
    "chromium": "browser",
    "google-chrome": "browser",
    "playwright": "browser",
    "initdb": "postgres",
}
"""The marker of tests that start a program of this name, or one from a folder of this name."""
NO_CLUSTER = "127.0.0.1:1"
"""An address where no Ray is: a command that a test starts finds none there, and starts none of its own."""

_allowed_markers: frozenset[str] | None = None  # None between tests: whatever starts then is nobody's


def needed_marker(command: Sequence[str | bytes | os.PathLike[str]]) -> str | None:
    """The marker that a test needs to start this command; None where it needs none."""
    # Others start them: `runuser -u postgres -- initdb`, `python wrapper.py chromium`.
    for word in command[:12]:
        for name in PurePath(os.fsdecode(word)).parts:
            if name in MARKER_OF_PROGRAM:
                return MARKER_OF_PROGRAM[name]
    return None


@contextmanager
def allowed_programs(item: pytest.Item) -> Iterator[None]:
    """While a test runs, with its fixtures: only programs that its markers name can be started."""
    global _allowed_markers
    _allowed_markers = frozenset(marker.name for marker in item.iter_markers())
    with pytest.MonkeyPatch.context() as patch:
        if "cluster" not in _allowed_markers:
            patch.setenv("RAY_ADDRESS", NO_CLUSTER)
        try:
            yield
        finally:
            _allowed_markers = None


def require_marker(marker: str) -> None:
    """Fail the running test unless it has this marker: for fixtures whose programs start where no hook sees them."""
    if _allowed_markers is not None and marker not in _allowed_markers:
        pytest.fail(f"the test starts what only tests marked {marker!r} may start", pytrace=False)


def _check_start(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "subprocess.Popen" or _allowed_markers is None:
        return
    executable, command, *_ = arguments
    words = [command] if isinstance(command, str | bytes | os.PathLike) else list(command)
    marker = needed_marker([executable, *words] if executable is not None else words)
    if marker is not None and marker not in _allowed_markers:
        pytest.fail(f"the test starts {os.fsdecode(words[0])}, and has no marker {marker!r}", pytrace=False)


sys.addaudithook(_check_start)  # not only `subprocess`: Ray, Playwright and Kaleido start their own
