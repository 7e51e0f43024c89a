"""Packs, one trial at a time, and a loop in nothing but PyTorch: the same trials die, by the same rule.

The loop is the reference of the others: it shares the draws of weights and orders with them, and no line of training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from robustness import seeds
from robustness.inits import initialize
from robustness.spec import expand, parse
from robustness.spec.reading import read_file
from robustness.summary.outcome import Thresholds, outcomes
from robustness.summary.tasks import TaskConstants
from robustness.tasks import build_model, load
from robustness.training import train
from robustness.trial import Trial, TrialRecord
from tests.training.test_packed import NOWHERE, packed

SPEC = Path(__file__).parent.parent / "data" / "layer-norm-overflow.toml"
DIGITS = TaskConstants(chance=0.1, constant_loss=math.log(10), reference=0.97, test_size=360)


class End(NamedTuple):
    """How a trial ended; `step` is the first that was not finite."""

    nonfinite: bool
    step: int | None
    train_loss: float
    test_accuracy: float


def as_stored(batch_B: Tensor) -> Tensor:  # noqa: N803
    return batch_B


def reversed_order(batch_B: Tensor) -> Tensor:  # noqa: N803
    return batch_B.flip(0)


def rotated(batch_B: Tensor) -> Tensor:  # noqa: N803
    return batch_B.roll(7)


def trained_by_pytorch(trial: Trial, ordered: Callable[[Tensor], Tensor] = as_stored) -> End:
    """Train with torch.optim and autograd; `ordered` changes the order of the examples within each batch."""
    task = trial.cell.task
    data = load(task.data, NOWHERE, "cpu", torch.float32, task.input_scale)
    model = build_model(task)
    initialize(model, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.cell.lr)
    size = len(data.train)
    steps = size // task.batch_size
    for epoch in range(task.epochs):
        model.train()
        losses: list[float] = []
        permutation = torch.randperm(size, generator=seeds.order_generator(trial, epoch + 1))
        for batch_B in permutation[: steps * task.batch_size].split(task.batch_size):  # noqa: N806
            index = ordered(batch_B)
            loss = nn.functional.cross_entropy(model(data.train.inputs[index]), data.train.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                return End(True, epoch * steps + len(losses), losses[-1], math.nan)
        model.eval()
        with torch.no_grad():
            logits, held_out = (model(part.inputs) for part in (data.test, data.validation))
            figures = [
                nn.functional.cross_entropy(logits, data.test.labels),
                nn.functional.cross_entropy(held_out, data.validation.labels),
                *(parameter.sum() for parameter in model.parameters()),
            ]
            accuracy = (logits.argmax(1) == data.test.labels).double().mean().item()
        if not all(figure.isfinite() for figure in figures):
            return End(True, (epoch + 1) * steps, losses[-1], math.nan)
    return End(False, None, sum(losses) / len(losses), accuracy)


def end_of(record: TrialRecord) -> End:
    last = record.epochs[-1]
    return End(record.nonfinite, record.first_nonfinite_step, last.train_loss, last.test_accuracy)


def outcomes_of(ends: list[End], l0: list[float]) -> list[str]:
    found: list[str] = outcomes(
        nonfinite_T=np.array([end.nonfinite for end in ends]),
        stopped_T=np.zeros(len(ends)),
        score_T=np.array([end.test_accuracy for end in ends]),
        train_loss_T=np.array([end.train_loss for end in ends]),
        l0_T=np.array(l0),
        constants=DIGITS,
        thresholds=Thresholds(),
    ).tolist()
    return found


def judged(ends: list[End], l0: list[float]) -> list[tuple[str, int | None]]:
    return list(zip(outcomes_of(ends, l0), [end.step for end in ends], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_packs_single_trials_and_a_loop_in_pytorch_end_alike_where_numbers_overflow(norm: str) -> None:
    """Batch norm at these learning rates is chaotic: PyTorch ends otherwise when it sums a batch in another order.

    There packs may differ from PyTorch as often as PyTorch differs from itself, and single trials, whose
    arithmetic is PyTorch's own, not at all.
    """
    study = expand(parse(read_file(SPEC)))
    trials = [trial for trial, _ in study.trials() if trial.cell.task.norm == norm]
    assert len(trials) == 48
    packs, alone = packed(trials), [train(trial, root=NOWHERE) for trial in trials]
    l0 = [record.l0 for record in alone]
    by_pytorch = judged([trained_by_pytorch(trial) for trial in trials], l0)
    in_packs = judged([end_of(packs[trial.key]) for trial in trials], l0)
    assert judged([end_of(record) for record in alone], l0) == by_pytorch
    if norm != "batch":
        assert in_packs == by_pytorch
        return
    reordered = [
        judged([trained_by_pytorch(trial, ordered) for trial in trials], l0)
        for ordered in (reversed_order, rotated)
    ]
    by_packs = sum(one != other for one, other in zip(by_pytorch, in_packs, strict=True))
    by_order = sum(one != other for ends in reordered for one, other in zip(by_pytorch, ends, strict=True))
    table = [[by_packs, 48 - by_packs], [by_order, 96 - by_order]]
    assert stats.fisher_exact(table, alternative="greater").pvalue > 0.001
