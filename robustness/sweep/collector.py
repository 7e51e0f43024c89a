"""The driver's ear: every result that Ray Tune brings goes into the store before it is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune

from robustness.checkpoint_files import Keeping, remove
from robustness.errors import RobustnessError
from robustness.store import FailedAttempt, Lease, Store, StudyTrial
from robustness.sweep.progress import SweepProgress
from robustness.sweep.samplers.sampling import Sampling
from robustness.sweep.stopping import Stopping
from robustness.sweep.trackers import Trackers
from robustness.sweep.work import Work
from robustness.trial import TrialRecord

__all__ = ["Collector", "StopFlag"]


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
    """Stores results as they arrive, tells the work and the sampler, and takes in what the sampler asks for then.

    Attributes:
        committed: when the last write reached the disk, `time.monotonic`; None before the first.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        sampling: Sampling,
        work: Work,
        trackers: Trackers,
        progress: SweepProgress,
        stopping: Stopping,
        keeping: Keeping | None = None,
    ) -> None:
        """Write with `lease`; give up when writing is no longer possible; checkpoints are as `keeping` says."""
        self._store = store
        self._lease = lease
        self._sampling = sampling
        self._work = work
        self._progress = progress
        self._stopping = stopping
        self._trackers = trackers
        self._keeping = keeping
        self._said: set[str] = set()
        self._looked = time.monotonic()
        self.committed: float | None = None

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Tune pickles its experiment to restore it later; we never do, so the copy does nothing."""
        return tune.Callback, ()

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune would wait for ever for a cluster that is gone."""
        if time.monotonic() - self._looked < CLUSTER_LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if not any(node["Alive"] for node in ray.nodes()):
            self._stopping.give_up(
                RobustnessError(
                    "the Ray cluster is gone (no node is alive); everything finished is stored, "
                    "the same command goes on"
                )
            )

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Packs of trials went to a worker; those that failed before are tried again."""
        keys = self._work.running(_id(trial))
        self._progress.retry(sum(key in self._work.failures for key in keys))
        self._progress.running(len(keys))
        self._write(lambda: self._store.start(self._lease, keys))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Trials of a pack ended, or its memory was measured."""
        records: list[TrialRecord] = result.pop("records", [])
        errors: dict[str, str] = dict(result.pop("errors", []))
        fitting: int | None = result.pop("fitting", None)
        if fitting is not None:
            self._work.measured(_id(trial), fitting)
        spent: list[str] = result.pop("spent", [])
        self._say(result.pop("notes", []))
        if records and self._write(lambda: self._store.finish(self._lease, records)):
            self._work.ended(_id(trial), {record.key for record in records})
            asked = self._sampling.ended(records)
            self._progress.count(done=len(records))
            for record in records:
                self._trackers.log(self._sampling.issued[record.key], record)
            self._take_in(asked)
            # Only now: until the records are on the disk, a checkpoint may be needed again.
            if self._keeping is not None:
                remove(self._keeping.folder, spent)
        if errors:
            self._fail(errors, self._work.failed(_id(trial), errors))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker died: the pack that it was training failed; those behind it were never begun."""
        self._progress.say("a worker died; the pack that it was training is tried again, trial by trial")
        file = Path(trial.error_file) if trial.error_file else None
        text = file.read_text() if file and file.is_file() else "the worker process died"
        death = self._work.died(_id(trial), text)
        self._progress.running(-death.not_begun)
        self._fail(death.errors, death.given_up)

    def _say(self, notes: Sequence[str]) -> None:
        """What workers say; the same once, as all of them may have one reason."""
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self._progress.say(note)

    def _fail(self, errors: dict[str, str], given_up: list[str]) -> None:
        attempts = [FailedAttempt(key, text) for key, text in errors.items()]
        if attempts and self._write(lambda: self._store.fail(self._lease, attempts)):
            self._progress.count(failed=len(errors))
            self._take_in(self._sampling.given_up(given_up))

    def _take_in(self, asked: Sequence[StudyTrial]) -> None:
        """What the sampler asks for now: into the store, then to the work."""
        if asked and self._write(lambda: self._store.extend(self._lease, asked)):
            todo = [item.trial for item in asked if item.trial.key not in self._sampling.known]
            self._progress.more(len(todo))
            self._work.add(todo)

    def _write(self, action: Callable[[], None]) -> bool:
        if self._stopping.error is not None:
            return False
        try:
            action()
        except RobustnessError as error:
            # Nothing may be acknowledged that is not on the disk.
            self._stopping.give_up(error)
            return False
        self.committed = time.monotonic()
        return True


def _id(ray_trial: Any) -> int:
    """Of its list of packs."""
    found: int = ray_trial.config["batch"]["id"]
    return found
