"""Pages of cells, trials and epochs, as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from robustness.store import Store
from robustness.store.trial_frames import read_details
from robustness.summary import Delta, Study, measure
from robustness.trial import TrialState
from robustness.wording.remarks import metric_json

__all__ = ["Labels", "OutcomeName", "SortKey", "TrialQuery", "cells", "metrics", "trials"]

OutcomeName = Literal["trained", "untrained", "nonfinite", "blowup"]
SortKey = Literal[
    "position",
    "task",
    "optimizer",
    "init",
    "lr",
    "seed_index",
    "state",
    "outcome",
    "score",
    "skill",
    "train_loss",
    "test_loss",
    "test_accuracy",
]
_CLASSIFIED = ["outcome", "side", "score", "skill"]
_FIGURES = ("train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
MOST_ERROR = 4_000
"""Characters of a traceback: its end, which says what happened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Only rows with these; None takes all."""

    task: str | None = None
    optimizer: str | None = None
    init: str | None = None

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame."""
        for column, label in (("task", self.task), ("optimizer", self.optimizer), ("init", self.init)):
            if label is not None:
                frame = frame[frame[column] == label]
        return frame


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialQuery:
    """Which trials, in which order, which part of them."""

    labels: Labels
    lr: float | None
    states: tuple[TrialState, ...]
    outcomes: tuple[OutcomeName, ...]
    sort: SortKey
    descending: bool
    limit: int
    offset: int


def _page(items: Sequence[Mapping[Any, Any]], total: int, limit: int, offset: int) -> dict[str, Any]:
    return {"items": items, "total": total, "limit": limit, "offset": offset}


def cells(study: Study, labels: Labels, limit: int, offset: int) -> dict[str, Any]:
    """`schemas.CellRow`, in the study's order."""
    found = labels.of(study.grid.squares)
    part = found.iloc[offset : offset + limit]
    return _page(part.to_dict("records"), len(found), limit, offset)


def trials(store: Store, study: Study, query: TrialQuery) -> dict[str, Any]:
    """`schemas.TrialRow`; what the page shows is read from the store, what it is chosen by is in memory."""
    every, labels = study.trials, study.complete[_CLASSIFIED]
    if len(study.confirming):
        every = pd.concat([every, study.confirming]).sort_index()
        labels = pd.concat([labels, study.confirmed[_CLASSIFIED]])
    found = query.labels.of(every.join(labels))
    if query.lr is not None:
        near = np.isclose(found["lr"].to_numpy(float), query.lr, rtol=1e-3, atol=0)
        found = found[near | np.isclose(study.grid.square_lr(found), query.lr, rtol=1e-3, atol=0)]
    if query.states:
        found = found[found["state"].isin([state.value for state in query.states])]
    if query.outcomes:
        found = found[found["outcome"].isin(query.outcomes)]
    if query.sort != "position":
        found = found.sort_values(query.sort, ascending=not query.descending, kind="stable")
    elif query.descending:
        found = found.iloc[::-1]
    part = found.iloc[query.offset : query.offset + query.limit]
    stored = read_details(store, study.id, part.index.tolist())
    items = [_trial(stored[place], row) for place, row in part.iterrows() if place in stored]
    return _page(items, len(found), query.limit, query.offset)


def _trial(stored: Mapping[str, Any], row: pd.Series[Any]) -> dict[str, Any]:
    complete = row["state"] == TrialState.COMPLETE.value
    return {
        "key": stored["key"],
        **{name: row[name] for name in ("task", "optimizer", "init", "reason", "lr", "seed_index", "state")},
        # Of a trial that is not complete pandas has NaN.
        **{name: row[name] if complete else None for name in (*_CLASSIFIED, *_FIGURES)},
        "attempts": stored["attempts"],
        "error": stored["error"][-MOST_ERROR:] if stored["error"] else None,
        "finished_at": stored["finished_at"],
        "first_nonfinite_step": stored["first_nonfinite_step"],
        "epochs": stored["epochs"],
        "seconds": stored["seconds"],
    }


def metrics(study: Study, names: list[str], delta: Delta) -> list[dict[str, Any]]:
    """`schemas.Metric`; nothing where nothing is complete."""
    if not len(study.complete):
        return []
    return [metric_json(row) for row in measure(study, metrics=names or None, delta=delta)]
