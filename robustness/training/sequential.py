"""One trial at a time, with the real torch.optim classes: the reference for every other engine.

What is recorded, and what counts as dying, is defined here; see `robustness.trial`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional as F  # noqa: N812  torch's own convention
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from robustness import seeds
from robustness.catalog import DATASETS, MODELS
from robustness.inits import initialize
from robustness.optimizers import INSGD, build_optimizer
from robustness.optimizers.schedules import factor
from robustness.tasks import build_model
from robustness.tasks.models.layers import Dropout
from robustness.training.batches import Batch, Batches, InMemory
from robustness.training.checkpoint import Keeper, Saved, copy_model, model_state
from robustness.training.precision import exact_convolutions, gradient_scaler, passes_in
from robustness.training.records import Log
from robustness.training.streamed import Streamed
from robustness.trial import EpochRecord, Trial, TrialRecord

__all__ = ["train", "train_by_epochs"]

LOOK = 50
"""Steps between two looks at whether a trial is still alive."""

Model = Callable[[Tensor], Tensor]
Cast = Callable[[], AbstractContextManager[object]]
"""Opens the context of one forward pass."""


def train(
    trial: Trial,
    *,
    root: Path,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> TrialRecord:
    """Train one trial to the end of its budget, or until it is not finite.

    Args:
        trial: what to train.
        root: the folder with the data sets.
        device: where to train.
        dtype: of parameters and inputs.
        on_epoch: called with each epoch's row as it ends.

    Raises:
        DataMissing: the data set's files are not under `root`.
        SpecError: the device does not have the task's precision, or the optimizer does not run on its model.
    """
    epochs = train_by_epochs(trial, root=root, device=device, dtype=dtype, on_epoch=on_epoch)
    [record] = [record for ended in epochs for record in ended]
    return record


def train_by_epochs(
    trial: Trial,
    *,
    root: Path,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    keeper: Keeper | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> Iterator[list[TrialRecord]]:
    """`train`, epoch by epoch, as `train_pack` does it.

    Args:
        trial: see `train`, as for the others.
        root: of the data sets.
        device: where to train.
        dtype: of parameters and inputs.
        keeper: keeps the trial's checkpoints.
        on_epoch: called with the row of each epoch that is trained here.

    Yields:
        After each epoch an empty list, after the last the record. Before all of them an empty list where it goes on
        from a checkpoint.
    """
    run: _Run | None = None

    def resume(saved: Saved) -> None:
        nonlocal run
        run = None  # what is half restored is of no use
        found = _Run(trial, root, device, dtype, saved.state["log"])
        found.restore(saved)
        run = found

    if keeper is not None and keeper.go_on(device, dtype, resume):
        yield []
    run = run or _Run(trial, root, device, dtype)
    while not run.log.ended:
        run.epoch()
        if on_epoch is not None:
            on_epoch(run.log.rows[-1])
        if keeper is not None and not run.log.ended:
            keeper.offer(len(run.log.rows), device, dtype, run.state)
        yield [run.log.record()] if run.log.ended else []


class _Run:
    """A trial's training between epochs."""

    def __init__(
        self,
        trial: Trial,
        root: Path,
        device: str,
        dtype: torch.dtype,
        log: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin; with the record so far where it is to be restored."""
        task = trial.cell.task
        scaler = gradient_scaler(task.precision, device)
        streamed = DATASETS.get(task.data.name).streamed
        exact_convolutions()
        self._trial, self._device = trial, device
        self._batches: Batches = (Streamed if streamed else InMemory)(trial, root, device, dtype)
        model = build_model(task)
        initialize(model, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
        model = model.to(device, dtype)
        if MODELS.get(task.model.name).has_convolutions:
            model = model.to(memory_format=torch.channels_last)  # 1.4 to 1.7 times faster on CPUs
        self._model = model
        self._optimizer = build_optimizer(trial.cell.optimizer, model, trial.cell.lr)
        steps = self._batches.train_size // task.batch_size
        self._recipe = _Recipe(trial, self._optimizer, model, steps, scaler)
        self._start = [p.detach().clone() for p in model.parameters()]
        self._cast: Cast = partial(passes_in, task.precision, device)
        if log is None:
            self.log = Log(trial, steps, _initial_loss(model, self._batches, self._cast), [])
        else:
            self.log = Log.of_state(trial, steps, log)
        # Measured with the plain model: evaluation batches have several sizes, each of which would be compiled.
        self._trained: Model = torch.compile(model) if task.compile else model

    def epoch(self) -> None:
        """Train one epoch, and log it."""
        began = time.perf_counter()
        epoch = len(self.log.rows) + 1
        self._recipe.mode(training=True)
        _seed_dropout(self._model, self._trial, epoch, self._device)
        self._model.train()
        losses = _epoch(self._batches.epoch(epoch), self._trained, self._recipe, self._cast)
        self._recipe.mode(training=False)
        after = {}
        if all(map(math.isfinite, losses)):
            after = _after(self._model, self._start, self._batches, self._optimizer, self._cast)
        self.log.add(losses, after, time.perf_counter() - began)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps. Weights at the start are drawn again, orders and masks are keyed by the epoch."""
        return {
            "log": self.log.state(),
            "model": model_state(self._model),
            "recipe": self._recipe.state(),
        }

    def restore(self, saved: Saved) -> None:
        """Go on from a checkpoint.

        Raises:
            Unusable: something did not take back what it gave.
        """
        self._recipe.mode(
            training=False
        )  # as it was when the epoch ended; before the weights, which it may change
        copy_model(self._model, saved.state["model"])
        self._recipe.restore(saved.state["recipe"])
        saved.require_same(self.state())


class _Recipe:
    """An optimizer with its schedule, warm-up and clipping, which are the trainer's part."""

    def __init__(
        self, trial: Trial, optimizer: Optimizer, model: nn.Module, steps_an_epoch: int, scaler: GradScaler
    ) -> None:
        arguments: dict[str, Any] = dict(trial.cell.optimizer.arguments)
        self._optimizer = optimizer
        self._scaler = scaler
        self._clip: float = arguments["clip_norm"]
        self._parameters = list(model.parameters())
        epochs = trial.cell.task.epochs
        self._scheduler = None
        if arguments["schedule"] != "constant" or arguments["warmup_epochs"]:
            self._scheduler = LambdaLR(
                optimizer, lambda step: factor(arguments, step, steps_an_epoch, epochs)
            )

    def step(self, loss: Tensor) -> None:
        """One optimizer step on this loss, which a scaler may skip; the schedule counts it nevertheless."""
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        if self._clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._scheduler is not None:
            self._scheduler.step()

    def state(self) -> dict[str, Any]:
        """Of optimizer, scaler and schedule."""
        schedule = None if self._scheduler is None else dict(self._scheduler.state_dict())
        if schedule is not None:
            del schedule["lr_lambdas"]  # functions, which the trial's arguments make again
        return {
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "schedule": schedule,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The reverse of `state`; the schedule's own start has changed the learning rate, so it comes first."""
        if self._scheduler is not None:
            lambdas = self._scheduler.state_dict()["lr_lambdas"]
            self._scheduler.load_state_dict({**state["schedule"], "lr_lambdas": lambdas})
        self._scaler.load_state_dict(state["scaler"])
        self._optimizer.load_state_dict(state["optimizer"])

    def mode(self, *, training: bool) -> None:
        """Schedule-free optimizers hold other weights while evaluating."""
        switch = getattr(self._optimizer, "train" if training else "eval", None)
        if switch is not None:
            switch()


def clamped_share(optimizer: Optimizer) -> float:
    """What INSGD's preset `released` clamped in the last step; NaN for every other optimizer."""
    return optimizer.clamped_share() if isinstance(optimizer, INSGD) else math.nan


def _seed_dropout(model: nn.Module, trial: Trial, epoch: int, device: str) -> None:
    """One generator for all of a model's dropout layers: they draw from it one after the other."""
    generator = seeds.dropout_generator(trial, epoch, device)
    for layer in model.modules():
        if isinstance(layer, Dropout):
            layer.generator = generator


def _epoch(batches: Iterable[Batch], model: Model, recipe: _Recipe, cast: Cast) -> list[float]:
    """One pass over the training set; the loss of each step, to the first that is not finite or a little beyond it."""
    losses: list[Tensor] = []
    for inputs, labels in batches:
        with cast():
            loss = F.cross_entropy(model(inputs), labels)
        recipe.step(loss)
        losses.append(loss.detach())
        # Seldom: an accelerator has to finish its work before a number can be read.
        if len(losses) % LOOK == 0 and not math.isfinite(losses[-1].item()):
            break
    found: list[float] = torch.stack(losses).tolist()
    return found


def _after(
    model: nn.Module, start: list[Tensor], batches: Batches, optimizer: Optimizer, cast: Cast
) -> dict[str, float]:
    """What an epoch's row says of its end."""
    validation_loss, validation_accuracy = _evaluate(model, batches.held_out("validation"), cast)
    test_loss, test_accuracy = _evaluate(model, batches.held_out("test"), cast)
    return {
        "validation_loss": validation_loss,
        "validation_accuracy": validation_accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
        "parameter_norm": _norm(list(model.parameters())),
        "distance": _norm([p - s for p, s in zip(model.parameters(), start, strict=True)]),
        "clamped_share": clamped_share(optimizer),
    }


@torch.no_grad()
def _norm(tensors: list[Tensor]) -> float:
    """l2 norm over all entries, in float64: a float32 square overflows at 1.8e19."""
    return math.sqrt(sum(t.double().square().sum().item() for t in tensors))


@torch.no_grad()
def _evaluate(model: nn.Module, batches: Iterable[Batch], cast: Cast) -> tuple[float, float]:
    """Mean loss and accuracy over a split, in evaluation mode."""
    model.eval()
    loss = correct = 0.0
    size = 0
    for inputs, labels in batches:
        with cast():
            logits = model(inputs)
            mean = F.cross_entropy(logits, labels)
        # Means, added in float64: a float32 sum overflows long before the mean does.
        loss += mean.item() * len(labels)
        correct += (logits.argmax(1) == labels).sum().item()
        size += len(labels)
    return loss / size, correct / size


@torch.no_grad()
def _initial_loss(model: nn.Module, batches: Batches, cast: Cast) -> float:
    """Mean training loss before the first step, over the first 10,000 examples where there are more.

    In training mode on a copy (batch norm normalizes as it will in training, running averages stay
    untouched), without dropout, in chunks of equal size.
    """
    model = copy.deepcopy(model).train()
    for layer in model.modules():
        if isinstance(layer, Dropout):
            layer.eval()
    total, size = 0.0, 0
    for inputs, labels in batches.start():
        with cast():
            loss = F.cross_entropy(model(inputs), labels)
        total += loss.item() * len(labels)
        size += len(labels)
    return total / size
