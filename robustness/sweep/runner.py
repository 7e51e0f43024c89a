"""Expand, subtract what the store has complete, run the rest.

The same rule starts a study, resumes it after any crash, extends a grid and adds seeds. What a sampler asks for as
results come is run in the same session, and so is what a dead worker left over.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustness.checkpoint_files import Keeping, clean
from robustness.errors import Interrupted, LeaseLost, RobustnessError, StoreError
from robustness.phrases import counted
from robustness.spec import Resources, Space, StudySpec
from robustness.store import Lease, Store
from robustness.store.lease import LEASE_SECONDS
from robustness.sweep.divergence_count import DivergenceCount
from robustness.sweep.progress import SweepProgress
from robustness.sweep.samplers.sampling import Sampling
from robustness.sweep.stopping import Stopping
from robustness.sweep.work import Work
from robustness.trial import Named, Trial, TrialState

__all__ = ["RunSummary", "run_study"]

STOPPING_SECONDS = 15.0
"""How long a sweep may take to stop; Slurm kills after 30."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run did; what `robustness run --json` prints.

    Attributes:
        study: its name.
        trials: of the current spec; of an adaptive sampler those that it asked for.
        complete: reused ones included.
        failed: executions that ended in an error; missing data, not divergences.
        reused: complete before this run.
        seconds: from after Ray's start to the last commit.
        trials_per_second: newly run / seconds; 0 where nothing was run.
    """

    study: str
    trials: int
    complete: int
    failed: int
    reused: int
    seconds: float
    trials_per_second: float


def run_study(
    store: Store,
    study: StudySpec,
    space: Space,
    *,
    root: Path,
    address: str | None = None,
    max_failures: int = 2,
    quiet: bool = False,
    keeping: Keeping | None = None,
) -> RunSummary:
    """Store a study and run its trials that are not complete.

    Args:
        store: where results are and go.
        study: what the user wrote.
        space: what it may try.
        root: the folder with the data sets; on every node only for those that are read as they are trained.
        address: of a Ray cluster; None is RAY_ADDRESS or this machine.
        max_failures: how often a trial whose execution fails is tried again.
        quiet: show no progress.
        keeping: where checkpoints of long trainings go; None makes none.

    Raises:
        Interrupted: by SIGINT or SIGTERM; everything finished is stored.
        LeaseHeld: another driver is running this study; nothing was written.
        LeaseLost: another driver took it over.
        SpecError: no node of the cluster can hold a trial.
        StoreError: the store failed; what was acknowledged is in it.
    """
    stopping = Stopping()
    # Renewed from the first moment: drawing, replaying and Ray's start can each take longer than a lease.
    with (
        _leased(store, store.register(study.name)) as lease,
        _renewing(store, lease, stopping.give_up),
    ):
        sampling = Sampling(space, store)
        asked = sampling.begin()
        stopping.check()
        left = store.save_study(
            lease,
            title=study.title,
            question=study.question,
            spec=study.model_dump(mode="json"),
            tasks={task.label: task.config.as_dict() for task in space.tasks},
            trials=asked,
        )
        if left:
            parts = counted(left, "complete trial is", "complete trials are")
            print(f"{parts} no longer part of {study.name}; the store keeps what it has", file=sys.stderr)
        store.requeue(lease)
        todo = store.unfinished(lease.study_id)
        reused = len(sampling.issued) - len(todo)
        seconds = 0.0
        _clean(keeping, store)
        divergences = DivergenceCount(store, study.name)
        with SweepProgress(len(todo), reused=reused, divergences=divergences, quiet=quiet) as progress:
            if todo:
                sweep = _Sweep(
                    store, lease, sampling, study, space, root, max_failures, progress, keeping, stopping
                )
                seconds = sweep.run(todo, address)
                _clean(keeping, store)
        counts = store.counts(lease.study_id)
        reused = len(sampling.known) if space.adaptive else reused
    trials = sum(counts.values())
    new = counts[TrialState.COMPLETE] - reused
    return RunSummary(
        study=study.name,
        trials=trials,
        complete=counts[TrialState.COMPLETE],
        failed=counts[TrialState.FAILED],
        reused=reused,
        seconds=round(seconds, 3),
        trials_per_second=round(new / seconds, 3) if seconds else 0.0,
    )


@dataclass(frozen=True, slots=True)
class _Sweep:
    """What is needed to run a study's missing trials."""

    store: Store
    lease: Lease
    sampling: Sampling
    study: StudySpec
    space: Space
    root: Path
    max_failures: int
    progress: SweepProgress
    keeping: Keeping | None
    stopping: Stopping

    @property
    def resources(self) -> Resources:
        return self.study.resources

    def run(self, todo: list[Trial], address: str | None) -> float:
        """Train these trials, and what the sampler asks for then, in one Ray session; seconds from after Ray's start."""
        from robustness.sweep.cluster import ray_session, require_resources, slots

        stopping, asked = self.stopping, self.stopping.asked
        # Twice: Ray puts its own handlers in place when it starts.
        with (
            _ended_at_last(stopping, self._interrupted, self._give_back),
            _stop_on_signals(asked),
            ray_session(address) as folder,
            _stop_on_signals(asked),
        ):
            require_resources(self.resources)
            began = time.monotonic()
            self.progress.start_clock()
            from robustness.sweep.collector import Collector
            from robustness.sweep.trackers import Trackers

            at_once = slots(self.resources)
            work = Work(self.resources, at_once, self.max_failures, self.keeping)
            work.add(todo)
            trackers = Trackers(self.study.name, self.study.loggers, self.progress.say, asked)
            collector = Collector(
                self.store, self.lease, self.sampling, work, trackers, self.progress, stopping, self.keeping
            )
            with trackers:
                self._tune(work, collector, self._data(todo), at_once, folder)
        stopping.check()
        seconds = (collector.committed or began) - began
        if asked.is_set():
            raise self._interrupted()
        for text in dict.fromkeys(work.failures.values()):
            print(f"\na trial failed {self.max_failures + 1} times:\n{text}", file=sys.stderr)
        return seconds

    def _interrupted(self) -> Interrupted:
        done, total = self.progress.done, self.progress.total
        return Interrupted(
            f"stopped; {done:,} of {total:,} trials were finished and are stored. The same command goes on from there."
        )

    def _give_back(self) -> None:
        self.progress.stop()
        _give_back(self.store, self.lease)

    def _data(self, todo: list[Trial]) -> list[Named]:
        """The data sets that are trained on, in the order in which they are needed."""
        asked_later = self.space.tasks if self.space.adaptive else ()
        found = [trial.cell.task.data for trial in todo] + [task.config.data for task in asked_later]
        return list(dict.fromkeys(found))

    def _tune(
        self,
        work: Work,
        collector: Any,
        data: list[Named],
        at_once: int,
        folder: Path,
    ) -> None:
        """Everything through one ray.tune.Tuner, which asks for lists of packs until there are no more."""
        from ray import tune

        from robustness.sweep.collector import StopFlag
        from robustness.sweep.searcher import PackSearcher
        from robustness.sweep.sharing import share
        from robustness.sweep.trainable import PackRunner

        trained = tune.with_parameters(PackRunner, shared=share(data, self.root))
        tuner = tune.Tuner(
            tune.with_resources(trained, {"cpu": self.resources.cpus, "gpu": self.resources.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(work, self.root),
                num_samples=-1,
                # As many lists wait for a worker as are being trained.
                max_concurrent_trials=2 * at_once,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(folder),
                callbacks=[collector],
                stop=StopFlag(self.stopping.asked),
                verbose=0,
            ),
        )
        tuner.fit()


def _clean(keeping: Keeping | None, store: Store) -> None:
    """Remove checkpoints of what is complete: of a driver that died before it could, or of larger packs."""
    if keeping is not None:
        clean(keeping.folder, store.completed)


@contextmanager
def _leased(store: Store, study_id: int) -> Iterator[Lease]:
    lease = store.acquire(study_id)
    try:
        yield lease
    finally:
        _give_back(store, lease)


def _give_back(store: Store, lease: Lease) -> None:
    # Where the store itself failed, the first error is the one to tell; the lease runs out by itself.
    with suppress(StoreError):
        store.requeue(lease)
        store.release(lease)


@contextmanager
def _ended_at_last(
    stopping: Stopping, interrupted: Callable[[], Interrupted], give_back: Callable[[], None]
) -> Iterator[None]:
    """End the process where stopping does not come through.

    Slurm, systemd and timeout send their signal to Ray's processes too. Without its head Ray hangs for a minute, and then
    ends the driver without a word.
    """
    ended = threading.Event()

    def watch() -> None:
        stopping.asked.wait()
        if ended.wait(STOPPING_SECONDS):
            return
        error = stopping.error or interrupted()
        give_back()
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(error.exit_code)

    threading.Thread(target=watch, name="ended at last", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


@contextmanager
def _renewing(store: Store, lease: Lease, give_up: Callable[[RobustnessError], None]) -> Iterator[None]:
    """Renew the lease while trials are long; stop the sweep when it is lost, or cannot be renewed in time."""
    ended = threading.Event()

    def renew() -> None:
        renewed = time.monotonic()
        while not ended.wait(LEASE_SECONDS / 3):
            try:
                store.renew(lease)
                renewed = time.monotonic()
            except RobustnessError as error:
                if isinstance(error, LeaseLost) or time.monotonic() - renewed > LEASE_SECONDS:
                    give_up(error)
                    return

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM stop the sweep cleanly; elsewhere than in the main thread they are not ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *_: stop.set()) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
