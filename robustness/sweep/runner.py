"""Expand, subtract what the store has complete, run the rest.

The same rule starts a study, resumes it after any crash, extends a grid and adds seeds. Within one run
it also repairs dead workers: what a round of ray trials left over is dealt anew in the next round.
"""

from __future__ import annotations

import itertools
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustness.errors import Interrupted, RobustnessError
from robustness.spec import Resources
from robustness.store import Lease, Store
from robustness.store.lease import LEASE_SECONDS
from robustness.sweep.progress import SweepProgress
from robustness.trial import Trial, TrialState

__all__ = ["RunSummary", "run_study"]

LISTS_A_SLOT = 8
MAX_LIST = 64
"""Trials a ray trial: few enough to balance the load, many enough to pay its 50 to 100 ms."""


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
    name: str,
    *,
    resources: Resources,
    root: Path,
    address: str | None = None,
    max_failures: int = 2,
    quiet: bool = False,
) -> RunSummary:
    """Run the trials of a stored study that are not complete.

    Args:
        store: where it is, and where results go.
        name: the study.
        resources: of one trial.
        root: the folder with the data sets, on every node.
        address: of a Ray cluster; None is RAY_ADDRESS or this machine.
        max_failures: how often a trial whose execution fails is tried again.
        quiet: show no progress.

    Raises:
        Interrupted: by SIGINT or SIGTERM; everything finished is stored.
        LeaseHeld: another driver is running this study.
        LeaseLost: another driver took it over.
        StoreError: the store failed; what was acknowledged is in it.
    """
    study_id = store.study(name).id
    with _leased(store, study_id) as lease:
        store.requeue(lease)
        todo = store.unfinished(study_id)
        total = sum(store.counts(study_id).values())
        seconds = 0.0
        with SweepProgress(len(todo), reused=total - len(todo), quiet=quiet) as progress:
            if todo:
                seconds = _run(store, lease, todo, resources, root, address, max_failures, progress)
        counts = store.counts(study_id)
    reused = total - len(todo)
    new = counts[TrialState.COMPLETE] - reused
    return RunSummary(
        study=name,
        trials=total,
        complete=counts[TrialState.COMPLETE],
        failed=counts[TrialState.FAILED],
        reused=reused,
        seconds=round(seconds, 3),
        trials_per_second=round(new / seconds, 3) if seconds else 0.0,
    )


def _run(
    store: Store,
    lease: Lease,
    todo: list[Trial],
    resources: Resources,
    root: Path,
    address: str | None,
    max_failures: int,
    progress: SweepProgress,
) -> float:
    """All rounds, in one Ray session; seconds from after Ray's start."""
    from robustness.sweep.cluster import ray_session

    with ray_session(address) as folder:
        from robustness.sweep.collector import Collector, StopFlag, diverged_test

        stop = StopFlag()
        began = time.monotonic()
        progress.start_clock()
        collector = Collector(store, lease, progress, stop, diverged_test(todo))
        with _stop_on_signals(stop), _renewing(store, lease, stop):
            left = todo
            for _ in range(max_failures + 1):
                _tune(left, resources, root, collector, stop, folder)
                # A dead worker's untouched trials come back too, so a round may end without a failure.
                left = [trial for trial in left if trial.key not in collector.complete]
                if not left or stop.is_set():
                    break
                progress.count(failed=-len(collector.failures))
                retried, collector.failures = collector.failures, {}
            else:
                collector.failures = retried
        seconds = time.monotonic() - began
    if collector.error is not None:
        raise collector.error
    if stop.is_set():
        raise Interrupted(
            f"stopped; {len(collector.complete):,} of {len(todo):,} trials were finished and are stored. "
            "The same command goes on from there."
        )
    for text in dict.fromkeys(collector.failures.values()):
        print(f"\na trial failed {max_failures + 1} times:\n{text}", file=sys.stderr)
    return seconds


def _tune(
    trials: Sequence[Trial], resources: Resources, root: Path, collector: Any, stop: Any, folder: Path
) -> None:
    """One round: the trials in lists through ray.tune.Tuner."""
    import ray
    from ray import tune

    from robustness.sweep.trainable import TrialList

    common = {
        "root": str(root.absolute()),
        "device": "cuda" if resources.gpus else "cpu",
        "threads": resources.cpus,
    }
    slots = max(int(ray.cluster_resources().get("CPU", 1) // resources.cpus), 1)
    lists = [
        {"keys": [t.key for t in part], "trials": [t.as_dict() for t in part], **common}
        for part in _dealt(trials, slots)
    ]
    trainable = tune.with_resources(TrialList, {"cpu": resources.cpus, "gpu": resources.gpus})
    tuner = tune.Tuner(
        trainable,
        param_space={"batch": tune.grid_search(lists)},
        tune_config=tune.TuneConfig(reuse_actors=True, trial_dirname_creator=lambda trial: trial.trial_id),
        run_config=tune.RunConfig(
            name="sweep", storage_path=str(folder), callbacks=[collector], stop=stop, verbose=0
        ),
    )
    tuner.fit()


def _dealt(trials: Sequence[Trial], slots: int) -> Iterator[list[Trial]]:
    """The trials in lists, in order."""
    size = min(max(math.ceil(len(trials) / (slots * LISTS_A_SLOT)), 1), MAX_LIST)
    remaining = iter(trials)
    while part := list(itertools.islice(remaining, size)):
        yield part


@contextmanager
def _leased(store: Store, study_id: int) -> Iterator[Lease]:
    lease = store.acquire(study_id)
    try:
        yield lease
    finally:
        store.release(lease)


@contextmanager
def _renewing(store: Store, lease: Lease, stop: Any) -> Iterator[None]:
    """Renew the lease while trials are long; stop the sweep when it is lost."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / 3):
            try:
                store.renew(lease)
            except RobustnessError:
                stop.set()  # the next write says why
                return

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _stop_on_signals(stop: Any) -> Iterator[None]:
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
