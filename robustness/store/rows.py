"""Records as rows of the tables."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from robustness.trial import EpochRecord, TrialRecord, TrialState

__all__ = ["chunks", "epoch_row", "final_figures", "insert_into", "now"]

CHUNK = 10_000  # SQLite takes at most 32,766 values in one statement

T = TypeVar("T")


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Lists of at most `size`, one after the other."""
    remaining = iter(items)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def insert_into(connection: Connection, table: sa.Table) -> Any:
    """An INSERT that knows ON CONFLICT, which each dialect has its own class for."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    return insert(table)


_EPOCH_FIELDS = tuple(field.name for field in fields(EpochRecord))
_epoch_figures = attrgetter(*_EPOCH_FIELDS)


def epoch_row(trial_id: int, row: EpochRecord) -> dict[str, Any]:
    """For one of tens of thousands of rows `asdict` takes ten times as long."""
    return {"trial_id": trial_id, **dict(zip(_EPOCH_FIELDS, _epoch_figures(row), strict=True))}


def final_figures(record: TrialRecord) -> dict[str, Any]:
    """The columns of a complete trial's row, but for its attempts."""
    last = record.epochs[-1]
    return {
        "state": TrialState.COMPLETE,
        "error": None,
        "finished_at": now(),
        "l0": record.l0,
        "nonfinite": record.nonfinite,
        "first_nonfinite_step": record.first_nonfinite_step,
        "stopped": record.stopped,
        "epochs": len(record.epochs),
        "train_loss": last.train_loss,
        "min_train_loss": record.min_train_loss,
        "max_train_loss": record.max_train_loss,
        "max_loss_rise": record.max_loss_rise,
        "validation_loss": last.validation_loss,
        "validation_accuracy": last.validation_accuracy,
        "test_loss": last.test_loss,
        "test_accuracy": last.test_accuracy,
        "max_earlier_score": record.max_earlier_score,
        "parameter_norm": last.parameter_norm,
        "distance": last.distance,
        "clamped_share": last.clamped_share,
        "seconds": sum(row.seconds for row in record.epochs),
    }
