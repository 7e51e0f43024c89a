"""What workers do with the queue: take a study, keep it, give it back. A fencing token refuses one that slept."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from robustness.errors import LeaseLost
from robustness.store.lease import is_live, this_process
from robustness.store.revision import touch_studies
from robustness.store.schema import lease, study, submission
from robustness.store.standing import StudyState
from robustness.store.store import Store

__all__ = ["DEATHS", "Claim", "Claims"]

DEATHS = 3
"""Drivers of a study that may die without a word, one after the other, before it counts as failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to run one queued study, for as long as `token` is the newest."""

    study_id: int
    name: str
    spec: dict[str, Any]
    token: int


class Claims:
    """A worker's side of the queue."""

    def __init__(self, store: Store, seconds: float) -> None:
        """Of this store; a claim lasts so long unless it is renewed."""
        self._store = store
        self._seconds = seconds

    def take(self) -> Claim | None:
        """The first study that waits, or whose worker is gone; None where there is none.

        A study is left alone while a driver is at work on it, whoever started that.
        """
        with self._store.reading() as connection:  # looking takes no lock
            if all(map(_is_held, connection.execute(_CANDIDATES))):
                return None
        with self._store.writing() as connection:
            # PostgreSQL: two workers look at different rows. SQLite's writers are alone anyway.
            locked = _CANDIDATES.with_for_update(of=submission, skip_locked=True)
            for row in connection.execute(locked).all():
                if _is_held(row):
                    continue
                if row.cancelling:  # its worker died before it could stop
                    self._set(connection, row.study_id, state=StudyState.CANCELLED.value, cancelling=False)
                    continue
                token = row.token + 1
                until = time.time() + self._seconds
                self._set(
                    connection,
                    row.study_id,
                    state=StudyState.RUNNING.value,
                    token=token,
                    worker=this_process(),
                    expires_at=until,
                )
                return Claim(study_id=row.study_id, name=row.name, spec=json.loads(row.spec), token=token)
        return None

    def renew(self, claim: Claim) -> None:
        """Move the claim's end.

        Raises:
            LeaseLost: another worker has taken the study over, or it is gone.
        """
        with self._store.writing() as connection:
            self._update(connection, claim, expires_at=time.time() + self._seconds)

    def cancelling(self, claim: Claim) -> bool:
        """Whether the study was asked to stop."""
        query = sa.select(submission.c.cancelling).where(submission.c.study_id == claim.study_id)
        with self._store.reading() as connection:
            return bool(connection.execute(query).scalar())

    def finish(self, claim: Claim, state: StudyState, error: str = "") -> StudyState:
        """Say how it ended; QUEUED gives it back to the queue, where it keeps its place, unless it was cancelled.

        Raises:
            LeaseLost: another worker has taken the study over, or it is gone; nothing was written.
        """
        values: dict[str, Any] = {"worker": "", "expires_at": 0.0, "attempts": 0, "error": error or None}
        with self._store.writing() as connection:
            self._update(connection, claim, **values)
            return self._settle(connection, claim, state)

    def died(self, claim: Claim, error: str) -> StudyState:
        """The driver died without a word: the study waits again, or fails after `DEATHS` of them.

        Raises:
            LeaseLost: another worker has taken the study over, or it is gone; nothing was written.
        """
        with self._store.writing() as connection:
            self._update(
                connection, claim, worker="", expires_at=0.0, attempts=submission.c.attempts + 1, error=error
            )
            query = sa.select(submission.c.attempts).where(submission.c.study_id == claim.study_id)
            attempts = connection.execute(query).scalar_one()
            state = StudyState.FAILED if attempts >= DEATHS else StudyState.QUEUED
            return self._settle(connection, claim, state)

    def _settle(self, connection: Connection, claim: Claim, state: StudyState) -> StudyState:
        """Write the state; one that would run again, and was asked to stop meanwhile, is cancelled."""
        query = sa.select(submission.c.cancelling).where(submission.c.study_id == claim.study_id)
        if state is StudyState.QUEUED and connection.execute(query).scalar_one():
            state = StudyState.CANCELLED
        self._set(connection, claim.study_id, state=state.value, cancelling=False)
        return state

    @staticmethod
    def _update(connection: Connection, claim: Claim, **values: Any) -> None:
        changed = connection.execute(
            submission.update()
            .where(
                submission.c.study_id == claim.study_id,
                submission.c.token == claim.token,
                submission.c.state == StudyState.RUNNING.value,
            )
            .values(**values)
        )
        if changed.rowcount != 1:
            raise LeaseLost(
                f"another worker has taken the study {claim.name!r} over; nothing more is written from here"
            )

    @staticmethod
    def _set(connection: Connection, study_id: int, **values: Any) -> None:
        connection.execute(submission.update().where(submission.c.study_id == study_id).values(**values))
        touch_studies(connection, [study_id])


_OPEN = submission.c.state.in_((StudyState.QUEUED.value, StudyState.RUNNING.value))
_CANDIDATES = (
    sa.select(
        submission,
        study.c.name,
        lease.c.holder,
        lease.c.expires_at.label("driver_until"),
    )
    .join(study, study.c.id == submission.c.study_id)
    .outerjoin(lease, lease.c.study_id == submission.c.study_id)
    .where(_OPEN)
    .order_by(submission.c.ticket)
)
"""Rows in the order of the queue."""


def _is_held(row: Row[Any]) -> bool:
    """Whether a worker or a driver may be at work on it."""
    attended = row.state == StudyState.RUNNING and is_live(row.worker, row.expires_at)
    return attended or is_live(row.holder, row.driver_until)
