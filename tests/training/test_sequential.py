"""Training one trial: the record, its pairing, and how a trial dies."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from robustness import seeds
from robustness.catalog import DATASETS, OPTIMIZERS
from robustness.inits import initialize
from robustness.tasks import build_model, load
from robustness.training import train
from robustness.trial import Trial, TrialRecord
from tests.builders import trials


def trained(trial: Trial, **options: Any) -> TrialRecord:
    """A record without its wall times."""
    record = train(trial, root=Path("/nowhere"), **options)
    return dataclasses.replace(
        record, epochs=tuple(dataclasses.replace(row, seconds=0.0) for row in record.epochs)
    )


def first(**changes: Any) -> Trial:
    return trials(**{"search": {"lr": 0.1, "seeds": 1}, **changes})[0]


def test_a_trial_equals_a_plain_training_loop() -> None:
    trial = first(optimizers=[{"name": "sgd", "momentum": 0.9}], task={"epochs": 2})
    record = trained(trial, dtype=torch.float64)
    data = load(trial.cell.task.data, Path("/nowhere"), "cpu", torch.float64)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    initialize(
        net,
        trial.cell.init,
        lambda n: seeds.weight_generator(trial, n.replace("3.", "head.").replace("1.", "body.1.")),
    )
    net = net.double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with torch.no_grad():
        assert record.l0 == pytest.approx(
            F.cross_entropy(net(data.train.inputs), data.train.labels).item(), abs=1e-12
        )
    for epoch in (1, 2):
        order = torch.randperm(1257, generator=seeds.order_generator(trial, epoch))
        losses = []
        for step in range(1257 // 64):
            index = order[step * 64 : (step + 1) * 64]
            loss = F.cross_entropy(net(data.train.inputs[index]), data.train.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        row = record.epochs[epoch - 1]
        assert row.train_loss == pytest.approx(sum(losses) / 19, abs=1e-12)
        assert row.train_loss_max == pytest.approx(max(losses), abs=1e-12)
    with torch.no_grad():
        logits = net(data.test.inputs)
    assert row.test_loss == pytest.approx(F.cross_entropy(logits, data.test.labels).item(), abs=1e-12)
    assert row.test_accuracy == (logits.argmax(1) == data.test.labels).double().mean().item()
    assert row.parameter_norm == pytest.approx(
        math.sqrt(sum(p.square().sum().item() for p in net.parameters()))
    )


@pytest.mark.parametrize(
    "changes", [{}, {"task": {"model": "toy-cnn", "norm": "batch", "augment": "pad-crop-flip", "epochs": 1}}]
)
def test_the_same_trial_gives_the_same_record_to_the_bit(changes: dict[str, Any]) -> None:
    torch.manual_seed(1)
    before = trained(first(**changes))
    torch.manual_seed(2)
    assert trained(first(**changes)) == before


def test_all_optimizers_start_from_the_same_weights() -> None:
    found = trials(
        optimizers=[{"name": name} for name in OPTIMIZERS.names],
        search={"lr": [1e-3, 1.0], "seeds": 1},
        task={"epochs": 1},
    )
    assert len({trained(trial).l0 for trial in found}) == 1


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_every_optimizer_learns_the_digits_at_some_learning_rate(name: str) -> None:
    lrs = dict.fromkeys(
        ("insgd", "sgd", "sgd-layerwise", "sgd-frozen", "sgd-scaled", "normalized-gradient"), 0.3
    )
    lrs |= {"adadelta": 10.0, "adagrad": 0.1, "adafactor": 0.1, "lars": 3.0, "nlms": 1.0}
    record = trained(
        first(optimizers=[{"name": name}], search={"lr": lrs.get(name, 0.01), "seeds": 1}, task={"epochs": 4})
    )
    assert record.epochs[-1].test_accuracy > 0.75


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "group"])
@pytest.mark.parametrize("model", ["mlp", "toy-cnn", "resnet20"])
def test_every_small_model_trains_with_every_norm(model: str, norm: str) -> None:
    record = trained(
        first(
            task={"model": model, "norm": norm, "epochs": 3},
            optimizers=[{"name": "adam"}],
            search={"lr": 0.01, "seeds": 1},
        )
    )
    assert record.epochs[-1].train_loss < 0.6 * record.l0
    assert record.first_nonfinite_step is None


def test_a_loss_that_is_not_finite_ends_the_trial_with_a_last_row() -> None:
    record = trained(first(search={"lr": 1e30, "seeds": 1}, task={"epochs": 5, "depth": 2}))
    assert record.first_nonfinite_step == 2
    [row] = record.epochs
    assert not math.isfinite(row.train_loss)
    assert not math.isfinite(row.train_loss_max)
    assert all(
        math.isnan(v)
        for v in (row.test_loss, row.test_accuracy, row.validation_loss, row.parameter_norm, row.distance)
    )


def test_parameters_that_are_not_finite_at_the_end_of_an_epoch_are_noticed() -> None:
    """One step an epoch: its loss is finite, and only the weights after it are not."""
    record = trained(first(search={"lr": 1e38, "seeds": 1}, task={"batch_size": 1257, "epochs": 3}))
    assert record.first_nonfinite_step == 1
    [row] = record.epochs
    assert math.isfinite(row.train_loss)
    assert math.isnan(row.test_accuracy)


def test_a_trial_that_blows_up_but_stays_finite_is_trained_to_the_end() -> None:
    record = trained(
        first(
            search={"lr": 10.0, "seeds": 1}, optimizers=[{"name": "sgd", "momentum": 0.9}], task={"epochs": 4}
        )
    )
    assert len(record.epochs) == 4
    assert record.first_nonfinite_step is None
    assert record.epochs[-1].test_accuracy < 0.2


def test_a_large_parameter_norm_is_not_taken_for_an_infinite_one() -> None:
    """Squares beyond float32's range: the norm is taken in float64."""
    record = trained(first(search={"lr": 1e22, "seeds": 1}, task={"depth": 0, "epochs": 1}))
    assert record.first_nonfinite_step is None
    assert record.epochs[-1].parameter_norm > 1e20


def test_the_initial_loss_leaves_the_model_alone() -> None:
    """Batch norm's running averages start as if the initial loss had not been measured."""
    trial = first(task={"norm": "batch", "epochs": 1})
    facts = DATASETS.get("digits").facts({})
    record = trained(trial)
    assert record.l0 == pytest.approx(math.log(facts.classes), rel=0.2)
    assert build_model(trial.cell.task).training


def test_epochs_are_reported_as_they_end() -> None:
    seen: list[int] = []
    train(first(task={"epochs": 3}), root=Path("/nowhere"), on_epoch=lambda row: seen.append(row.epoch))
    assert seen == [1, 2, 3]
