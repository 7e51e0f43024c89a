"""A Ray that many tests share: each start of one costs five seconds."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.started_programs import require_marker
from tests.waiting import PATIENCE

__all__ = ["joining", "ray_head"]

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
    require_marker("cluster")  # its process starts Ray, where nobody sees it
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
