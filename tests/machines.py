"""Machines for tests: namespaces of this one, each with an address, processes and a /tmp/ray of its own.

Ray takes each for another host: `ray stop` finds nothing outside it, to kill it is a power cut, and nothing
that listens in it can be reached from elsewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import PATIENCE

__all__ = ["Machine", "pair", "single"]

ROOT = Path(__file__).parents[1]
TOKEN = "0123456789abcdef" * 4
PREPARE = """
ip link set lo up && mkdir -p /tmp/ray && mount -t tmpfs ray /tmp/ray || exit
mount --bind /dev/null /etc/resolv.conf # no name server to wait for
echo up
exec "$0" -c "$1"
"""
# The kernel takes the dead away whose parent does not care for them: `ray stop` would wait for each.
FIRST_PROCESS = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True: signal.pause()"


class Machine:
    """A machine with an address."""

    def __init__(self, address: str, home: Path) -> None:
        """Start it, without a network yet."""
        self.address = address
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        # --kill-child: however this test session ends, the machine ends with it.
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"]
            + ["sh", "-c", PREPARE, sys.executable, FIRST_PROCESS],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "up\n":
            self._keeper.wait()
            pytest.skip("no namespaces here: they need root")
        [self._first] = psutil.Process(self._keeper.pid).children()
        self.pid = self._first.pid
        self._number = os.stat(f"/proc/{self.pid}/ns/pid").st_ino
        # Held open, the cable stays when the machine is dead: its network would go with its last process.
        self._network = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)

    def popen(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[str]:
        """Start a command in it."""
        inside = ["nsenter", "--target", str(self.pid), "--net", "--pid", "--mount", "--", *map(str, command)]
        env = {**self.env, **options.pop("env", {})}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(inside, env=env, text=True, **{**pipes, **options})

    def run(self, command: Sequence[str | Path], timeout: float = PATIENCE, **options: Any) -> str:
        """Run a command in it that must succeed; what it said."""
        process = self.popen(command, **options)
        out, _ = process.communicate(timeout=timeout)
        assert process.returncode == 0, out
        return out

    def processes(self) -> list[psutil.Process]:
        """All that runs in it."""
        found = []
        for process in psutil.process_iter():
            with suppress(OSError):
                if os.stat(f"/proc/{process.pid}/ns/pid").st_ino == self._number:
                    found.append(process)
        return found

    def kill(self) -> None:
        """Cut its power: it falls silent, without a farewell to whom it was connected with."""
        self.run(["ip", "link", "set", "eth0", "down"])
        self._end()

    def _end(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self._first.send_signal(signal.SIGKILL)  # the kernel ends all others with the first
        self._keeper.wait()

    def close(self) -> None:
        """End it and its network."""
        self._end()
        os.close(self._network)


@contextmanager
def single(home: Path) -> Iterator[Machine]:
    """A machine whose address is its loopback's."""
    with _machine("10.77.0.1", home) as machine:
        machine.run(["ip", "address", "add", f"{machine.address}/32", "dev", "lo"])
        machine.run(["ip", "route", "add", "default", "dev", "lo", "src", machine.address])
        yield machine


@contextmanager
def pair(home: Path) -> Iterator[tuple[Machine, Machine]]:
    """Two machines that reach each other and nothing else."""
    with _machine("10.77.0.1", home) as one, _machine("10.77.0.2", home) as other:
        subprocess.run(
            ["ip", "link", "add", "eth0", "netns", str(one.pid), "type", "veth"]
            + ["peer", "name", "eth0", "netns", str(other.pid)],
            check=True,
        )
        for machine, peer in ((one, other), (other, one)):
            machine.run(["ip", "address", "add", f"{machine.address}/24", "dev", "eth0"])
            machine.run(["ip", "link", "set", "eth0", "up"])
            # As any host has one: by its route to the world Ray tells a node's own address.
            machine.run(["ip", "route", "add", "default", "via", peer.address])
        yield one, other


@contextmanager
def _machine(address: str, home: Path) -> Iterator[Machine]:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("no namespaces here: they need Linux with util-linux and iproute2")
    machine = Machine(address, home)
    try:
        yield machine
    finally:
        machine.close()
