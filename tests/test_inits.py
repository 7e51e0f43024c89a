"""Initializations: their spread, where they act, and what they leave alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robustness.catalog import INITS
from robustness.inits import initialize
from robustness.tasks.models.resnet import ResNet20
from robustness.trial import Named

FAN_IN, FAN_OUT = 400, 300


def filled(name: str, model: nn.Module | None = None, **arguments: Any) -> nn.Module:
    model = model or nn.Sequential(
        nn.Linear(FAN_IN, FAN_OUT), nn.BatchNorm1d(FAN_OUT), nn.Linear(FAN_OUT, 10)
    )
    named = INITS.get(name).fill(arguments)
    initialize(model, named, lambda p: torch.Generator().manual_seed(len(p) + ord(p[0])))
    return model


def weight(name: str, **arguments: Any) -> Tensor:
    layer = filled(name, **arguments)[0]  # type: ignore[index]
    found: Tensor = layer.weight.detach()
    return found


STDS = {
    "default": 1 / math.sqrt(3 * FAN_IN),
    "kaiming-normal": math.sqrt(2 / FAN_IN),
    "kaiming-uniform": math.sqrt(2 / FAN_IN),
    "xavier-normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "xavier-uniform": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "lecun-normal": math.sqrt(1 / FAN_IN),
    "orthogonal": 1 / math.sqrt(FAN_IN),
    "normal": 0.01,
    "uniform": 0.05 / math.sqrt(3),
    "sparse": 0.01 * math.sqrt(0.1),
}


@pytest.mark.parametrize("name", STDS)
def test_an_initialization_has_the_spread_of_its_definition(name: str) -> None:
    assert weight(name).std().item() == pytest.approx(STDS[name], rel=0.03)
    assert abs(weight(name).mean().item()) < 0.02 * STDS[name] + 1e-3


@pytest.mark.parametrize("name", STDS)
def test_scale_multiplies_every_weight(name: str) -> None:
    torch.testing.assert_close(weight(name, scale=8.0), 8 * weight(name))


@pytest.mark.parametrize("name", [name for name in STDS if name != "default"])
def test_biases_are_zero_and_norm_layers_untouched(name: str) -> None:
    layers: list[Any] = list(filled(name).children())
    linear, norm, head = layers
    assert not linear.bias.any()
    assert not head.bias.any()
    assert head.weight.any()
    assert (norm.weight == 1).all()
    assert not norm.bias.any()


def test_the_default_is_pytorchs_own_with_its_biases() -> None:
    linear = filled("default")[0]  # type: ignore[index]
    bound = 1 / math.sqrt(FAN_IN)
    for values in (linear.weight, linear.bias):
        assert 0.98 * bound < values.abs().max().item() <= bound


def test_orthogonal_rows_are_orthogonal() -> None:
    rows = weight("orthogonal")
    torch.testing.assert_close(rows @ rows.T, torch.eye(FAN_OUT), rtol=0, atol=1e-4)


def test_sparse_zeroes_its_share_of_each_column() -> None:
    zeros = (weight("sparse", sparsity=0.75) == 0).float().mean(0)
    torch.testing.assert_close(zeros, torch.full((FAN_IN,), 0.75))


class Residual(nn.Module):
    """A block whose branch ends in a normalization layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)

    def residual_ends(self) -> list[nn.Module]:
        return [self.norm]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.norm(self.conv(x))
        return y


def test_zero_residual_makes_every_block_the_identity() -> None:
    block = filled("zero-residual", Residual())
    x = torch.randn(4, 2, 5, 5)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_zero_residual_silences_every_branch_of_resnet20(norm: str) -> None:
    net = ResNet20(shape=(3, 8, 8), classes=10, norm=norm)
    filled("zero-residual", net)
    x = torch.randn(2, 16, 8, 8).relu()
    torch.testing.assert_close(net.blocks[:3](x), x)


def test_the_values_do_not_depend_on_the_memory_format() -> None:
    plain = filled("orthogonal", nn.Sequential(nn.Conv2d(3, 8, 3)))
    last = filled("orthogonal", nn.Sequential(nn.Conv2d(3, 8, 3)).to(memory_format=torch.channels_last))
    for a, b in zip(plain.parameters(), last.parameters(), strict=True):
        assert torch.equal(a, b)


def test_names_of_arguments_are_sorted_in_the_filled_entry() -> None:
    assert INITS.get("sparse").fill({}) == Named(
        name="sparse", arguments=(("scale", 1.0), ("sparsity", 0.9), ("std", 0.01))
    )
