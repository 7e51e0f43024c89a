"""What is trained, and what is recorded of it: cells, trials, their keys, and records.

Everything here is plain frozen data. `Trial.key` is the identity of a training run: the hash of
all that determines its result, and of nothing else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from robustness.phrases import counted

__all__ = [
    "RECORD_VERSION",
    "Cell",
    "EpochRecord",
    "ImportedTask",
    "ImportedTrial",
    "Named",
    "TaskConfig",
    "Trial",
    "TrialRecord",
    "TrialState",
    "canonical_json",
    "round_lr",
    "task_from_dict",
]

RECORD_VERSION = 2
"""Raised when training changes what a trial's record contains; part of every trial key."""

Value = bool | int | float | str | tuple[float, ...]
Arguments = tuple[tuple[str, Value], ...]


class TrialState(StrEnum):
    """What happened to the *execution* of a trial. A diverged trial is `complete`."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


def round_lr(lr: float) -> float:
    """A learning rate to 12 significant digits, so that 0.1 and 0.1000000000000001 are one.

    >>> round_lr(0.1 + 1e-17) == round_lr(10**-1)
    True
    """
    return float(f"{lr:.12g}")


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A catalog name with all its arguments, defaults filled in: an optimizer, an initialization."""

    name: str
    arguments: Arguments = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"name": self.name, **dict(self.arguments)}

    @property
    def family(self) -> tuple[object, ...]:
        """Name and arguments, numbers reduced to whether they are zero.

        Optimizers of one family run the same operations (zero means no momentum, no weight decay), so that they
        can be trained as one without one of them changing what happens to another.

        >>> Named(name="sgd", arguments=(("momentum", 0.9), ("nesterov", False))).family
        ('sgd', ('momentum', True), ('nesterov', False))
        """

        def reduced(value: Value) -> object:
            if isinstance(value, tuple):
                return tuple(number != 0 for number in value)
            return value != 0 if isinstance(value, float) else value

        return (self.name, *((name, reduced(value)) for name, value in self.arguments))

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Named:
        """The reverse of `as_dict`, lists as tuples."""
        arguments = tuple(
            sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in plain.items() if k != "name")
        )
        return cls(name=plain["name"], arguments=arguments)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskConfig:
    """Data set + model + budget, every field filled in.

    `data` and `model` carry their own arguments (a synthetic set's size, an mlp's width). Fields with a default
    came later: at their default they are no part of the plain form, so that trials from before keep their keys.
    """

    data: Named
    model: Named
    norm: str
    epochs: int
    batch_size: int
    augment: str
    input_scale: float
    stop_above: float
    precision: str = "float32"
    compile: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        changed = {f.name for f in fields(self) if plain[f.name] != f.default}
        plain |= {"data": self.data.as_dict(), "model": self.model.as_dict()}
        return {name: value for name, value in plain.items() if name in changed}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TaskConfig:
        """The reverse of `as_dict`."""
        rest = {k: v for k, v in plain.items() if k not in ("data", "model")}
        return cls(data=Named.from_dict(plain["data"]), model=Named.from_dict(plain["model"]), **rest)

    @property
    def budget(self) -> str:
        """In words, for titles and captions."""
        return f"{counted(self.epochs, 'epoch')}, batch {self.batch_size}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedTask:
    """A task of other people's logs: what they, and the task's own papers, tell of it; None where nobody does.

    Attributes:
        budget: in words; empty where unknown.
        score: what a trial is judged by; `loss` where the task has no accuracy.
        chance: test accuracy of the best constant predictor.
        constant_loss: training loss of the best constant predictor, in the loss's own unit.
        reference: the reference test score.
        test_size: independent test examples.
        note: where these figures come from.
    """

    budget: str = ""
    score: Literal["accuracy", "loss"] = "accuracy"
    chance: float | None = None
    constant_loss: float | None = None
    reference: float | None = None
    test_size: int | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"imported": asdict(self)}


