"""Real workers as processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from tests.rays import joining
from tests.waiting import PATIENCE

__all__ = ["CLAIM", "asleep", "gone", "worker"]

CLAIM = 8.0


@contextmanager
def worker(url: str, address: str, log: Path, *, code: int = 0) -> Iterator[psutil.Process]:
    """`robustness worker` in a session of its own; what it says goes to a file."""
    command = [sys.executable, "-m", "robustness.cli", "worker", "--claim", str(CLAIM)]
    environment = {**os.environ, **joining(address), "ROBUSTNESS_STORE": url}
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stderr=file, start_new_session=True)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        ended = process.wait(PATIENCE)
    assert ended == code, log.read_text()


def gone(process: psutil.Process) -> bool:
    """It ended, whether or not its parent took notice."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def asleep(processes: Sequence[psutil.Process], store: Path) -> bool:
    """Stop them; whether none holds a lock of the SQLite file, else they go on: ask again.

    Who sleeps in the middle of a transaction keeps the file from everybody else, which is no matter of claims.
    """
    for process in processes:
        process.suspend()
    with closing(sqlite3.connect(store, timeout=1.0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            for process in reversed(processes):
                process.resume()
            return False
    return True
