"""One trial at a time, with the real torch.optim classes: the reference for every other engine.

What is recorded, and what counts as dying, is defined here; see `robustness.trial`.
"""

# B batch, N examples

from __future__ import annotations

import copy
import dataclasses
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
from robustness.tasks import Dataset, Split, augment, build_model, load
from robustness.tasks.models.layers import Dropout
from robustness.trial import EpochRecord, Trial, TrialRecord

__all__ = ["train"]

EVALUATION_BATCH = 1_000
L0_EXAMPLES = 10_000


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
    recipe = _Recipe(trial, optimizer, model, len(dataset.train) // task.batch_size)
    start = [p.detach().clone() for p in model.parameters()]
    l0 = _initial_loss(model, dataset.train)

    rows: list[EpochRecord] = []
    first_nonfinite = None
    steps = len(dataset.train) // task.batch_size
    for epoch in range(1, task.epochs + 1):
        began = time.perf_counter()
        recipe.mode(training=True)
        losses = _epoch(trial, epoch, model, recipe, dataset.train)
        recipe.mode(training=False)
        row, bad_step = _measure(epoch, losses, steps, model, start, dataset, began)
        row = dataclasses.replace(row, clamped_share=clamped_share(optimizer))
        rows.append(row)
        if on_epoch is not None:
            on_epoch(row)
        if bad_step is not None:
            first_nonfinite = (epoch - 1) * steps + bad_step
            break
    return TrialRecord(key=trial.key, l0=l0, first_nonfinite_step=first_nonfinite, epochs=tuple(rows))


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


def scaled(dataset: Dataset, scale: float) -> Dataset:
    """The data set with all inputs times `scale`; itself where that is 1."""
    if scale == 1:
        return dataset
    return Dataset(
        *(Split(s.inputs * scale, s.labels) for s in (dataset.train, dataset.validation, dataset.test))
    )


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


def _measure(
    epoch: int,
    losses: list[float],
    steps: int,
    model: nn.Module,
    start: list[Tensor],
    dataset: Dataset,
    began: float,
) -> tuple[EpochRecord, int | None]:
    """The epoch's row, and the step in it (from 1) at which the trial died, if it did.

    Parameters and held-out losses are looked at when the epoch ends: where only they are not finite,
    the epoch's last step is the one.
    """
    nan = math.nan
    norm = distance = validation_loss = validation_accuracy = test_loss = test_accuracy = nan
    bad_step = None if math.isfinite(losses[-1]) else len(losses)
    if bad_step is None:
        norm = _norm(list(model.parameters()))
        distance = _norm([p - s for p, s in zip(model.parameters(), start, strict=True)])
        validation_loss, validation_accuracy = _evaluate(model, dataset.validation)
        test_loss, test_accuracy = _evaluate(model, dataset.test)
        if not all(map(math.isfinite, (norm, validation_loss, test_loss))):
            bad_step = steps
            norm = distance = validation_loss = validation_accuracy = test_loss = test_accuracy = nan
    row = EpochRecord(
        epoch=epoch,
        # A float64 sum: steps near the float32 limit must not overflow in the mean.
        train_loss=math.fsum(losses) / len(losses)
        if bad_step is None or math.isfinite(losses[-1])
        else losses[-1],
        train_loss_max=max(losses) if math.isfinite(losses[-1]) else losses[-1],
        validation_loss=validation_loss,
        validation_accuracy=validation_accuracy,
        test_loss=test_loss,
        test_accuracy=test_accuracy,
        parameter_norm=norm,
        distance=distance,
        clamped_share=nan,
        seconds=time.perf_counter() - began,
    )
    return row, bad_step


@torch.no_grad()
def _norm(tensors: list[Tensor]) -> float:
    """l2 norm over all entries, in float64: a float32 square overflows at 1.8e19."""
    return math.sqrt(sum(t.double().square().sum().item() for t in tensors))


@torch.no_grad()
def _evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Mean loss and accuracy over a split, in evaluation mode."""
    model.eval()
    loss = correct = 0.0
    for inputs, labels in zip(
        split.inputs.split(EVALUATION_BATCH), split.labels.split(EVALUATION_BATCH), strict=True
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
