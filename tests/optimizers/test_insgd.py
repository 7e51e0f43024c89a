"""INSGD against its definition, and how it behaves in a training script."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustness import INSGD
from tests.optimizers.loop_reference import LoopINSGD

STEPS = 20


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


NETS: dict[str, Any] = {
    "linear": lambda: (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), (4, 6)),
    "linear on sequences": lambda: (nn.Sequential(nn.Linear(6, 3), nn.Flatten(), nn.Linear(9, 3)), (4, 3, 6)),
    "conv": lambda: (
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)),
        (4, 2, 4, 4),
    ),
    "grouped conv": lambda: (
        nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)),
        (4, 4, 4, 4),
    ),
    "depthwise conv": lambda: (
        nn.Sequential(nn.Conv2d(3, 6, 3, groups=3, stride=2), nn.Flatten(), nn.Linear(6, 3)),
        (4, 3, 4, 4),
    ),
}
OPTIONS = [
    {},
    {"momentum": 0.9, "weight_decay": 5e-2},
    {"momentum": 0.5, "dampening": 0.3, "beta": 0.5},
    {"power_init": "zero", "eps": 0.2},
]


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", NETS)
def test_it_agrees_with_the_definition_written_as_loops(
    name: str, options: dict[str, Any], norm: str
) -> None:
    net, shape = NETS[name]()
    net = net.double()
    twin = copy.deepcopy(net)
    optimizer = INSGD(net, lr=0.1, norm=norm, **{"momentum": 0.0, **options})
    reference = LoopINSGD(lr=0.1, norm=norm, **options)
    for step in range(STEPS):
        x, labels = numbers(*shape, seed=step), torch.arange(4) % 3
        optimizer.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()
        inputs = [x]
        for layer in twin:
            inputs.append(layer(inputs[-1]))
        twin.zero_grad()
        F.cross_entropy(inputs[-1], labels).backward()
        for i, layer in enumerate(twin):
            for kind, parameter in layer.named_parameters():
                own = (layer, inputs[i].detach()) if kind == "weight" else (None, None)
                reference.step(f"{i}.{kind}", parameter, *own)
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_a_parameter_without_a_layer_input_takes_the_step_of_sgd() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    before = [p.detach().clone() for p in net[1].parameters()]
    net(torch.randn(3, 4)).square().sum().backward()
    INSGD(net, lr=0.1, momentum=0.0).step()
    for parameter, old in zip(net[1].parameters(), before, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.detach(), old - 0.1 * parameter.grad)


def test_evaluating_between_steps_does_not_touch_the_power() -> None:
    torch.manual_seed(0)
    net = nn.Linear(4, 2)
    twin = copy.deepcopy(net)
    optimizers = [INSGD(net), INSGD(twin)]
    for step in range(3):
        x = numbers(5, 4, seed=step).float()
        for model, optimizer in zip((net, twin), optimizers, strict=True):
            model.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
        with torch.no_grad():
            twin(100 * x)
    assert torch.equal(net.weight, twin.weight)


def test_accumulated_gradients_average_their_powers() -> None:
    net = nn.Linear(4, 2)
    optimizer = INSGD(net)
    batches = [numbers(5, 4, seed=s).float() for s in (1, 2)]
    for x in batches:
        net(x).square().sum().backward()
    optimizer.step()
    expected = torch.stack([x.square().sum(1).mean() for x in batches]).mean()
    torch.testing.assert_close(optimizer.state[net.weight]["power"], expected)


def test_after_close_the_model_has_no_hooks() -> None:
    net = NETS["conv"]()[0]
    optimizer = INSGD(net)
    assert any(layer._forward_pre_hooks for layer in net)
    optimizer.close()
    assert not any(layer._forward_pre_hooks for layer in net)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lr": -0.1}, "lr must be >= 0, got -0.1"),
        ({"lr": math.nan}, "lr must be >= 0, got nan"),
        ({"momentum": 1.0}, "momentum must be >= 0 and < 1, got 1.0"),
        ({"beta": -0.1}, "beta must be >= 0 and < 1, got -0.1"),
        ({"dampening": 2.0}, "dampening must be >= 0 and <= 1, got 2.0"),
        ({"eps": 0.0}, "eps must be > 0, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0, got -1.0"),
        ({"norm": "l3"}, "norm must be one of l1, l2, got 'l3'"),
        ({"power_init": "one"}, "power_init must be one of first, zero, got 'one'"),
    ],
)
def test_a_bad_argument_is_refused_with_name_value_and_rule(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        INSGD(nn.Linear(2, 2), **arguments)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_leaves_a_state_and_no_exception(value: float) -> None:
    net = nn.Linear(2, 2)
    optimizer = INSGD(net)
    for x in (torch.full((3, 2), value), torch.ones(3, 2)):
        optimizer.zero_grad()
        net(x).sum().backward()
        optimizer.step()
    assert not torch.isfinite(net.weight).all()


def test_a_closure_is_called_with_gradients_and_its_loss_returned() -> None:
    net = nn.Linear(2, 1)
    optimizer = INSGD(net)

    def closure() -> float:
        optimizer.zero_grad()
        loss = net(torch.ones(3, 2)).square().sum()
        loss.backward()
        return loss.item()

    losses = list(itertools.islice(iter(lambda: optimizer.step(closure), None), 30))
    assert losses[-1] < losses[0]
