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

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own convention
from torch.optim import Optimizer

from robustness import seeds
from robustness.catalog import MODELS
from robustness.inits import initialize
from robustness.optimizers import build_optimizer
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
    dataset = load(task.data, root, device, dtype)
    model = build_model(task)
    initialize(model, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
    model = model.to(device, dtype)
    if MODELS.get(task.model.name).has_convolutions:
        model = model.to(memory_format=torch.channels_last)  # 1.4 to 1.7 times faster on CPUs
    optimizer = build_optimizer(trial.cell.optimizer, model, trial.cell.lr)
    start = [p.detach().clone() for p in model.parameters()]
    l0 = _initial_loss(model, dataset.train)

    rows: list[EpochRecord] = []
    first_nonfinite = None
    steps = len(dataset.train) // task.batch_size
    for epoch in range(1, task.epochs + 1):
        began = time.perf_counter()
        losses = _epoch(trial, epoch, model, optimizer, dataset.train)
        row, bad_step = _measure(epoch, losses, steps, model, start, dataset, began)
        rows.append(row)
        if on_epoch is not None:
            on_epoch(row)
        if bad_step is not None:
            first_nonfinite = (epoch - 1) * steps + bad_step
            break
    return TrialRecord(key=trial.key, l0=l0, first_nonfinite_step=first_nonfinite, epochs=tuple(rows))


def _epoch(trial: Trial, epoch: int, model: nn.Module, optimizer: Optimizer, train: Split) -> list[float]:
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
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
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
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
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
        total += F.cross_entropy(model(_laid_out(inputs)), labels, reduction="sum").item()
    return total / size


def _laid_out(inputs: Tensor) -> Tensor:
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
