"""The driver's ear: every result that Ray Tune brings goes into the store before it is counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from ray import tune

from robustness.errors import RobustnessError
from robustness.store import FailedAttempt, Lease, Store
from robustness.summary import Thresholds, task_facts
from robustness.summary.frame import COLUMNS
from robustness.summary.outcome import outcomes
from robustness.summary.tasks import filled
from robustness.sweep.progress import SweepProgress
from robustness.sweep.trackers import Trackers
from robustness.trial import Trial, TrialRecord

__all__ = ["Collector", "StopFlag", "diverged_test"]


CLUSTER_LOOK_SECONDS = 5.0


class StopFlag(tune.Stopper):
    """Stops the whole sweep once an event is set, by a signal or because the store failed."""

    def __init__(self, event: threading.Event | None = None) -> None:
        """Watch the event."""
        self._event = event or threading.Event()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never a single ray trial."""
        return False

    def stop_all(self) -> bool:
        """Everything, once the event is set."""
        return self._event.is_set()

    def __reduce__(self) -> tuple[type[StopFlag], tuple[()]]:
        """As for `Collector`: the copy in Tune's snapshot watches nothing."""
        return StopFlag, ()


class Collector(tune.Callback):
    """Stores results as they arrive and remembers what one round of ray trials left over.

    Attributes:
        complete: keys stored as complete.
        failures: last error of each trial whose execution failed and that is not complete since.
        attempts: how often the execution of each trial failed by itself.
        suspects: trials that were in a pack whose worker died; one of them may be why.
        committed: when the last write reached the disk, `time.monotonic`; None before the first.
        error: why the sweep had to stop (the store failed, the lease was lost); None while all is well.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        progress: SweepProgress,
        stop: threading.Event,
        is_diverged: Callable[[TrialRecord], bool],
        trackers: Trackers,
    ) -> None:
        """Write with `lease`; set `stop` when writing is no longer possible."""
        self._store = store
        self._lease = lease
        self._progress = progress
        self._stop = stop
        self._is_diverged = is_diverged
        self._trackers = trackers
        self._looked = time.monotonic()
        self.complete: set[str] = set()
        self.failures: dict[str, str] = {}
        self.attempts: Counter[str] = Counter()
        self.suspects: set[str] = set()
        self._failed_now: set[str] = set()
        self._keys: Sequence[Sequence[Sequence[str]]] = ()
        self.committed: float | None = None
        self.error: RobustnessError | None = None

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Tune pickles its experiment to restore it later; we never do, so the copy does nothing."""
        return tune.Callback, ()

    def begin_round(self, keys: Sequence[Sequence[Sequence[str]]]) -> None:
        """Trials that failed before are tried again.

        Args:
            keys: of the trials of each pack of each ray trial, by the ray trial's id.
        """
        self._keys = keys
        self._progress.retry(sum(key in self.failures for packs in keys for pack in packs for key in pack))
        self._failed_now.clear()

    def give_up(self, error: RobustnessError) -> None:
        """Stop the sweep; the first reason counts."""
        self.error = self.error or error
        self._stop.set()

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune would wait for ever for a cluster that is gone."""
        if time.monotonic() - self._looked < CLUSTER_LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if not any(node["Alive"] for node in ray.nodes()):
            self.give_up(
                RobustnessError(
                    "the Ray cluster is gone (no node is alive); everything finished is stored, "
                    "the same command goes on"
                )
            )

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Packs of trials went to a worker."""
        keys = [key for pack in self._packs(trial) for key in pack]
        self._progress.running(len(keys))
        self._write(lambda: self._store.start(self._lease, keys))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Trials of a pack ended."""
        records: list[TrialRecord] = result.pop("records", [])
        if records and self._write(lambda: self._store.finish(self._lease, records)):
            keys = {record.key for record in records}
            self.complete |= keys
            for key in keys & self.failures.keys():
                del self.failures[key]
            self._progress.count(done=len(records), diverged=sum(map(self._is_diverged, records)))
            if self._trackers:
                self._track(records)
        self._fail(result.pop("errors", []))

    def _track(self, records: Sequence[TrialRecord]) -> None:
        keys = [record.key for record in records]
        try:
            found = self._store.labelled(self._lease.study_id, keys)
        except RobustnessError as error:
            self.give_up(error)
            return
        for record in records:
            self._trackers.log(found[record.key], record)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker died: the pack that it was training failed; those behind it were never begun."""
        self._progress.say("a worker died; the pack that it was training is tried again, trial by trial")
        over = self.complete | self._failed_now
        packs = [[key for key in pack if key not in over] for pack in self._packs(trial)]
        training: list[str] = next(filter(None, packs), [])
        self._progress.running(len(training) - sum(map(len, packs)))
        file = Path(trial.error_file) if trial.error_file else None
        text = file.read_text() if file and file.is_file() else "the worker process died"
        self._fail([(key, text) for key in training], suspected=len(training) > 1)

    def _packs(self, ray_trial: Any) -> Sequence[Sequence[str]]:
        """The keys of its packs' trials."""
        return self._keys[ray_trial.config["batch"]["id"]]

    def _fail(self, errors: Sequence[tuple[str, str]], *, suspected: bool = False) -> None:
        attempts = [FailedAttempt(key, text) for key, text in errors]
        if attempts and self._write(lambda: self._store.fail(self._lease, attempts)):
            self.failures.update(errors)
            if suspected:  # each gets a worker to itself before an attempt counts
                self.suspects.update(key for key, _ in errors)
            else:
                self.attempts.update(key for key, _ in errors)
            self._failed_now.update(key for key, _ in errors)
            self._progress.count(failed=len(errors))

    def _write(self, action: Callable[[], None]) -> bool:
        if self.error is not None:
            return False
        try:
            action()
        except RobustnessError as error:
            # Nothing may be acknowledged that is not on the disk.
            self.give_up(error)
            return False
        self.committed = time.monotonic()
        return True


def diverged_test(trials: Sequence[Trial]) -> Callable[[TrialRecord], bool]:
    """Whether a record is a divergence by what the trial alone shows; for the progress line."""
    tasks = {trial.key: trial.cell.task for trial in trials}
    none = pd.DataFrame(columns=list(COLUMNS), dtype=float)
    facts = {task: filled(task_facts(task), none) for task in set(tasks.values())}

    def is_diverged(record: TrialRecord) -> bool:
        task = facts[tasks[record.key]]
        last = record.epochs[-1]
        outcome = outcomes(
            nonfinite_T=np.array([record.nonfinite]),
            stopped_T=np.array([record.stopped]),
            score_T=np.array([last.test_accuracy]),
            train_loss_T=np.array([last.train_loss]),
            l0_T=np.array([record.l0]),
            constants=task,
            thresholds=Thresholds(),
        )[0]
        return outcome in ("nonfinite", "blowup")

    return is_diverged
