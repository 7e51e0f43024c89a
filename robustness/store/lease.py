"""Leases: one driver a study. A fencing token refuses a driver that slept through its lease."""

from __future__ import annotations

import functools
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from robustness.errors import LeaseHeld, LeaseLost
from robustness.store.schema import lease

__all__ = [
    "LEASE_SECONDS",
    "Lease",
    "acquire",
    "check",
    "first_token",
    "is_dead",
    "is_live",
    "release",
    "this_process",
]

LEASE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write results of one study, for as long as `token` is the newest."""

    study_id: int
    token: int


def this_process() -> str:
    """This process, as holder of leases."""
    # With the process's start, since process ids are used again.
    return f"{socket.gethostname()} {os.getpid()} {_place()}:{_started(os.getpid())}"


@functools.cache
def _place() -> str:
    """Where process ids mean what they do here: containers of one name each count their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return "here"


def _started(pid: int) -> str:
    """When a process began, in words that do not change when the clock is set.

    Raises:
        psutil.NoSuchProcess: it does not run, or only as a zombie.
    """
    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(pid)
    try:
        # Clock ticks since boot; psutil's create_time moves with the system's clock.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return f"{process.create_time():.0f}"


def is_dead(holder: str) -> bool:
    """Whether the holder is a process of this machine, in this container, that no longer runs."""
    host, pid, begun = holder.rsplit(" ", 2)
    place, _, started = begun.rpartition(":")
    if host != socket.gethostname() or place != _place():
        return False
    try:
        return _started(int(pid)) != started
    except psutil.NoSuchProcess:
        return True


def is_live(holder: str | None, expires_at: float | None) -> bool:
    """Whether a lease is held by someone who may still be at work."""
    return bool(holder) and (expires_at or 0.0) > time.time() and not is_dead(str(holder))


def first_token() -> int:
    """Of a lease that is new. SQLite gives a deleted study's id to the next one: who slept through that must be refused."""
    return secrets.randbits(48)


def acquire(connection: Connection, study_id: int) -> Lease:
    """Take the lease of a study.

    Raises:
        LeaseHeld: a live driver holds it.
    """
    row = connection.execute(
        sa.select(lease).where(lease.c.study_id == study_id).with_for_update()
    ).one_or_none()
    now = time.time()
    if row is not None and is_live(row.holder, row.expires_at):
        host, pid, _ = row.holder.rsplit(" ", 2)
        raise LeaseHeld(
            f"another driver is running this study (process {pid} on {host}); "
            f"its lease ends in {row.expires_at - now:.0f} s unless it renews it"
        )
    token = first_token() if row is None else row.token + 1
    values = {"token": token, "holder": this_process(), "expires_at": now + LEASE_SECONDS}
    together = "another driver took this study at the same moment"
    if row is None:
        try:
            connection.execute(lease.insert().values(study_id=study_id, **values))
        except IntegrityError:
            raise LeaseHeld(together) from None
    else:
        changed = connection.execute(
            lease.update().where(lease.c.study_id == study_id, lease.c.token == row.token).values(**values)
        )
        if changed.rowcount != 1:
            raise LeaseHeld(together)
    return Lease(study_id, token)


def check(connection: Connection, held: Lease) -> None:
    """Hold the lease's row until the transaction ends, and move the lease's end: writing is renewing.

    Raises:
        LeaseLost: another driver has taken it over.
    """
    # An update, not a select: it locks the row on both databases.
    changed = connection.execute(
        lease.update()
        .where(lease.c.study_id == held.study_id, lease.c.token == held.token, lease.c.holder != "")
        .values(expires_at=time.time() + LEASE_SECONDS)
    )
    if changed.rowcount != 1:
        raise LeaseLost("another driver has taken this study over; nothing more is written from here")


def release(connection: Connection, held: Lease) -> None:
    """Give the lease back, if it is still ours."""
    connection.execute(
        lease.update()
        .where(lease.c.study_id == held.study_id, lease.c.token == held.token)
        .values(holder="", expires_at=0.0)
    )
