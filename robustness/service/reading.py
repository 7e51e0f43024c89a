"""The service's view of the store: loaded studies and finished answers, kept for as long as a study does not change.

Whether it changed is one short query (`store.standing`), exact by the revision that every writer moves.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from robustness.service.answers import Answer, as_json
from robustness.store import Queue, Standing, Store, StudyState
from robustness.store.schema import study_trial, trial
from robustness.summary import Study, load_study
from robustness.summary.measure import resampled
from robustness.summary.warnings import study_warnings
from robustness.trial import TrialState

__all__ = ["Reader"]

STUDIES_KEPT = 2
"""Loaded studies: one of 100,000 trials takes about 100 MB."""
BYTES_KEPT = 64_000_000
RUNNING_SECONDS = 1.0
"""How old the counts of a running study may be: it changes many times a second."""
WARNINGS_SECONDS = 10.0
MOST_WATCHED = 5_000
"""Trials of a running study whose warnings are looked for while it runs."""
RATE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Progress:
    """What changes with every trial; computed at `at`, monotonic seconds."""

    standing: Standing
    counts: dict[TrialState, int]
    rate: float | None
    at: float


class Reader:
    """Reads for many clients at once."""

    def __init__(self, store: Store) -> None:
        """Of this store."""
        self.store = store
        self.queue = Queue(store)
        self._progress: dict[str, _Progress] = {}
        self._summaries: dict[str, tuple[_Progress, Answer]] = {}
        self._warnings: dict[int, tuple[int, float, list[str]]] = {}
        self._studies: OrderedDict[int, tuple[int, Study]] = OrderedDict()
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._bytes = 0
        self._guard = threading.Lock()
        # One at a time: two would only take each other's time, and the memory of two.
        self._loading = threading.RLock()

    # -- how far a study is ------------------------------------------------------------------------

    def progress(self, standing: Standing) -> _Progress:
        """Counts and rate; of a running study at most `RUNNING_SECONDS` old."""
        known = self._progress.get(standing.name)
        now = time.monotonic()
        if known is not None:
            if known.standing == standing:
                return known
            same = replace(known.standing, revision=standing.revision) == standing
            if same and standing.driven and now - known.at < RUNNING_SECONDS:
                return known
        counts = self.store.counts(standing.id)
        rate = self._rate(standing) if standing.driven else None
        found = _Progress(standing, counts, rate, now)
        self._progress[standing.name] = found
        return found

    def _rate(self, standing: Standing) -> float | None:
        """Trials a second over the minute before the last one: a function of the store, not of when it is asked."""
        own = (study_trial.c.study_id == standing.id, trial.c.state == TrialState.COMPLETE.value)
        finished = trial.c.finished_at
        joined = study_trial.join(trial, trial.c.id == study_trial.c.trial_id)
        with self.store.reading() as connection:
            last = connection.execute(
                sa.select(sa.func.max(finished)).select_from(joined).where(*own)
            ).scalar()
            if last is None or last < standing.updated_at:
                return None
            end, began = datetime.fromisoformat(last), datetime.fromisoformat(standing.updated_at)
            since = max(began, end - timedelta(seconds=RATE_SECONDS))
            count = connection.execute(
                sa.select(sa.func.count())
                .select_from(joined)
                .where(*own, finished >= since.isoformat(timespec="seconds"))
            ).scalar_one()
        return float(count / max((end - since).total_seconds(), 1.0))

    def row(self, standing: Standing) -> dict[str, Any]:
        """`schemas.StudyRow`."""
        return self._row(self.progress(standing))

    @staticmethod
    def _row(progress: _Progress) -> dict[str, Any]:
        standing, counts = progress.standing, progress.counts
        state, stored = standing.state(counts), sum(counts.values())
        queued = state is StudyState.QUEUED or not stored
        left = counts[TrialState.WAITING] + counts[TrialState.RUNNING]
        running = state is StudyState.RUNNING
        return {
            "id": standing.name,
            "title": standing.title,
            "question": standing.question,
            "state": state.value,
            "cancelling": standing.cancelling,
            "imported": standing.imported,
            "created_at": standing.created_at,
            "updated_at": standing.updated_at,
            "trials": standing.trials if queued and standing.submitted else stored,
            "counts": {key.value: count for key, count in counts.items()},
            "trials_per_second": progress.rate if running else None,
            "seconds_left": left / progress.rate if running and progress.rate else None,
            "error": standing.error or None,
        }

    def summary(self, name: str) -> Answer:
        """`schemas.StudySummary`.

        Raises:
            StoreMissing: no study of that name.
        """
        progress = self.progress(self.queue.of(name))
        known = self._summaries.get(name)
        if known is not None and known[0] is progress:
            return known[1]
        answer = as_json({**self._row(progress), "warnings": self._all_warnings(progress)})
        self._summaries[name] = (progress, answer)
        return answer

    def _all_warnings(self, progress: _Progress) -> list[str]:
        standing, found = progress.standing, []
        if standing.cancelling:
            found.append("It was asked to stop and is about to.")
        elif standing.submitted is StudyState.RUNNING and not (standing.attended or standing.driven):
            found.append("Its worker is gone; the next free worker goes on with it.")
        return [*found, *self._study_warnings(progress)]

    def _study_warnings(self, progress: _Progress) -> list[str]:
        standing, total = progress.standing, sum(progress.counts.values())
        if not progress.counts[TrialState.COMPLETE]:
            return ["Nothing is complete yet."]
        with self._loading:
            revision, at, texts = self._warnings.get(standing.id, (-1, 0.0, []))
            recent = standing.driven and texts and time.monotonic() - at < WARNINGS_SECONDS
            if revision == standing.revision or recent:
                return texts
            if standing.driven and total > MOST_WATCHED:
                return [f"{total:,} trials are many: warnings are looked for when it has stopped."]
            study = self.study(standing)
            texts = study_warnings(study, resampled(study, draws=0))
            self._warnings[standing.id] = (standing.revision, time.monotonic(), texts)
            return texts

    # -- its results -------------------------------------------------------------------------------

    def study(self, standing: Standing) -> Study:
        """The study, classified."""
        with self._loading:
            known = self._studies.get(standing.id)
            if known is None or known[0] != standing.revision:
                # Read after the revision, so never older than it.
                self._studies[standing.id] = known = (
                    standing.revision,
                    load_study(self.store, standing.name),
                )
                while len(self._studies) > STUDIES_KEPT:
                    self._studies.popitem(last=False)
            self._studies.move_to_end(standing.id)
            return known[1]

    def answer(self, name: str, what: Hashable, make: Callable[[Study, Standing], Answer]) -> Answer:
        """What `make` gives of a study, kept until the study changes.

        Args:
            name: of the study.
            what: all that the answer depends on, beside the study.
            make: computes it.

        Raises:
            StoreMissing: no study of that name.
        """
        standing = self.queue.of(name)
        key = (standing.id, standing.revision, what)
        found = self._kept(key)
        if found is None:
            with self._loading:
                found = self._kept(key)  # another thread may have made it meanwhile
                if found is None:
                    found = make(self.study(standing), standing)
                    self._keep(key, found)
        return found

    def _kept(self, key: Hashable) -> Answer | None:
        with self._guard:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
            return found

    def _keep(self, key: Hashable, answer: Answer) -> None:
        with self._guard:
            self._answers[key] = answer
            self._bytes += len(answer.body)
            while self._bytes > BYTES_KEPT:
                _, dropped = self._answers.popitem(last=False)
                self._bytes -= len(dropped.body)

    def forget(self, standing: Standing) -> None:
        """A study was deleted."""
        self._progress.pop(standing.name, None)
        self._summaries.pop(standing.name, None)
        self._warnings.pop(standing.id, None)
        with self._loading:
            self._studies.pop(standing.id, None)
