"""Expand, subtract what the store has complete, run the rest.

The same rule starts a study, resumes it after any crash, extends a grid and adds seeds. Within one run
it also repairs dead workers: what a round of ray trials left over is dealt anew in the next round.
"""

from __future__ import annotations

import itertools
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustness.errors import Interrupted, LeaseLost, RobustnessError, StoreError
from robustness.spec import Grid, Resources, StudySpec
from robustness.store import Lease, Store, StudyTrial
from robustness.store.lease import LEASE_SECONDS
from robustness.sweep.packing import Pack, packs
from robustness.sweep.progress import SweepProgress
from robustness.trial import Trial, TrialState

__all__ = ["RunSummary", "run_study"]

LISTS_A_SLOT = 8
MAX_LIST = 64
"""Packs a ray trial: few enough to balance the load, many enough to pay its 50 to 100 ms."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run did; what `robustness run --json` prints.

    Attributes:
        study: its name.
        trials: of the current spec.
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
    grid: Grid,
    *,
    root: Path,
    address: str | None = None,
    max_failures: int = 2,
    quiet: bool = False,
) -> RunSummary:
    """Store a study and run its trials that are not complete.

    Args:
        store: where results are and go.
        study: what the user wrote.
        grid: its trials.
        root: the folder with the data sets, on every node.
        address: of a Ray cluster; None is RAY_ADDRESS or this machine.
        max_failures: how often a trial whose execution fails is tried again.
        quiet: show no progress.

    Raises:
        Interrupted: by SIGINT or SIGTERM; everything finished is stored.
        LeaseHeld: another driver is running this study; nothing was written.
        LeaseLost: another driver took it over.
        SpecError: no node of the cluster can hold a trial.
        StoreError: the store failed; what was acknowledged is in it.
    """
    with _leased(store, store.register(study.name)) as lease:
        store.save_study(
            lease,
            title=study.title,
            question=study.question,
            spec=study.model_dump(mode="json"),
            tasks={task.label: task.config.as_dict() for task in grid.tasks},
            trials=(StudyTrial(trial, *labels) for trial, labels in grid.trials()),
        )
        store.requeue(lease)
        todo = store.unfinished(lease.study_id)
        seconds = 0.0
        with SweepProgress(len(todo), reused=grid.trial_count - len(todo), quiet=quiet) as progress:
            if todo:
                sweep = _Sweep(store, lease, study, root, max_failures, progress)
                seconds = sweep.run(todo, address)
        counts = store.counts(lease.study_id)
    reused = grid.trial_count - len(todo)
    new = counts[TrialState.COMPLETE] - reused
    return RunSummary(
        study=study.name,
        trials=grid.trial_count,
        complete=counts[TrialState.COMPLETE],
        failed=counts[TrialState.FAILED],
        reused=reused,
        seconds=round(seconds, 3),
        trials_per_second=round(new / seconds, 3) if seconds else 0.0,
    )


@dataclass(frozen=True, slots=True)
class _Sweep:
    """What all rounds of one run share."""

    store: Store
    lease: Lease
    study: StudySpec
    root: Path
    max_failures: int
    progress: SweepProgress

    @property
    def resources(self) -> Resources:
        return self.study.resources

    def run(self, todo: list[Trial], address: str | None) -> float:
        """All rounds, in one Ray session; seconds from after Ray's start."""
        from robustness.sweep.cluster import ray_session, require_resources

        stop = threading.Event()
        # Twice: Ray puts its own handlers in place when it starts.
        with _stop_on_signals(stop), ray_session(address) as folder, _stop_on_signals(stop):
            require_resources(self.resources)
            began = time.monotonic()
            self.progress.start_clock()
            from robustness.sweep.collector import Collector, diverged_test
            from robustness.sweep.trackers import Trackers

            trackers = Trackers(self.study.name, self.study.loggers, self.progress.say, stop)
            collector = Collector(self.store, self.lease, self.progress, stop, diverged_test(todo), trackers)
            with _renewing(self.store, self.lease, collector.give_up), trackers:
                self._rounds(todo, collector, stop, folder)
        if collector.error is not None:
            raise collector.error
        seconds = (collector.committed or began) - began
        if stop.is_set():
            raise Interrupted(
                f"stopped; {len(collector.complete):,} of {len(todo):,} trials were finished and are stored. "
                "The same command goes on from there."
            )
        for text in dict.fromkeys(collector.failures.values()):
            print(f"\na trial failed {self.max_failures + 1} times:\n{text}", file=sys.stderr)
        return seconds

    def _rounds(self, todo: list[Trial], collector: Any, stop: threading.Event, folder: Path) -> None:
        """Deal what is left until every trial is complete or has failed too often.

        A trial that failed before gets a worker's list of its own: if it takes its worker along again, it
        takes no others.
        """
        left = todo
        while left and not stop.is_set():
            suspects = [t for t in left if collector.attempts[t.key] or t.key in collector.suspects]
            fresh = [t for t in left if not collector.attempts[t.key] and t.key not in collector.suspects]
            self._tune(fresh, suspects, collector, stop, folder)
            left = [
                trial
                for trial in left
                if trial.key not in collector.complete and collector.attempts[trial.key] <= self.max_failures
            ]

    def _tune(
        self,
        fresh: list[Trial],
        suspects: list[Trial],
        collector: Any,
        stop: threading.Event,
        folder: Path,
    ) -> None:
        """One round through ray.tune.Tuner."""
        from ray import tune

        from robustness.sweep.cluster import slots
        from robustness.sweep.collector import StopFlag
        from robustness.sweep.trainable import PackList

        device = "cuda" if self.resources.gpus else "cpu"
        common = {"root": str(self.root.absolute()), "device": device, "threads": self.resources.cpus}
        at_once, size = slots(self.resources), self.resources.pack
        dealt = [*_dealt(list(packs(fresh, size=size, device=device, slots=at_once)), at_once)]
        # Each for itself, but by the technique of the others: the same numbers to the bit.
        dealt += [list(packs([trial], size=size, device=device, slots=1)) for trial in suspects]
        collector.begin_round([[[trial.key for trial in pack.trials] for pack in part] for part in dealt])
        # As text: Tune copies and writes every config several times, number by number.
        lists = [
            {
                "id": i,
                "packs": json.dumps([(p.technique, [trial.as_dict() for trial in p.trials]) for p in part]),
                **common,
            }
            for i, part in enumerate(dealt)
        ]
        tuner = tune.Tuner(
            tune.with_resources(PackList, {"cpu": self.resources.cpus, "gpu": self.resources.gpus}),
            param_space={"batch": tune.grid_search(lists)},
            tune_config=tune.TuneConfig(
                reuse_actors=True, trial_dirname_creator=lambda trial: trial.trial_id
            ),
            run_config=tune.RunConfig(
                name="sweep", storage_path=str(folder), callbacks=[collector], stop=StopFlag(stop), verbose=0
            ),
        )
        tuner.fit()


def _dealt(found: Sequence[Pack], slots: int) -> Iterator[list[Pack]]:
    """The packs in lists, in order."""
    size = min(max(math.ceil(len(found) / (slots * LISTS_A_SLOT)), 1), MAX_LIST)
    remaining = iter(found)
    while part := list(itertools.islice(remaining, size)):
        yield part


@contextmanager
def _leased(store: Store, study_id: int) -> Iterator[Lease]:
    lease = store.acquire(study_id)
    try:
        yield lease
    finally:
        # Where the store itself failed, the first error is the one to tell; the lease runs out by itself.
        with suppress(StoreError):
            store.requeue(lease)
            store.release(lease)


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
