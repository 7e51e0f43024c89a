"""Trials and epochs of a study as data frames: what summaries, exports and pages read."""

from __future__ import annotations

import gc
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from robustness.errors import StoreMissing
from robustness.store.schema import epoch, study_trial, trial
from robustness.store.store import Store
from robustness.trial import TrialState

__all__ = [
    "CELL_EPOCH_COLUMNS",
    "LABELS",
    "RECORD_COLUMNS",
    "TRIAL_COLUMNS",
    "read_cell_epochs",
    "read_configs",
    "read_details",
    "read_epochs",
    "read_records",
    "read_trial_epochs",
    "read_trials",
]

LABELS = ("task", "optimizer", "init")
"""The labels of a trial in a study."""
_FIGURES = (
    "l0",
    "nonfinite",
    "stopped",
    "train_loss",
    "min_train_loss",
    "max_train_loss",
    "max_loss_rise",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "max_earlier_score",
    "clamped_share",
)
TRIAL_COLUMNS = (*LABELS, "reason", "lr", "seed_index", "state", *_FIGURES)
"""What summaries need of a trial."""
RECORD_COLUMNS = (
    "lr",
    "seed_index",
    "key",
    "state",
    "attempts",
    "config",
    "error",
    "finished_at",
    "first_nonfinite_step",
    "epochs",
    "parameter_norm",
    "distance",
    "seconds",
)
"""What was recorded beside it: exports show it."""
_DETAILS = ("key", "attempts", "error", "finished_at", "first_nonfinite_step", "epochs", "seconds")
_EPOCH_FIGURES = ("train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
CELL_EPOCH_COLUMNS = ("key", "seed_index", "first_nonfinite_step", "epoch", *_EPOCH_FIGURES)
"""Of `read_cell_epochs`."""


@contextmanager
def _without_collector() -> Iterator[None]:
    # It would walk a hundred thousand new rows again and again.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _of_study(columns: Sequence[Any], study_id: int) -> sa.Select[Any]:
    """These columns of a study's trials, in the spec's order."""
    return (
        sa.select(*columns)
        .join_from(study_trial, trial, trial.c.id == study_trial.c.trial_id)
        .where(study_trial.c.study_id == study_id)
        .order_by(study_trial.c.position)
    )


def read_trials(store: Store, study_id: int) -> pd.DataFrame:
    """Every trial of a study, `TRIAL_COLUMNS`, in the spec's order; what is not recorded is NaN."""
    # The database's own values, a column at a time: rows as objects take five times as long.
    columns = [
        *(study_trial.c[name] for name in (*LABELS, "reason")),
        *(trial.c[name] for name in ("lr", "seed_index", "state", *_FIGURES)),
    ]
    with store.reading() as connection, _without_collector():
        rows = connection.execute(_of_study(columns, study_id)).cursor.fetchall()
    values = (
        dict(zip(TRIAL_COLUMNS, zip(*rows, strict=True), strict=True))
        if rows
        else dict.fromkeys(TRIAL_COLUMNS, ())
    )
    kinds = {"seed_index": np.int64, **dict.fromkeys((*LABELS, "reason", "state"), object)}
    return pd.DataFrame(
        {name: np.array(column, dtype=kinds.get(name, float)) for name, column in values.items()}
    )


def read_configs(
    store: Store, study_id: int, positions: Collection[int] | None = None
) -> dict[int, dict[str, Any]]:
    """The configuration of each trial, by its position in the study.

    Args:
        store: where it is.
        study_id: of the study.
        positions: these only; all by default.
    """
    query = _of_study([study_trial.c.position, trial.c.config], study_id)
    if positions is not None:
        query = query.where(study_trial.c.position.in_(list(positions)))
    with store.reading() as connection:
        return {row.position: json.loads(row.config) for row in connection.execute(query)}


def read_records(store: Store, study_id: int) -> pd.DataFrame:
    """`RECORD_COLUMNS` of every trial: configuration (JSON), last error, when it ended; in the spec's order."""
    query = _of_study([trial.c[name] for name in RECORD_COLUMNS], study_id)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    frame = pd.DataFrame.from_records(rows, columns=list(RECORD_COLUMNS))
    numeric = RECORD_COLUMNS[RECORD_COLUMNS.index("first_nonfinite_step") :]
    return frame.astype(dict.fromkeys(numeric, float))


def read_details(store: Store, study_id: int, positions: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Key, attempts, error, end, first non-finite step, epochs and seconds of some trials, by position."""
    columns = [study_trial.c.position, *(trial.c[name] for name in _DETAILS)]
    query = _of_study(columns, study_id).where(study_trial.c.position.in_(list(positions)))
    with store.reading() as connection:
        return {row["position"]: dict(row) for row in connection.execute(query).mappings()}


def read_epochs(store: Store, study_id: int) -> pd.DataFrame:
    """Every epoch of every complete trial of a study, with its labels, learning rate, seed index and key."""
    figures = [column for column in epoch.c if column.name not in ("trial_id", "epoch")]
    columns = [
        *(study_trial.c[label] for label in LABELS),
        trial.c.lr,
        trial.c.seed_index,
        trial.c.key,
        epoch.c.epoch,
        *(sa.type_coerce(column, sa.Double).label(column.name) for column in figures),
    ]
    query = _of_study(columns, study_id).join(epoch, epoch.c.trial_id == trial.c.id).order_by(epoch.c.epoch)
    with store.reading() as connection:
        result = connection.execute(query)
        frame = pd.DataFrame.from_records(result.all(), columns=list(result.keys()))
    return frame.astype({column.name: float for column in figures})


def read_cell_epochs(store: Store, study_id: int, positions: Collection[int]) -> pd.DataFrame:
    """The epochs of the complete ones of some trials, `CELL_EPOCH_COLUMNS`, for a picture of how they went.

    A trial without epochs has one row with NaN.

    Args:
        store: where it is.
        study_id: of the study.
        positions: of the trials in it.
    """
    columns = [
        trial.c.key,
        trial.c.seed_index,
        sa.type_coerce(trial.c.first_nonfinite_step, sa.Double).label("first_nonfinite_step"),
        sa.type_coerce(epoch.c.epoch, sa.Double).label("epoch"),
        *(sa.type_coerce(epoch.c[figure], sa.Double).label(figure) for figure in _EPOCH_FIGURES),
    ]
    query = (
        _of_study(columns, study_id)
        .outerjoin(epoch, epoch.c.trial_id == trial.c.id)
        .where(
            study_trial.c.position.in_(list(positions)),
            trial.c.state == TrialState.COMPLETE.value,
        )
        .order_by(epoch.c.epoch)
    )
    with store.reading() as connection:
        frame = pd.DataFrame.from_records(connection.execute(query).all(), columns=list(CELL_EPOCH_COLUMNS))
    return frame.astype(dict.fromkeys(("first_nonfinite_step", "epoch", *_EPOCH_FIGURES), float))


def read_trial_epochs(store: Store, study_id: int, key: str) -> list[Mapping[str, Any]]:
    """Every epoch of one trial of a study, in order, with all that was recorded.

    Raises:
        StoreMissing: the study has no such trial.
    """
    figures = [column for column in epoch.c if column.name != "trial_id"]
    member = (
        sa.select(study_trial.c.trial_id)
        .join(trial, trial.c.id == study_trial.c.trial_id)
        .where(study_trial.c.study_id == study_id, trial.c.key == key)
    )
    with store.reading() as connection:
        trial_id = connection.execute(member).scalar()
        if trial_id is None:
            raise StoreMissing(f"the study has no trial {key!r:.80}")
        query = sa.select(*figures).where(epoch.c.trial_id == trial_id).order_by(epoch.c.epoch)
        return [dict(row) for row in connection.execute(query).mappings()]
