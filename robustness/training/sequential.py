"""One trial at a time, with the real torch.optim classes: the reference for every other engine.

What is recorded, and what counts as dying, is defined here; see `robustness.trial`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
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
from robustness.training.precision import gradient_scaler, passes_in
from robustness.training.records import Log
from robustness.training.streamed import Streamed
from robustness.trial import EpochRecord, Trial, TrialRecord

__all__ = ["train"]

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
    task = trial.cell.task
    scaler = gradient_scaler(task.precision, device)
    streamed = DATASETS.get(task.data.name).streamed
    batches: Batches = (Streamed if streamed else InMemory)(trial, root, device, dtype)
    model = build_model(task)
    initialize(model, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
    model = model.to(device, dtype)
    if MODELS.get(task.model.name).has_convolutions:
        model = model.to(memory_format=torch.channels_last)  # 1.4 to 1.7 times faster on CPUs
    optimizer = build_optimizer(trial.cell.optimizer, model, trial.cell.lr)
    steps = batches.train_size // task.batch_size
    recipe = _Recipe(trial, optimizer, model, steps, scaler)
    start = [p.detach().clone() for p in model.parameters()]
    cast = partial(passes_in, task.precision, device)
    log = Log(trial, steps, _initial_loss(model, batches, cast), [])
    # Measured with the plain model: evaluation batches have several sizes, each of which would be compiled.
    trained: Model = torch.compile(model) if task.compile else model
    while not log.ended:
        began = time.perf_counter()
        epoch = len(log.rows) + 1
        recipe.mode(training=True)
        _seed_dropout(model, trial, epoch, device)
        model.train()
        losses = _epoch(batches.epoch(epoch), trained, recipe, cast)
        recipe.mode(training=False)
        finite = math.isfinite(losses[-1])
        after = _after(model, start, batches, optimizer, cast) if finite else {}
        log.add(losses, after, time.perf_counter() - began)
        if on_epoch is not None:
            on_epoch(log.rows[-1])
    return log.record()


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
    """One pass over the training set; the loss of each step, up to the first that is not finite."""
    losses: list[float] = []
    for inputs, labels in batches:
        with cast():
            loss = F.cross_entropy(model(inputs), labels)
        recipe.step(loss)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
    return losses


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
