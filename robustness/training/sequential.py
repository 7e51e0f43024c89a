"""One trial at a time, with the real torch.optim classes: the reference for every other engine.

What is recorded, and what counts as dying, is defined here; see `robustness.trial`.
"""

# B batch, N examples

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own convention
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from robustness import seeds
from robustness.catalog import MODELS
from robustness.inits import initialize
from robustness.optimizers import INSGD, build_optimizer
from robustness.optimizers.schedules import factor
from robustness.tasks import Dataset, Split, augment, build_model, load, scaled
from robustness.tasks.models.layers import Dropout
from robustness.training.records import EVALUATION_BATCH, L0_EXAMPLES, Log
from robustness.trial import EpochRecord, Trial, TrialRecord

__all__ = ["train"]


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
    """
    task = trial.cell.task
    dataset = scaled(load(task.data, root, device, dtype), task.input_scale)
    model = build_model(task)
    initialize(model, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
    model = model.to(device, dtype)
    if MODELS.get(task.model.name).has_convolutions:
        model = model.to(memory_format=torch.channels_last)  # 1.4 to 1.7 times faster on CPUs
    optimizer = build_optimizer(trial.cell.optimizer, model, trial.cell.lr)
    steps = len(dataset.train) // task.batch_size
    recipe = _Recipe(trial, optimizer, model, steps)
    start = [p.detach().clone() for p in model.parameters()]
    log = Log(trial, steps, _initial_loss(model, dataset.train), [])
    while not log.ended:
        began = time.perf_counter()
        recipe.mode(training=True)
        losses = _epoch(trial, len(log.rows) + 1, model, recipe, dataset.train)
        recipe.mode(training=False)
        finite = math.isfinite(losses[-1])
        after = _after(model, start, dataset, optimizer) if finite else {}
        log.add(losses, after, time.perf_counter() - began)
        if on_epoch is not None:
            on_epoch(log.rows[-1])
    return log.record()


class _Recipe:
    """An optimizer with its schedule, warm-up and clipping, which are the trainer's part."""

    def __init__(self, trial: Trial, optimizer: Optimizer, model: nn.Module, steps_an_epoch: int) -> None:
        arguments: dict[str, Any] = dict(trial.cell.optimizer.arguments)
        self._optimizer = optimizer
        self._clip: float = arguments["clip_norm"]
        self._parameters = list(model.parameters())
        epochs = trial.cell.task.epochs
        self._scheduler = None
        if arguments["schedule"] != "constant" or arguments["warmup_epochs"]:
            self._scheduler = LambdaLR(
                optimizer, lambda step: factor(arguments, step, steps_an_epoch, epochs)
            )

    def step(self, loss: Tensor) -> None:
        """One optimizer step on this loss."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._clip:
            nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._optimizer.step()
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


def _epoch(trial: Trial, epoch: int, model: nn.Module, recipe: _Recipe, train: Split) -> list[float]:
    """One pass over the training set; the loss of each step, up to the first that is not finite."""
    task = trial.cell.task
    device = train.inputs.device
    order_N = torch.randperm(len(train), generator=seeds.order_generator(trial, epoch)).to(device)
    images = seeds.augment_generator(trial, epoch, device) if task.augment != "none" else None
    for layer in model.modules():
        if isinstance(layer, Dropout):
            layer.generator = seeds.dropout_generator(trial, epoch, device)
    model.train()
    losses: list[float] = []
    for index_B in order_N.split(task.batch_size):
        if len(index_B) < task.batch_size:
            break  # the last, smaller batch is dropped
        inputs = train.inputs[index_B]
        if images is not None:
            inputs = augment(inputs, task.augment, images)
        loss = F.cross_entropy(model(_laid_out(inputs)), train.labels[index_B])
        recipe.step(loss)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
    return losses


def _after(model: nn.Module, start: list[Tensor], dataset: Dataset, optimizer: Optimizer) -> dict[str, float]:
    """What an epoch's row says of its end."""
    validation_loss, validation_accuracy = _evaluate(model, dataset.validation)
    test_loss, test_accuracy = _evaluate(model, dataset.test)
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
def _evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Mean loss and accuracy over a split, in evaluation mode."""
    model.eval()
    loss = correct = 0.0
    chunks = math.ceil(len(split) / EVALUATION_BATCH)
    for inputs, labels in zip(
        split.inputs.tensor_split(chunks), split.labels.tensor_split(chunks), strict=True
    ):
        logits = model(_laid_out(inputs))
        # Means, added in float64: a float32 sum overflows long before the mean does.
        loss += F.cross_entropy(logits, labels).item() * len(labels)
        correct += (logits.argmax(1) == labels).sum().item()
    return loss / len(split), correct / len(split)


@torch.no_grad()
def _initial_loss(model: nn.Module, train: Split) -> float:
    """Mean training loss before the first step, over the first 10,000 examples where there are more.

    In training mode on a copy (batch norm normalizes as it will in training, running averages stay
    untouched), without dropout, in chunks of equal size.
    """
    model = copy.deepcopy(model).train()
    for layer in model.modules():
        if isinstance(layer, Dropout):
            layer.eval()
    size = min(len(train), L0_EXAMPLES)
    chunks = math.ceil(size / EVALUATION_BATCH)
    total = 0.0
    for inputs, labels in zip(
        train.inputs[:size].tensor_split(chunks), train.labels[:size].tensor_split(chunks), strict=True
    ):
        total += F.cross_entropy(model(_laid_out(inputs)), labels).item() * len(labels)
    return total / size


def _laid_out(inputs: Tensor) -> Tensor:
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
