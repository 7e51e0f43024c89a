"""The queue of studies: what users submit, cancel, resume and delete. Workers take from it by `claims`.

The store is the queue, so nothing that was acknowledged is lost with a process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from robustness.errors import QueueFull, SpecError, StoreMissing, StudyBusy, nearest
from robustness.store.lease import first_token
from robustness.store.revision import touch_studies
from robustness.store.rows import chunks, insert_into, now
from robustness.store.schema import request, study, study_trial, submission, trial
from robustness.store.standing import Standing, StudyState, standings
from robustness.store.store import Store

__all__ = ["Order", "Queue"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A study to be run.

    Attributes:
        name: its id.
        title: free text.
        question: free text.
        spec: what the user wrote, checked.
        tasks: the fields of each task label.
        trials: that it stands for.
        owner: the id of the token that submits it.
        extend: run it in place of the spec of a study that is there.
        key: of the request, for whoever repeats it; None where there is none.
        digest: of the request's body.
    """

    name: str
    title: str
    question: str
    spec: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    trials: int
    owner: str
    extend: bool = False
    key: str | None = None
    digest: str = ""


class Queue:
    """What users do with the queue of a store."""

    def __init__(self, store: Store) -> None:
        """Of this store."""
        self._store = store

    def all(self) -> list[Standing]:
        """Every study, by name."""
        with self._store.reading() as connection:
            return standings(connection)

    def of(self, name: str) -> Standing:
        """One study.

        Raises:
            StoreMissing: no study of that name; the text offers the nearest.
        """
        with self._store.reading() as connection:
            return _one(connection, name)

    def submit(self, order: Order, *, limit: int) -> tuple[Standing, bool]:
        """Queue a study.

        Args:
            order: which one.
            limit: studies that one owner may have waiting.

        Returns:
            The study, and whether it was submitted before by the same request.

        Raises:
            SpecError: the key was used for another request; the study was imported.
            StudyBusy: there is such a study; with `extend`, it is not stopped.
            QueueFull: too many wait.
        """

        def attempt(connection: Connection) -> tuple[Standing, bool]:
            before = _repeated(connection, order)
            if before is None and not self._insert_row(connection, order):
                # It waited for the study's row, and the same request may have been answered meanwhile.
                _one(connection, order.name, lock=True)
                before = _repeated(connection, order)
                if before is None:
                    _check_replaceable(_one(connection, order.name), order)
            if before is not None:
                return _one(connection, before), True
            study_id = _one(connection, order.name, lock=True).id
            _check_room(connection, order.owner, limit)
            values = {
                "state": StudyState.QUEUED.value,
                "spec": json.dumps(order.spec),
                "trials": order.trials,
                "owner": order.owner,
            }
            _enqueue(connection, study_id, values)
            if order.key is not None:
                own = {"owner": order.owner, "key": order.key, "digest": order.digest}
                connection.execute(request.insert().values(study_id=study_id, **own))
            return _one(connection, order.name), False

        return self._together(attempt)

    @staticmethod
    def _insert_row(connection: Connection, order: Order) -> bool:
        """Make the study's row; whether there was none."""
        texts = {"title": order.title, "question": order.question}
        plain = {"spec": json.dumps(order.spec), "tasks": json.dumps(order.tasks)}
        stamps = {"created_at": now(), "updated_at": now()}
        insert = insert_into(connection, study).values(name=order.name, **texts, **plain, **stamps)
        fresh = insert.on_conflict_do_nothing(index_elements=["name"]).returning(study.c.id)
        return connection.execute(fresh).one_or_none() is not None

    def cancel(self, name: str) -> Standing:
        """Take a study out of the queue, or ask its worker to stop it.

        Raises:
            StoreMissing: no study of that name.
            StudyBusy: it is complete, or the command line runs it.
        """

        def attempt(connection: Connection) -> Standing:
            found = _one(connection, name, lock=True)
            if found.submitted is StudyState.CANCELLED and not found.driven:
                return found
            if found.submitted not in (StudyState.QUEUED, StudyState.RUNNING):
                raise StudyBusy(
                    f"the study {name!r} is run by the command line: stop it there"
                    if found.driven
                    else f"the study {name!r} is neither queued nor running: there is nothing to cancel"
                )
            idle = found.submitted is StudyState.QUEUED or not (found.attended or found.driven)
            change = (
                {"state": StudyState.CANCELLED.value, "cancelling": False} if idle else {"cancelling": True}
            )
            connection.execute(submission.update().where(submission.c.study_id == found.id).values(**change))
            touch_studies(connection, [found.id])
            return _one(connection, name)

        return self._together(attempt)

    def resume(self, name: str, owner: str, *, limit: int) -> Standing:
        """Queue a study again that was stopped or failed; what is complete is not run again.

        Raises:
            StoreMissing: no study of that name.
            StudyBusy: it is imported, complete, about to stop, or its spec was never stored.
            QueueFull: too many wait.
        """

        def attempt(connection: Connection) -> Standing:
            found = _one(connection, name, lock=True)
            if found.cancelling:
                raise StudyBusy(f"the study {name!r} is being cancelled; ask again when it has stopped")
            if not found.stopped:
                return found
            if found.imported:
                raise StudyBusy(f"the study {name!r} was imported: there is nothing to run")
            missing = sa.select(sa.func.count()).select_from(study_trial).join(trial)
            own = study_trial.c.study_id == found.id
            total = connection.execute(missing.where(own)).scalar_one()
            left = connection.execute(missing.where(own, trial.c.state != "complete")).scalar_one()
            if total and not left and found.submitted in (None, StudyState.COMPLETE):
                raise StudyBusy(f"the study {name!r} is complete: there is nothing to run")
            if found.submitted is None:
                spec = connection.execute(sa.select(study.c.spec).where(study.c.id == found.id)).scalar_one()
                if not json.loads(spec):
                    raise StudyBusy(
                        f"the study {name!r} was stopped before its spec was stored; "
                        "submit that again, with extend=true"
                    )
                _check_room(connection, owner, limit)
                values = {"spec": spec, "trials": total, "owner": owner}
                _enqueue(connection, found.id, {"state": StudyState.QUEUED.value, **values})
            else:  # it waits for whoever submitted it
                first = sa.select(submission.c.owner).where(submission.c.study_id == found.id)
                _check_room(connection, connection.execute(first).scalar_one(), limit)
                _enqueue(connection, found.id, {"state": StudyState.QUEUED.value})
            return _one(connection, name)

        return self._together(attempt)

    def delete(self, name: str) -> None:
        """Remove a stopped study, and its trials but for those that other studies have too.

        Raises:
            StoreMissing: no study of that name.
            StudyBusy: it is queued or running.
        """

        def attempt(connection: Connection) -> None:
            found = _one(connection, name, lock=True)
            if not found.stopped:
                raise StudyBusy(f"the study {name!r} is queued or running; cancel it first")
            other = study_trial.alias("other")
            shared = sa.exists().where(
                other.c.trial_id == study_trial.c.trial_id, other.c.study_id != found.id
            )
            mine = sa.select(study_trial.c.trial_id).where(study_trial.c.study_id == found.id, ~shared)
            ids = list(connection.execute(mine).scalars())
            connection.execute(study.delete().where(study.c.id == found.id))
            for chunk in chunks(ids):
                connection.execute(trial.delete().where(trial.c.id.in_(chunk)))

        self._together(attempt)

    def _together(self, attempt: Callable[[Connection], T]) -> T:
        """In one transaction; again where another request did the same at the same moment."""
        for _ in range(3):
            try:
                with self._store.writing() as connection:
                    return attempt(connection)
            except IntegrityError:
                continue
        raise StudyBusy("another request changed this study at the same moment; ask again")


