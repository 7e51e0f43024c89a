"""Where a study stands: what the store knows of it in one short query, however many trials it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from robustness.store.lease import is_live
from robustness.store.schema import lease, revision, study, submission
from robustness.trial import TrialState

__all__ = ["Standing", "StudyState", "standings"]


class StudyState(StrEnum):
    """What happens to a study."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A study without its trials.

    Attributes:
        id: of its row.
        name: its id for users.
        title: free text; escape where shown.
        question: free text; escape where shown.
        created_at: UTC, ISO 8601.
        updated_at: when its last run began, or when it was submitted.
        revision: grows with every change of its trials or of its place in the queue.
        imported: it was not run here.
        submitted: its state in the queue; None where only the command line ran it.
        trials: that its queued spec stands for.
        cancelling: it runs and was asked to stop.
        error: why it failed; empty where it did not.
        driven: a driver is at work.
        attended: a worker holds it.
    """

    id: int
    name: str
    title: str
    question: str
    created_at: str
    updated_at: str
    revision: int
    imported: bool
    submitted: StudyState | None
    trials: int
    cancelling: bool
    error: str
    driven: bool
    attended: bool

    def state(self, counts: Mapping[TrialState, int]) -> StudyState:
        """What happens to it, given its number of trials in each state."""
        if self.submitted in (StudyState.QUEUED, StudyState.RUNNING):
            return self.submitted
        if self.driven:
            return StudyState.RUNNING
        total, complete = sum(counts.values()), counts[TrialState.COMPLETE]
        if total and complete == total:
            return StudyState.COMPLETE
        if self.submitted in (StudyState.FAILED, StudyState.CANCELLED):
            return self.submitted
        if complete + counts[TrialState.FAILED] == total and total:
            return StudyState.FAILED
        return StudyState.CANCELLED

    @property
    def stopped(self) -> bool:
        """Nobody runs it or is about to."""
        return not (self.driven or self.submitted in (StudyState.QUEUED, StudyState.RUNNING))


_COLUMNS = (
    *(study.c[name] for name in ("id", "name", "title", "question", "created_at", "updated_at", "source")),
    revision.c.number,
    *(submission.c[name] for name in ("state", "trials", "cancelling", "error", "worker")),
    submission.c.expires_at.label("worker_until"),
    lease.c.holder,
    lease.c.expires_at.label("driver_until"),
)


def standings(connection: Connection, name: str | None = None) -> list[Standing]:
    """Of all studies by name, or of the one of that name."""
    query = (
        sa.select(*_COLUMNS)
        .outerjoin(revision, revision.c.study_id == study.c.id)
        .outerjoin(submission, submission.c.study_id == study.c.id)
        .outerjoin(lease, lease.c.study_id == study.c.id)
        .order_by(study.c.name)
    )
    if name is not None:
        query = query.where(study.c.name == name)
    return [_standing(row) for row in connection.execute(query)]


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        id=row.id,
        name=row.name,
        title=row.title,
        question=row.question,
        created_at=row.created_at,
        updated_at=row.updated_at,
        revision=row.number or 0,
        imported=row.source is not None,
        submitted=None if row.state is None else StudyState(row.state),
        trials=row.trials or 0,
        cancelling=bool(row.cancelling),
        error=row.error or "",
        driven=is_live(row.holder, row.driver_until),
        attended=is_live(row.worker, row.worker_until),
    )
