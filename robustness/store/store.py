"""One class for both databases: studies, trials and their records, leases.

Only a study's driver writes. Finishing trials is one transaction: their epochs, final figures and
state; when the call returns, they are on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from robustness.environment import environment
from robustness.errors import SpecError, StoreMissing, nearest
from robustness.store import imports
from robustness.store import lease as leases
from robustness.store.engine import open_engine, shown, translated
from robustness.store.lease import Lease
from robustness.store.links import StudyTrial, link
from robustness.store.revision import touch_studies, touch_trials
from robustness.store.rows import chunks, epoch_row, final_figures, insert_into, now
from robustness.store.schema import epoch, study, study_trial, submission, trial
from robustness.trial import ImportedTrial, Trial, TrialRecord, TrialState

__all__ = ["FailedAttempt", "Store", "open_store"]


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An execution that ended in an error: which trial, and the whole traceback."""

    key: str
    error: str


def open_store(url: str, *, create: bool = False) -> Store:
    """The store at a URL; see `engine.open_engine` for what it raises."""
    return Store(open_engine(url, create=create))


class Store:
    """Studies and trials in one database. A context manager; `close` gives its connections back."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine of the current schema."""
        self._engine = engine
        self.url = shown(engine.url)

    def __enter__(self) -> Store:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries."""
        with translated(self._engine.url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; on the disk when the block ends, gone when it raises."""
        with translated(self._engine.url), self._engine.execution_options(writing=True).begin() as connection:
            yield connection

    # -- studies -----------------------------------------------------------------------------------

    def register(self, name: str) -> int:
        """The id of the study of that name, made empty where there is none; then take its lease.

        Raises:
            SpecError: the study of that name was imported: running cannot add to it.
        """
        with self.writing() as connection:
            row = connection.execute(
                sa.select(study.c.id, study.c.source).where(study.c.name == name)
            ).one_or_none()
            if row is not None and row.source is not None:
                raise SpecError.of(
                    "name", f"{name!r} is an imported study in this store; choose another name"
                )
            if row is None:
                texts = dict.fromkeys(("title", "question"), "") | dict.fromkeys(("spec", "tasks"), "{}")
                values = {"name": name, "created_at": now(), "updated_at": now(), **texts}
                insert = insert_into(connection, study).on_conflict_do_nothing(index_elements=["name"])
                connection.execute(insert, [values])
                row = connection.execute(sa.select(study.c.id).where(study.c.name == name)).one()
                touch_studies(connection, [row.id])
            return int(row.id)

    def save_study(
        self,
        held: Lease,
        *,
        title: str,
        question: str,
        spec: dict[str, Any],
        tasks: dict[str, dict[str, Any]],
        trials: Iterable[StudyTrial],
    ) -> int:
        """Store what a study is and link it to its trials, new ones waiting.

        The study then consists of exactly these trials. Trials that it no longer has stay in the
        store, as other studies may share them.

        Returns:
            How many complete trials it no longer has.

        Raises:
            LeaseLost: another driver runs this study now; nothing was written.
        """
        study_id = held.study_id
        values = {
            "title": title,
            "question": question,
            "spec": json.dumps(spec),
            "tasks": json.dumps(tasks),
            "environment": json.dumps(environment()),
            "updated_at": now(),
        }
        complete = (
            sa.select(trial.c.id)
            .join(study_trial, study_trial.c.trial_id == trial.c.id)
            .where(study_trial.c.study_id == study_id, trial.c.state == TrialState.COMPLETE)
        )
        with self.writing() as connection:
            leases.check(connection, held)
            before = set(connection.execute(complete).scalars())
            connection.execute(study.update().where(study.c.id == study_id).values(**values))
            connection.execute(study_trial.delete().where(study_trial.c.study_id == study_id))
            count = link(connection, study_id, 0, trials)
            # The command line may run another spec than was submitted: `resume` is to go on with this one.
            connection.execute(
                submission.update()
                .where(submission.c.study_id == study_id, submission.c.spec != values["spec"])
                .values(spec=values["spec"], trials=count)
            )
            touch_studies(connection, [study_id])
            return len(before.difference(connection.execute(complete).scalars())) if before else 0

    def extend(self, held: Lease, trials: Sequence[StudyTrial]) -> None:
        """Add trials to a study, after those that it has; new ones wait.

        Raises:
            LeaseLost: another driver runs this study now; nothing was written.
        """
        last = sa.select(sa.func.max(study_trial.c.position)).where(study_trial.c.study_id == held.study_id)
        with self.writing() as connection:
            leases.check(connection, held)
            position = connection.execute(last).scalar()
            link(connection, held.study_id, 0 if position is None else position + 1, trials)
            touch_studies(connection, [held.study_id])

    def import_study(
        self,
        name: str,
        *,
        title: str,
        source: dict[str, Any],
        tasks: dict[str, dict[str, Any]],
        trials: Iterable[ImportedTrial],
    ) -> int:
        """Store other people's logs as a study, whole or not at all; an earlier import of that name is replaced.

        Args:
            name: of the study.
            title: free text.
            source: where it came from, for JSON.
            tasks: the fields of each task label.
            trials: may be a generator; read in chunks.

        Returns:
            How many trials.

        Raises:
            SpecError: the study of that name was run here.
        """
        with self.writing() as connection:
            return imports.write_study(
                connection, name, title=title, source=source, tasks=tasks, trials=trials
            )

    def studies(self) -> list[Row[Any]]:
        """Every study with its number of trials in each state, by name."""
        counts = [sa.func.count().filter(trial.c.state == state).label(state.value) for state in TrialState]
        query = (
            sa.select(study.c.name, study.c.title, study.c.updated_at, *counts)
            .outerjoin(study_trial, study_trial.c.study_id == study.c.id)
            .outerjoin(trial, trial.c.id == study_trial.c.trial_id)
            .group_by(study.c.id, study.c.name, study.c.title, study.c.updated_at)
            .order_by(study.c.name)
        )
        with self.reading() as connection:
            return list(connection.execute(query))

    def study(self, name: str) -> Row[Any]:
        """The study's row.

        Raises:
            StoreMissing: no study of that name; the text offers the nearest.
        """
        with self.reading() as connection:
            row = connection.execute(sa.select(study).where(study.c.name == name)).one_or_none()
            if row is None:
                names = list(connection.execute(sa.select(study.c.name)).scalars())
                raise StoreMissing(f"there is no study {name!r} in {self.url}; {nearest(name, names)}")
            return row

    # -- trials ------------------------------------------------------------------------------------

    def unfinished(self, study_id: int) -> list[Trial]:
        """The study's trials that are not complete, in the spec's order; failed ones included."""
        query = (
            sa.select(trial.c.config)
            .join(study_trial, study_trial.c.trial_id == trial.c.id)
            .where(study_trial.c.study_id == study_id, trial.c.state != TrialState.COMPLETE)
            .order_by(study_trial.c.position)
        )
        with self.reading() as connection:
            return [Trial.from_dict(json.loads(text)) for text in connection.execute(query).scalars()]

    def completed(self, keys: Sequence[str]) -> dict[str, Row[Any]]:
        """The rows of those trials that are complete, in this study or another, by key."""
        found: dict[str, Row[Any]] = {}
        with self.reading() as connection:
            for chunk in chunks(keys):
                query = sa.select(trial).where(trial.c.key.in_(chunk), trial.c.state == TrialState.COMPLETE)
                found.update((row.key, row) for row in connection.execute(query))
        return found

    def counts(self, study_id: int) -> dict[TrialState, int]:
        """The study's number of trials in each state."""
        query = (
            sa.select(trial.c.state, sa.func.count())
            .join(study_trial, study_trial.c.trial_id == trial.c.id)
            .where(study_trial.c.study_id == study_id)
            .group_by(trial.c.state)
        )
        with self.reading() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in TrialState}

    def start(self, held: Lease, keys: Sequence[str]) -> None:
        """Note that these trials are being trained.

        Raises:
            LeaseLost: another driver runs this study now; nothing was written.
        """
        with self.writing() as connection:
            leases.check(connection, held)
            for chunk in chunks(keys):
                self._move(connection, trial.c.key.in_(chunk), TrialState.WAITING, TrialState.RUNNING)

    def requeue(self, held: Lease) -> None:
        """Let trials wait again that an earlier driver of this study left running."""
        members = sa.select(study_trial.c.trial_id).where(study_trial.c.study_id == held.study_id)
        with self.writing() as connection:
            leases.check(connection, held)
            self._move(connection, trial.c.id.in_(members), TrialState.RUNNING, TrialState.WAITING)

    @staticmethod
    def _move(
        connection: Connection, which: sa.ColumnElement[bool], before: TrialState, after: TrialState
    ) -> None:
        connection.execute(trial.update().where(which, trial.c.state == before).values(state=after))
        touch_trials(connection, which)

    def finish(self, held: Lease, records: Sequence[TrialRecord]) -> None:
        """Store complete trials with their epochs; on the disk when this returns.

        A trial that is complete already is left as it is: no result is stored twice.

        Raises:
            LeaseLost: another driver runs this study now; nothing was written.
        """
        with self.writing() as connection:
            leases.check(connection, held)
            keys = [record.key for record in records]
            found = connection.execute(
                sa.select(trial.c.key, trial.c.id)
                .where(trial.c.key.in_(keys), trial.c.state != TrialState.COMPLETE)
                # Another study's driver may be finishing the same trials, and a third one linking to them. In one
                # order: two that wait for each other would wait for ever.
                .order_by(trial.c.key)
                .with_for_update(key_share=True)
            )
            ids = {row.key: row.id for row in found}
            new = [record for record in records if record.key in ids]
            if not new:
                return
            finals = [{"row": ids[record.key], **final_figures(record)} for record in new]
            update = trial.update().where(trial.c.id == sa.bindparam("row"))
            connection.execute(
                update.values(
                    attempts=trial.c.attempts + 1,
                    **{name: sa.bindparam(name) for name in finals[0] if name != "row"},
                ),
                finals,
            )
            epochs = [epoch_row(ids[record.key], row) for record in new for row in record.epochs]
            if epochs:
                connection.execute(epoch.insert(), epochs)
            touch_trials(connection, trial.c.key.in_(list(ids)))

    def fail(self, held: Lease, attempts: Sequence[FailedAttempt]) -> None:
        """Record executions that ended in an error. They are missing data, not divergences.

        Raises:
            LeaseLost: another driver runs this study now; nothing was written.
        """
        with self.writing() as connection:
            leases.check(connection, held)
            for attempt in sorted(attempts, key=lambda one: one.key):  # see `finish`
                connection.execute(
                    trial.update()
                    .where(trial.c.key == attempt.key, trial.c.state != TrialState.COMPLETE)
                    .values(
                        state=TrialState.FAILED,
                        attempts=trial.c.attempts + 1,
                        error=attempt.error,
                        finished_at=now(),
                    )
                )
            touch_trials(connection, trial.c.key.in_([attempt.key for attempt in attempts]))

    def epochs(self, key: str) -> list[Row[Any]]:
        """The epochs of one trial, in order."""
        query = sa.select(epoch).join(trial, trial.c.id == epoch.c.trial_id).where(trial.c.key == key)
        with self.reading() as connection:
            return list(connection.execute(query.order_by(epoch.c.epoch)))

    # -- leases ------------------------------------------------------------------------------------

    def acquire(self, study_id: int) -> Lease:
        """Take the study's lease.

        Raises:
            LeaseHeld: a live driver holds it.
        """
        with self.writing() as connection:
            return leases.acquire(connection, study_id)

    def renew(self, held: Lease) -> None:
        """Move the lease's end.

        Raises:
            LeaseLost: another driver has taken it over.
        """
        with self.writing() as connection:
            leases.check(connection, held)

    def release(self, held: Lease) -> None:
        """Give the lease back, if it is still ours."""
        with self.writing() as connection:
            leases.release(connection, held)