def _one(connection: Connection, name: str, *, lock: bool = False) -> Standing:
    if lock:  # SQLite's writers are alone anyway
        own = sa.select(study.c.id).where(study.c.name == name)
        connection.execute(own.with_for_update())
        # Workers lock this row alone: what it says must hold until the transaction ends.
        place = sa.select(submission.c.study_id).where(submission.c.study_id.in_(own))
        connection.execute(place.with_for_update())
    found = standings(connection, name)
    if not found:
        names = list(connection.execute(sa.select(study.c.name)).scalars())
        raise StoreMissing(f"there is no study {name!r:.80}; {nearest(name, names)}")
    return found[0]


def _repeated(connection: Connection, order: Order) -> str | None:
    """The study that the same request submitted before.

    Raises:
        SpecError: its key came with another body.
    """
    if order.key is None:
        return None
    query = (
        sa.select(study.c.name, request.c.digest)
        .join(request, request.c.study_id == study.c.id)
        .where(request.c.owner == order.owner, request.c.key == order.key)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.digest != order.digest:
        raise SpecError.of(
            "Idempotency-Key", f"came before with another body, for the study {row.name!r}; choose another"
        )
    return str(row.name)


def _check_replaceable(found: Standing, order: Order) -> None:
    """Check that an order may run in place of a study that is there.

    Raises:
        SpecError: it was imported.
        StudyBusy: nobody asked for that, or it is not stopped.
    """
    if found.imported:
        raise SpecError.of("name", f"{order.name!r} is an imported study in this store; choose another name")
    if not order.extend:
        raise StudyBusy(
            f"there is a study {order.name!r} in this store: choose another name, or ask for extend=true to run "
            "this spec in its place (results that both have are kept)"
        )
    if not found.stopped:
        raise StudyBusy(f"the study {order.name!r} is queued or running; cancel it first")


def _check_room(connection: Connection, owner: str, limit: int) -> None:
    waiting = sa.select(sa.func.count()).where(
        submission.c.owner == owner, submission.c.state == StudyState.QUEUED.value
    )
    count = connection.execute(waiting).scalar_one()
    if count >= limit:
        raise QueueFull(
            f"at most {limit:,} studies of a token may wait, and {count:,} do; cancel one, or wait"
        )


def _enqueue(connection: Connection, study_id: int, values: dict[str, Any]) -> None:
    """Put a study at the end of the queue."""
    last = connection.execute(sa.select(sa.func.max(submission.c.ticket))).scalar() or 0
    fresh = {"ticket": last + 1, "cancelling": False, "attempts": 0, "error": None, **values}
    changed = connection.execute(submission.update().where(submission.c.study_id == study_id).values(**fresh))
    if not changed.rowcount:
        held = {"token": first_token(), "worker": "", "expires_at": 0.0}
        connection.execute(submission.insert().values(study_id=study_id, **held, **fresh))
    touch_studies(connection, [study_id])
