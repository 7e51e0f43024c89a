"""Norms of a pack where numbers overflow: what PyTorch's own give, so that trials die by what they are, not how they train."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from robustness.optimizers.rules import Block
from robustness.tasks.models.layers import norm_layer
from robustness.training import train
from robustness.training.batches import laid_out
from robustness.training.feature_major.layers import BatchNorm, layer_of
from tests.builders import trials
from tests.training.test_packed import NOWHERE, packed

SIZES = [1.0, 1e15, 1e19, 1e20, 1e30]
"""From the third on sums of squares overflow in float32, from the fourth on single squares too."""
SHAPES = [(16, 24), (16, 8, 6, 6)]


def block(module: nn.Module, trials: int) -> Block:
    """The parameters of a module in so many trials."""
    parameters = {f"norm.{name}": p.detach() for name, p in module.named_parameters()}
    flat = torch.cat([p.flatten() for p in parameters.values()]).repeat(trials, 1)
    return Block(flat, {name: p.shape for name, p in parameters.items()})


@pytest.mark.parametrize("shape", SHAPES, ids=["mlp", "images"])
@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_each_trial_of_any_size_has_what_pytorch_gives_it(kind: str, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor(SIZES).view(-1, *(1,) * len(shape))
    x = torch.randn(len(SIZES), *shape, generator=generator) * sizes
    module = norm_layer(kind, shape[1], images=len(shape) == 4)
    weights, gradients = block(module, len(SIZES)), block(module, len(SIZES))
    layer = layer_of("norm", module, weights, gradients, alone=False)
    y = layer.forward(x.movedim(1, -1), training=True)
    dy = torch.randn(y.shape, generator=generator)
    dx = layer.backward(dy, wanted=True)
    assert dx is not None
    for k, size in enumerate(SIZES):
        inputs = laid_out(x[k]).requires_grad_()
        expected = copy.deepcopy(module)(inputs)
        expected.backward(dy[k].movedim(-1, 0))
        torch.testing.assert_close(y[k].movedim(-1, 0), expected, equal_nan=True, msg=f"at {size:g}")
        finite = expected.isfinite().flatten(1).all(1)  # of a dead example no gradient is of use
        gradient = dx[k].movedim(-1, 0)
        assert inputs.grad is not None
        torch.testing.assert_close(gradient[finite], inputs.grad[finite], msg=f"at {size:g}")


def test_running_averages_stay_infinite_as_pytorchs_do() -> None:
    module = nn.BatchNorm1d(4)
    twin = copy.deepcopy(module)
    layer = layer_of("norm", module, block(module, 1), block(module, 1), alone=False)
    assert isinstance(layer, BatchNorm)
    for size in (1e20, 1.0):
        x = size * torch.arange(32.0).sin().view(8, 4)
        layer.forward(x.T[None], training=True)
        twin(x)
    assert twin.running_var is not None
    assert twin.running_var.tolist() == [math.inf] * 4
    assert layer.averages()["variance"].tolist() == [[math.inf] * 4]
    evaluated = layer.forward(x.T[None], training=False)
    torch.testing.assert_close(evaluated[0].T, twin.eval()(x))


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "group"])
def test_as_many_trials_die_in_packs_as_one_at_a_time(norm: str) -> None:
    found = trials(
        optimizers=[{"name": "sgd", "momentum": 0.9}],
        search={"lr": [1e2, 1e3, 1e4], "seeds": 4},
        task={"norm": norm, "depth": 2, "epochs": 5},
    )
    alone = sum(train(trial, root=NOWHERE).nonfinite for trial in found)
    together = sum(record.nonfinite for record in packed(found).values())
    assert abs(alone - together) <= 1  # rounding grows where training is chaotic
    assert (alone > 5) == (norm == "layer")
