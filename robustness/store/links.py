"""What makes trials the trials of a study: links, made in the order of the spec."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from robustness.store.rows import chunks, insert_into
from robustness.store.schema import study_trial, trial
from robustness.trial import ImportedTrial, Trial, TrialState

__all__ = ["CONFIRM", "StudyTrial", "link", "write_links"]

CONFIRM = "confirm"
"""The reason of a trial that repeats a tuned setting with a fresh seed."""


@dataclass(frozen=True, slots=True)
class StudyTrial:
    """A trial as one study sees it: its labels, and why a sampler added it; empty where it was designed."""

    trial: Trial
    task: str
    optimizer: str
    init: str
    reason: str = ""


def link(connection: Connection, study_id: int, position: int, trials: Iterable[StudyTrial]) -> int:
    """Link trials from a position on; the position after the last."""
    for chunk in chunks(trials):
        ids = _add_trials(connection, [item.trial for item in chunk])
        write_links(connection, study_id, position, [ids[item.trial.key] for item in chunk], chunk)
        position += len(chunk)
    return position


def write_links(
    connection: Connection,
    study_id: int,
    position: int,
    ids: Sequence[int],
    items: Sequence[StudyTrial | ImportedTrial],
) -> None:
    """Link rows of trials, by their ids, from a position on."""
    rows = [
        {
            "study_id": study_id,
            "trial_id": trial_id,
            "position": position + i,
            "task": item.task,
            "optimizer": item.optimizer,
            "init": item.init,
            "reason": item.reason,
        }
        for i, (trial_id, item) in enumerate(zip(ids, items, strict=True))
    ]
    connection.execute(study_trial.insert(), rows)


def _add_trials(connection: Connection, trials: Sequence[Trial]) -> dict[str, int]:
    rows = [
        {
            "key": t.key,
            "config": t.json,
            "lr": t.cell.lr,
            "seed_index": t.seed_index,
            "state": TrialState.WAITING,
        }
        for t in trials
    ]
    # In one order: two drivers that wait for each other's new rows would wait for ever.
    rows.sort(key=lambda row: str(row["key"]))
    insert = insert_into(connection, trial).on_conflict_do_nothing(index_elements=["key"])
    ids: dict[str, int] = {}
    while missing := [row for row in rows if row["key"] not in ids]:
        connection.execute(insert, missing)
        for chunk in chunks(str(row["key"]) for row in missing):
            # Held until the links are there: whoever deletes another study of these trials waits, or was first,
            # and what was deleted is inserted again.
            query = sa.select(trial.c.key, trial.c.id).where(trial.c.key.in_(chunk))
            found = connection.execute(query.with_for_update(read=True, key_share=True))
            ids.update((row.key, row.id) for row in found)
    return ids
