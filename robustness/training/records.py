"""What an epoch leaves behind, and when a trial ends early: one definition for every way of training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from robustness.trial import EpochRecord, Trial, TrialRecord

__all__ = ["EVALUATION_BATCH", "L0_EXAMPLES", "Log"]

EVALUATION_BATCH = 250
"""Examples a forward pass when nothing is learned. Batch norm's starting loss depends on it."""
L0_EXAMPLES = 10_000

_HELD_OUT = ("validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
_AFTER = (*_HELD_OUT, "parameter_norm", "distance", "clamped_share")


@dataclass(slots=True)
class Log:
    """The record of one trial as it grows.

    Attributes:
        trial: whose.
        steps: optimizer steps an epoch.
        l0: mean training loss before the first step.
        rows: one an epoch.
        first_nonfinite_step: see `TrialRecord`.
        stopped: see `TrialRecord`.
        max_loss_rise: see `TrialRecord`.
        last_loss: of the last step; None before the first.
    """

    trial: Trial
    steps: int
    l0: float
    rows: list[EpochRecord]
    first_nonfinite_step: int | None = None
    stopped: bool = False
    max_loss_rise: float = 0.0
    last_loss: float | None = None

    def add(self, losses: Sequence[float], after: Mapping[str, float], seconds: float) -> None:
        """One more epoch.

        Args:
            losses: of each step; what follows the first that is not finite is not looked at.
            after: validation and test figures, `parameter_norm`, `distance` and `clamped_share`, taken when
                the epoch ended; may be empty where a loss was not finite.
            seconds: wall time.
        """
        epoch = len(self.rows) + 1
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        died = bad
        # Parameters and held-out losses are looked at when the epoch ends: its last step is the one.
        if bad is None and not all(
            math.isfinite(after[name]) for name in ("parameter_norm", "validation_loss", "test_loss")
        ):
            died = self.steps - 1
        if died is not None:
            after = dict.fromkeys(_AFTER, math.nan)
            self.first_nonfinite_step = (epoch - 1) * self.steps + died + 1
        self._look_for_rise(losses, finite=bad is None)
        row = EpochRecord(
            epoch=epoch,
            # A float64 sum: steps near the float32 limit must not overflow in the mean.
            train_loss=math.fsum(losses) / len(losses) if bad is None else losses[bad],
            train_loss_max=max(losses) if bad is None else losses[bad],
            seconds=seconds,
            **{name: after[name] for name in _AFTER},
        )
        self.rows.append(row)
        limit = self.trial.cell.task.stop_above
        goes_on = died is None and epoch < self.trial.cell.task.epochs
        self.stopped = bool(limit) and goes_on and row.train_loss > limit * self.l0

    def _look_for_rise(self, losses: Sequence[float], *, finite: bool) -> None:
        steps = losses if self.last_loss is None else [self.last_loss, *losses]
        rises = (after - before for before, after in itertools.pairwise(steps))
        self.max_loss_rise = max([self.max_loss_rise, *rises]) if finite else math.inf
        self.last_loss = losses[-1]

    def state(self) -> dict[str, Any]:
        """Plain data, for checkpoints."""
        return {
            "key": self.trial.key,
            "l0": self.l0,
            "rows": [asdict(row) for row in self.rows],
            "first_nonfinite_step": self.first_nonfinite_step,
            "stopped": self.stopped,
            "max_loss_rise": self.max_loss_rise,
            "last_loss": self.last_loss,
        }

    @classmethod
    def of_state(cls, trial: Trial, steps: int, state: Mapping[str, Any]) -> Log:
        """The reverse of `state`."""
        rows = [EpochRecord(**row) for row in state["rows"]]
        return cls(
            trial,
            steps,
            state["l0"],
            rows,
            first_nonfinite_step=state["first_nonfinite_step"],
            stopped=state["stopped"],
            max_loss_rise=state["max_loss_rise"],
            last_loss=state["last_loss"],
        )

    @property
    def ended(self) -> bool:
        """Whether the budget is spent, or the trial ended before."""
        died = self.first_nonfinite_step is not None
        return died or self.stopped or len(self.rows) == self.trial.cell.task.epochs

    def record(self) -> TrialRecord:
        """What is stored."""
        return TrialRecord(
            key=self.trial.key,
            l0=self.l0,
            first_nonfinite_step=self.first_nonfinite_step,
            nonfinite=self.first_nonfinite_step is not None,
            stopped=self.stopped,
            max_loss_rise=self.max_loss_rise,
            epochs=tuple(self.rows),
        )