def task_from_dict(plain: dict[str, Any]) -> TaskConfig | ImportedTask:
    """The reverse of either's `as_dict`."""
    return ImportedTask(**plain["imported"]) if "imported" in plain else TaskConfig.from_dict(plain)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Task x optimizer x learning rate x initialization: one square of a heatmap. No seed."""

    task: TaskConfig
    optimizer: Named
    lr: float
    init: Named


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A cell with a seed index: one training run.

    Where seeds are crossed with `orders` data orders, seed indices count both: weights come from
    `seed_index // orders`, the order of the data from `seed_index % orders`.
    """

    cell: Cell
    root_seed: int
    seed_index: int
    orders: int = 1

    @property
    def weights_index(self) -> int:
        """Which starting weights."""
        return self.seed_index // self.orders

    @property
    def order_index(self) -> int:
        """Which data order, augmentation and dropout."""
        return self.seed_index % self.orders if self.orders > 1 else self.seed_index

    def as_dict(self) -> dict[str, Any]:
        """Everything that determines the result, as plain data."""
        crossed = {"orders": self.orders} if self.orders > 1 else {}  # earlier trials keep their keys
        return {
            **crossed,
            "task": self.cell.task.as_dict(),
            "optimizer": self.cell.optimizer.as_dict(),
            "lr": self.cell.lr,
            "init": self.cell.init.as_dict(),
            "root_seed": self.root_seed,
            "seed_index": self.seed_index,
            "record_version": RECORD_VERSION,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Trial:
        """The reverse of `as_dict`."""
        cell = Cell(
            task=TaskConfig.from_dict(plain["task"]),
            optimizer=Named.from_dict(plain["optimizer"]),
            lr=plain["lr"],
            init=Named.from_dict(plain["init"]),
        )
        return cls(
            cell=cell,
            root_seed=plain["root_seed"],
            seed_index=plain["seed_index"],
            orders=plain.get("orders", 1),
        )

    @cached_property
    def json(self) -> str:
        """Canonical JSON of `as_dict`."""
        return canonical_json(self.as_dict())

    @cached_property
    def key(self) -> str:
        """SHA-256 of `json`, 64 hex digits: the trial's identity in every store."""
        return hashlib.sha256(self.json.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One epoch of one trial. NaN and infinities are values here, not absences.

    `clamped_share` is what INSGD's preset `released` clamped in the epoch's last step, NaN for all others.
    Losses are means in nats (cross-entropy); accuracies are shares in [0, 1]; `parameter_norm` and
    `distance` (from the start) are l2 norms over all parameters; `seconds` is wall time, in a pack the
    trial's share of it. In the epoch
    in which a trial dies everything measured after its first non-finite step is NaN.
    """

    epoch: int
    train_loss: float
    train_loss_max: float
    validation_loss: float
    validation_accuracy: float
    test_loss: float
    test_accuracy: float
    parameter_norm: float
    distance: float
    clamped_share: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What one complete trial left behind. Outcomes are computed from it when read.

    Attributes:
        key: the trial's key.
        l0: mean training loss before the first step.
        first_nonfinite_step: 1-based optimizer step whose loss or parameters were not finite; None also where
            an imported log does not tell it.
        nonfinite: a loss or the parameters were not finite.
        stopped: the trial was ended early: its training loss was above `stop_above` times l0.
        max_loss_rise: largest rise of the training loss from one step to the next, in nats, over all epochs; 0 where it
            never rose, infinite where a loss was not finite, NaN where losses of steps are not known.
        epochs: one row an epoch, the last one included in which the trial died.
    """

    key: str
    l0: float
    first_nonfinite_step: int | None
    nonfinite: bool
    stopped: bool = False
    max_loss_rise: float = math.nan
    epochs: tuple[EpochRecord, ...] = field(default=())

    @property
    def min_train_loss(self) -> float:
        """Least finite training loss over the epochs; NaN where there is none."""
        finite = [row.train_loss for row in self.epochs if math.isfinite(row.train_loss)]
        return min(finite, default=math.nan)

    @property
    def max_train_loss(self) -> float:
        """Largest training loss of any step; infinite where one was not finite."""
        peaks = [row.train_loss_max for row in self.epochs]
        return max((peak if math.isfinite(peak) else math.inf for peak in peaks), default=math.nan)

    @property
    def max_earlier_score(self) -> float:
        """Best score of the epochs before the last; NaN where there is none.

        The score is test accuracy, or minus the test loss where no epoch has an accuracy.
        """
        scores = [row.test_accuracy for row in self.epochs]
        if all(map(math.isnan, scores)):
            scores = [-row.test_loss for row in self.epochs]
        return max((score for score in scores[:-1] if math.isfinite(score)), default=math.nan)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedTrial:
    """A training run that somebody else recorded.

    Attributes:
        task: label of its task.
        optimizer: label of its optimizer.
        init: label of its initialization; `default` where the log names none.
        lr: learning rate.
        seed_index: its seed, or its number among the runs of a cell.
        config: canonical JSON of all that the log says of it, unknown fields included; `optimizer` and
            `hyperparameters`, where there, are read by the summaries.
        record: what was recorded; its key is unique to the study.
        reason: why its sampler added it; empty where it was designed.
        figures: final ones that the log tells and the record's epochs do not show.
    """

    task: str
    optimizer: str
    init: str
    lr: float
    seed_index: int
    config: str
    record: TrialRecord
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
