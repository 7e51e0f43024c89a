"""Real workers as processes on one Ray, and how tests wait for them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

__all__ = ["CLAIM", "PATIENCE", "gone", "joining", "ray_head", "until", "worker"]

CLAIM = 8.0
PATIENCE = 600.0
"""Seconds that a test waits for anything: two processors may be shared with much else."""
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""Of these tests' Ray: it lets nobody else in."""
HEAD = """
import sys
from robustness.sweep.cluster import ray_session
with ray_session("local"):
    import ray  # not before: what keeps it on loopback is read by its import
    print(ray.get_runtime_context().gcs_address, file=sys.__stdout__, flush=True)
    sys.stdin.read()
"""


@contextmanager
def ray_head(log: Path) -> Iterator[str]:
    """A Ray on loopback, as a study starts its own, in a process that ends with this one; its address."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | TOKEN,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("127.0.0.1:"), log.read_text()
        yield address
    finally:
        process.stdin.close()
        process.wait(PATIENCE)


def joining(address: str) -> dict[str, str]:
    """What makes a process join the Ray of `ray_head`."""
    # The same that keeps a Ray on loopback: without it Ray looks for the machine's other address instead.
    return {"RAY_ADDRESS": address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", **TOKEN}


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


def until(what: Callable[[], bool], expected: str, *logs: Path) -> None:
    """Wait; what was expected is told where it does not come, with what the workers said."""
    end = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > end:
            said = "".join(f"\n{log.name}: {log.read_text()}" for log in logs)
            pytest.fail(f"not within {PATIENCE:g} s: {expected}{said}")
        time.sleep(0.1)


def gone(process: psutil.Process) -> bool:
    """It ended, whether or not its parent took notice."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
