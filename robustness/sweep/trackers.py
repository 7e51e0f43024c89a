"""Trackers: each trial that was stored becomes one run in MLflow, TensorBoard or W&B, by Ray Tune's own callbacks.

Tune would call them with its own trials, which are packs of many of ours; here they get a stand-in for each of
ours. The store is the record: nothing waits for a tracker but the end of a sweep, and one that fails is switched off.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from robustness.errors import SpecError
from robustness.store import StudyTrial
from robustness.trial import TrialRecord

__all__ = ["Trackers", "parameters", "results"]

PATIENCE_SECONDS = 5.0
"""How long trackers may hold up a sweep that was told to stop."""
SAY_AFTER_SECONDS = 2.0
KEY_DIGITS = 16


class Trackers:
    """Logs trials to all trackers that a study names. A context manager."""

    def __init__(
        self, study: str, names: Sequence[str], say: Callable[[str], None], stop: threading.Event
    ) -> None:
        """Log to `names` under the study's name; `say` takes one line, `stop` tells a sweep to end."""
        self._trackers = [_Tracker(name, study, say) for name in names]
        self._say = say
        self._stop = stop

    def __bool__(self) -> bool:
        """Whether there is a tracker."""
        return bool(self._trackers)

    def __enter__(self) -> Trackers:
        """Set the trackers up.

        Raises:
            SpecError: one cannot be used: a server that is not there, a key that is missing.
        """
        for tracker in self._trackers:
            tracker.start()
        for tracker in self._trackers:
            while not tracker.ready.wait(0.1) and not self._stop.is_set():
                pass
            if tracker.refusal is not None:
                raise SpecError.of("loggers", f"{tracker.name} cannot be used: {tracker.refusal}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log what still waits, but not for long if the sweep was told to stop."""
        for tracker in self._trackers:
            tracker.end()
        began, until, said = time.monotonic(), math.inf, False
        while (busy := [t for t in self._trackers if t.is_alive()]) and time.monotonic() < until:
            if until == math.inf and (kind is not None or self._stop.is_set()):
                until = time.monotonic() + PATIENCE_SECONDS
            if not said and time.monotonic() - began > SAY_AFTER_SECONDS:
                said = True
                for tracker in busy:
                    self._say(f"{tracker.left:,} trials to log to {tracker.name} yet; Ctrl-C leaves them out")
            busy[0].join(0.1)
        for tracker in busy:
            self._say(f"{tracker.left:,} trials were not logged to {tracker.name}; the store has them")

    def log(self, trial: StudyTrial, record: TrialRecord) -> None:
        """Have a complete trial logged as soon as the trackers come to it."""
        for tracker in self._trackers:
            tracker.put(trial, record)


class _Tracker(threading.Thread):
    """One tracker, in a thread: a server that answers slowly must not keep trials waiting.

    Attributes:
        ready: set when the tracker is set up, or cannot be.
        refusal: why it cannot be; None where it can.
    """

    def __init__(self, name: str, study: str, say: Callable[[str], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._study = study
        self._say = say
        self._waiting: queue.SimpleQueue[tuple[StudyTrial, TrialRecord] | None] = queue.SimpleQueue()
        self._put = self._logged = 0
        self.ready = threading.Event()
        self.refusal: str | None = None

    @property
    def left(self) -> int:
        """Trials that are not logged yet."""
        return self._put - self._logged

    def put(self, trial: StudyTrial, record: TrialRecord) -> None:
        if self.is_alive():  # else it was switched off
            self._put += 1
            self._waiting.put((trial, record))

    def end(self) -> None:
        self._waiting.put(None)

    def run(self) -> None:
        try:
            callback, folder = _CALLBACKS[self.name](self._study)
            callback.setup()
        except Exception as error:  # noqa: BLE001  whatever it is, a study is not to begin with it
            self.refusal = _first_line(error)
            return
        finally:
            self.ready.set()
        try:
            while (found := self._waiting.get()) is not None:
                _log(callback, _StandIn.of(*found, study=self._study, folder=folder), found[1])
                self._logged += 1
            callback.on_experiment_end(trials=[])
        except Exception as error:  # noqa: BLE001  no tracker may stop a sweep
            self._say(
                f"{self.name} failed and is switched off; the store has every trial: {_first_line(error)}"
            )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


@dataclass(frozen=True, eq=False, slots=True)
class _StandIn:
    """What Tune's callbacks ask of a trial of Tune's, for one of ours."""

    trial_id: str
    title: str
    config: dict[str, Any]
    local_path: str
    experiment_dir_name: str

    @classmethod
    def of(cls, trial: StudyTrial, record: TrialRecord, *, study: str, folder: Path | None) -> _StandIn:
        key = record.key[:KEY_DIGITS]
        cell = trial.trial.cell
        return cls(
            trial_id=key,
            title=f"{trial.optimizer} lr={cell.lr:g} {trial.init} seed={trial.trial.seed_index} {trial.task}",
            config=parameters(trial),
            local_path=str(folder / key if folder else Path.cwd()),
            experiment_dir_name=study,
        )

    @property
    def evaluated_params(self) -> dict[str, Any]:
        return self.config

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return self.title


def parameters(trial: StudyTrial) -> dict[str, Any]:
    """A trial in one flat table: labels, the optimizer's arguments, learning rate, seed index, start of the key."""
    own = {
        "key": trial.trial.key[:KEY_DIGITS],
        "task": trial.task,
        "optimizer": trial.optimizer,
        "init": trial.init,
        "lr": trial.trial.cell.lr,
        "seed_index": trial.trial.seed_index,
    }
    for name, value in trial.trial.cell.optimizer.arguments:
        plain = str(list(value)) if isinstance(value, tuple) else value
        own[f"optimizer_{name}" if name in own else name] = plain
    return own


def results(record: TrialRecord) -> list[dict[str, Any]]:
    """One table an epoch as Tune would report it, NaN and infinities as they are; the last also says how it ended."""
    rows = []
    for epoch in record.epochs:
        row = asdict(epoch)
        row["training_iteration"] = row.pop("epoch")
        if math.isnan(row["clamped_share"]):  # has a value for INSGD's preset `released` alone
            del row["clamped_share"]
        rows.append(row)
    rows[-1] |= {"l0": record.l0, "nonfinite": int(record.nonfinite), "stopped": int(record.stopped)}
    if record.first_nonfinite_step is not None:
        rows[-1]["first_nonfinite_step"] = record.first_nonfinite_step
    return rows


def _log(callback: Any, trial: _StandIn, record: TrialRecord) -> None:
    """One run, from its start to its end. A divergence is a result: the run has not failed."""
    callback.log_trial_start(trial)
    for row in results(record):
        callback.log_trial_result(row["training_iteration"], trial, row)
    callback.log_trial_end(trial, failed=False)


def _mlflow(study: str) -> tuple[Any, None]:
    # Folders need leave since MLflow 3. They take a third of SQLite's time, and SQLite has no infinities.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from robustness.sweep.mlflow_batches import BatchedMLflow

    where = os.environ.get("MLFLOW_TRACKING_URI") or Path("mlruns").absolute().as_uri()
    return BatchedMLflow(where, experiment_name=study), None


def _tensorboard(study: str) -> tuple[Any, Path]:
    from ray.tune.logger import TBXLoggerCallback

    logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)  # a line for each infinity
    return TBXLoggerCallback(), Path("runs", study).absolute()


def _wandb(study: str) -> tuple[Any, None]:
    from robustness.sweep.wandb_runs import WrittenWandb

    return WrittenWandb(project=os.environ.get("WANDB_PROJECT") or study), None


_CALLBACKS: dict[str, Callable[[str], tuple[Any, Path | None]]] = {
    "mlflow": _mlflow,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
"""What makes the callback of a tracker of the catalog, and the folder of its own that it writes to."""
