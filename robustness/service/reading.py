"""The service's view of the store: loaded studies and finished answers, kept for as long as a study does not change.

Whether it changed is one short query (`store.standing`), exact by the revision that every writer moves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from robustness.service.answers import Answer, as_json
from robustness.service.kept import Kept
from robustness.service.lookout import Lookout
from robustness.store import Queue, Standing, Store, StudyState
from robustness.store.activity import trials_per_second
from robustness.summary import Study, load_study
from robustness.trial import TrialState
from robustness.wording.warnings import study_warnings

__all__ = ["Reader"]

STUDIES_KEPT = 2
"""Loaded studies: one of 100,000 trials takes about 100 MB."""
BYTES_KEPT = 64_000_000
KEY_BYTES = 6_000
"""What an answer takes beside its body: its key has texts that users choose."""
ROWS_KEPT = 10_000
"""Studies whose counts are kept: a list of more counts some of them again."""
SUMMARIES_KEPT = 1_000
RUNNING_SECONDS = 1.0
"""How old the counts of a running study may be: it changes many times a second."""
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
        self._progress: Kept[str, _Progress] = Kept(ROWS_KEPT)
        self._summaries: Kept[str, tuple[_Progress, tuple[list[str], bool], Answer]] = Kept(SUMMARIES_KEPT)
        self._studies: Kept[int, tuple[int, Study]] = Kept(STUDIES_KEPT)
        self._answers: Kept[Hashable, Answer] = Kept(BYTES_KEPT, lambda answer: len(answer.body) + KEY_BYTES)
        self._lookout = Lookout(self._look)
        self._counting = threading.Lock()
        # One at a time: two would only take each other's time, and the memory of two.
        self._loading = threading.RLock()

    # -- how far a study is ------------------------------------------------------------------------

    def progress(self, standing: Standing) -> _Progress:
        """Counts and rate; of a running study at most `RUNNING_SECONDS` old."""
        found = self._known(standing)
        if found is None:
            with self._counting:  # who waits here takes what the first has counted
                found = self._known(standing)
                if found is None:
                    at = time.monotonic()
                    counts = self.store.counts(standing.id)
                    rate = self._rate(standing) if standing.driven else None
                    found = _Progress(standing, counts, rate, at)
                    self._progress.put(standing.name, found)
        return found

    def _known(self, standing: Standing) -> _Progress | None:
        known = self._progress.get(standing.name)
        if known is None or known.standing == standing:
            return known
        same = replace(known.standing, revision=standing.revision) == standing
        return known if same and standing.driven and time.monotonic() - known.at < RUNNING_SECONDS else None

    def _rate(self, standing: Standing) -> float | None:
        return trials_per_second(self.store, standing.id, since=standing.updated_at, window=RATE_SECONDS)

    def named(self, text: str) -> list[Standing]:
        """Studies with this in their name or title, by name."""
        part = text.casefold()
        return [s for s in self.queue.all() if part in s.name.casefold() or part in s.title.casefold()]

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
        found = self._lookout.warnings(progress.standing, progress.counts)
        known = self._summaries.get(name)
        if known is not None and known[0] is progress and known[1] == found:
            return known[2]
        texts, all_known = found
        warnings = [*_standing_warnings(progress.standing), *texts]
        answer = as_json({**self._row(progress), "warnings": warnings, "warnings_pending": not all_known})
        self._summaries.put(name, (progress, found, answer))
        return answer

    def _look(self, standing: Standing) -> list[str]:
        study = self.study(standing)
        return study_warnings(study)

    # -- its results -------------------------------------------------------------------------------

    def study(self, standing: Standing) -> Study:
        """The study, classified."""
        with self._loading:
            known = self._studies.get(standing.id)
            if known is None or known[0] != standing.revision:
                # Read after the revision, so never older than it.
                known = standing.revision, load_study(self.store, standing.name)
                self._studies.put(standing.id, known)
            return known[1]

    def kept(self, name: str, what: Hashable) -> Answer | None:
        """What `answer` would give at once; None where it would compute.

        Raises:
            StoreMissing: no study of that name.
        """
        return self._answers.get(_key(self.queue.of(name), what))

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
        key = _key(standing, what)
        found = self._answers.get(key)
        if found is None:
            with self._loading:
                found = self._answers.get(key)  # another thread may have made it meanwhile
                if found is None:
                    found = make(self.study(standing), standing)
                    self._answers.put(key, found)
        return found

    def forget(self, standing: Standing) -> None:
        """A study was deleted."""
        self._progress.drop(standing.name)
        self._summaries.drop(standing.name)
        self._studies.drop(standing.id)
        self._lookout.forget(standing)


def _key(standing: Standing, what: Hashable) -> Hashable:
    return standing.id, standing.revision, what


def _standing_warnings(standing: Standing) -> list[str]:
    if standing.cancelling:
        return ["It was asked to stop and is about to."]
    if standing.submitted is StudyState.RUNNING and not (standing.attended or standing.driven):
        return ["Its worker is gone; the next free worker goes on with it."]
    return []
