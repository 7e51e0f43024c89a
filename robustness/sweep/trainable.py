"""What runs in a Ray actor: packs of trials, one after another; results are reported as trials end."""

from __future__ import annotations

import ctypes
import json
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ray import tune

from robustness.checkpoint_files import Keeping
from robustness.errors import RobustnessError
from robustness.sweep.memory import CudaMemory, Gauge, Memory
from robustness.sweep.sharing import SharedData, take
from robustness.trial import Trial, TrialRecord

if TYPE_CHECKING:
    from robustness.training import Keeper

__all__ = ["PackRunner"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
REPORT_SECONDS = 1.0
"""How long a pack is trained before the actor reports even though no trial ended: that it is alive."""


class _Job(NamedTuple):
    """A pack that is to be trained; `source` is the checkpoint to go on from, where that was of a larger one."""

    technique: Any
    trials: Sequence[Trial]
    source: str | None


class PackRunner(tune.Trainable):
    """A ray trial. Its config: `batch` with what `Work.config` says, `packs` as JSON (technique, trials, source).

    Each step reports `records` of trials that ended, `errors` (key, text) of those whose execution failed, `spent`
    (checkpoints that go once the records are stored), `notes` (lines for the user) and, where memory is measured, once
    `fitting`: how many trials like those of its pack fit into one.
    A pack that fails is split in two and trained again, so that one broken trial takes no others along, and
    one that does not fit into memory is trained in parts: a trial's record does not depend on the pack.
    """

    def setup(self, config: dict[str, Any], shared: SharedData | None = None) -> None:
        """Take the packs; the actor is used again for the next ones."""
        self._shared = shared or {}
        batch = config["batch"]
        self._threads = batch["threads"]
        _keep_freed_memory()
        self._packs = [_Job(t, _trials(plain), source) for t, plain, source in json.loads(batch["packs"])]
        self._root = Path(batch["root"])
        self._device = batch["device"]
        self._gauge = Gauge(self._memory(), batch["gpus"]) if batch["measure"] else None
        self._fitting: int | None = None
        self._keeping: Keeping | None = batch["keeping"]
        self._keeper: Keeper | None = None
        self._notes: list[str] = []
        self._running: Iterator[list[TrialRecord]] = iter(())

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Reuse this actor for other packs."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train until a trial ends, or a second has passed, or there is something to say."""
        records: list[TrialRecord] = []
        errors: list[tuple[str, str]] = []
        spent: list[str] = []
        self._notes = []
        until = time.monotonic() + REPORT_SECONDS
        while self._packs and not self._to_say(records, errors) and time.monotonic() < until:
            technique, trials, source = self._packs[0]
            try:
                found = next(self._running, None)
                if found is None:
                    self._running = self._train(technique, trials, source)
                    found = next(self._running)
            except RobustnessError as error:  # a rule in words: its text says all, of every trial
                self._next([])
                errors = [(trial.key, str(error)) for trial in trials]
            except Exception:  # noqa: BLE001  whatever a trial raises is that trial's failure, and is reported
                if len(trials) > 1:
                    half = len(trials) // 2
                    source = next(iter(self._files()), source)
                    halves = (trials[:half], trials[half:])
                    self._next([_Job(technique, part, source if technique else None) for part in halves])
                else:
                    self._next([])
                    errors = [(trials[0].key, traceback.format_exc())]
            else:
                records = found
                ended = {record.key for record in records}
                left = [trial for trial in trials if trial.key not in ended]
                self._packs[0] = _Job(technique, left, source)
                if records and not (left and technique):  # by itself each trial has a checkpoint of its own
                    spent += self._files()
                if not left:
                    self._next([])
        said: dict[str, Any] = {"records": records, "errors": errors, "spent": spent, "notes": self._notes}
        if self._fitting is not None:
            said["fitting"], self._fitting = self._fitting, None
        return {**said, "done": not self._packs}

    def _to_say(self, records: list[TrialRecord], errors: list[tuple[str, str]]) -> bool:
        return bool(records or errors or self._notes or self._fitting)

    def _files(self) -> list[str]:
        return self._keeper.files if self._keeper is not None else []

    def _next(self, instead: list[_Job]) -> None:
        self._running = iter(())
        self._keeper = None
        self._packs[:1] = instead

    def _train(
        self, technique: Any, trials: Sequence[Trial], source: str | None
    ) -> Iterator[list[TrialRecord]]:
        import torch

        from robustness.training import train_by_epochs, train_pack

        # One thread a pack: with more, sums are split otherwise in a pack of one than in larger ones. Set each
        # time, as torch's settings outlive a list in a reused actor.
        torch.set_num_threads(1 if technique else self._threads)
        take(trials[0].cell.task.data, self._shared)
        for part in [trials] if technique else [[trial] for trial in trials]:
            keeper = self._keeper = self._keeper_of(technique, part, source)
            where: dict[str, Any] = {"root": self._root, "device": self._device, "keeper": keeper}
            if technique is None:
                yield from train_by_epochs(part[0], **where)
                continue
            running = train_pack(part, technique=technique, **where)
            yield from running if self._gauge is None else self._measured(part, running, self._gauge)

    def _keeper_of(self, technique: Any, trials: Sequence[Trial], source: str | None) -> Keeper | None:
        from robustness.training import Keeper

        if self._keeping is None:
            return None
        return Keeper(
            self._keeping, technique, trials, say=lambda text: self._notes.append(text), source=source
        )

    def _measured(
        self, trials: Sequence[Trial], running: Iterator[list[TrialRecord]], gauge: Gauge
    ) -> Iterator[list[TrialRecord]]:
        """A pack whose first epoch is measured; once is enough, of a pack that was split the first part."""
        import torch

        from robustness.tasks import load

        # The device holds the data set once, however many trials a pack has.
        task = trials[0].cell.task
        load(task.data, self._root, self._device, torch.float32, task.input_scale)
        gauge.start()
        found = next(running)
        self._fitting, self._gauge = gauge.fitting(len(trials)), None
        yield found
        yield from running

    def _memory(self) -> Memory:
        """Of the device that packs are trained on."""
        return CudaMemory()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing: results leave with each step, packs that die are dealt anew, and a `Keeper` has its own files."""
        return {}

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing; see `save_checkpoint`."""


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed: each step frees and takes the same megabytes, whose pages cost 5 to 10 %."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(option, 1 << 30)


def _trials(plain: list[dict[str, Any]]) -> list[Trial]:
    return [Trial.from_dict(trial) for trial in plain]
