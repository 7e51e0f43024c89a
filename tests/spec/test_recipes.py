"""The recipes of the INSGD papers can be said in a study."""

from __future__ import annotations

from typing import Any

import pytest

from robustness.optimizers.schedules import factor
from robustness.spec import expand, parse
from robustness.trial import Cell

OPTIMIZERS = [
    {"name": "insgd", "norm": ["l1", "l2"], "momentum": 0.9, "weight_decay": 5e-4},
    {"name": "sgd", "momentum": 0.9, "weight_decay": 5e-4},
]


def cells(task: dict[str, Any], schedule: dict[str, Any], lr: float) -> list[Cell]:
    plain = {
        "name": "recipe",
        "tasks": [task],
        "optimizers": [{**optimizer, "schedule": "step", **schedule} for optimizer in OPTIMIZERS],
        "search": {"lr": lr, "seeds": 1},
    }
    return [trial.cell for trial, _ in expand(parse(plain)).trials()]


def lr_in_epoch(cell: Cell, epoch: int, steps: int) -> float:
    """The learning rate of an epoch's first step; the same as that of its last."""
    arguments: dict[str, Any] = dict(cell.optimizer.arguments)
    rates = [
        cell.lr * factor(arguments, step, steps, cell.task.epochs)
        for step in ((epoch - 1) * steps, epoch * steps - 1)
    ]
    assert rates[0] == rates[1]
    return rates[0]


@pytest.mark.parametrize(
    "task",
    [
        {"data": "cifar10", "model": "resnet20"},
        {"data": "cifar10", "model": "toy-cnn"},
        {"data": "cifar10", "model": "mobilenet-v3"},
        {"data": "cifar10", "model": "resnet18"},
        {"data": "cifar100", "model": "wide-resnet20"},
        {"data": "cifar100", "model": "wide-resnet18", "precision": "bf16", "compile": True},
    ],
    ids=lambda task: f"{task['data']}-{task['model']}",
)
def test_two_hundred_epochs_on_cifar_with_a_fifth_at_three_milestones(task: dict[str, Any]) -> None:
    budget = {"norm": "batch", "epochs": 200, "batch_size": 128, "augment": "pad-crop-flip"}
    found = cells({**task, **budget}, {"milestones": [80, 120, 160], "decay_factor": 0.2}, 0.1)
    assert len(found) == 3
    for cell in found:
        rates = [lr_in_epoch(cell, epoch, 351) for epoch in (1, 80, 81, 120, 121, 160, 161, 200)]
        assert rates == pytest.approx([0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008])


def test_ninety_epochs_on_imagenet_with_a_tenth_every_thirty() -> None:
    task = {"data": "imagenet", "model": "resnet50", "norm": "batch", "epochs": 90, "batch_size": 256}
    found = cells({**task, "augment": "random-resized-crop"}, {"milestones": [30, 60]}, 0.1)
    for cell in found:
        rates = [lr_in_epoch(cell, epoch, 4_809) for epoch in (1, 30, 31, 60, 61, 90)]
        assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
