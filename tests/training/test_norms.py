"""Norms of a pack where numbers overflow: what PyTorch's own give, so that trials die by what they are, not how they train."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from robustness.optimizers.rules import Block
from robustness.tasks.models.layers import norm_layer
from robustness.training.batches import laid_out
from robustness.training.feature_major.layers import layer_of
from robustness.training.feature_major.norms import BatchNorm

SIZES = [1.0, 1e15, 1e19, 1e20, 1e30]
"""From the third on sums of squares overflow in float32, from the fourth on single squares too."""
SHAPES = [(16, 24), (16, 8, 6, 6)]


def block(module: nn.Module, trials: int) -> Block:
    """The parameters of a module in so many trials."""
    parameters = {f"norm.{name}": p.detach() for name, p in module.named_parameters()}
    flat = torch.cat([p.flatten() for p in parameters.values()]).repeat(trials, 1)
    return Block(flat, {name: p.shape for name, p in parameters.items()})


def close(ours: Tensor, expected: Tensor, what: str) -> None:
    """The same numbers are finite, and they are equal to rounding of the largest."""
    finite = expected.isfinite()
    assert (ours.isfinite() == finite).all(), what
    if finite.any():
        scale = expected[finite].abs().max().clamp_min(torch.finfo(torch.float32).tiny)
        torch.testing.assert_close(
            ours[finite] / scale, expected[finite] / scale, atol=2e-6, rtol=0, msg=what
        )


@pytest.mark.parametrize("gradient_size", [1.0, 1e13, 1e25, 1e30])
@pytest.mark.parametrize("shape", SHAPES, ids=["mlp", "images"])
@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_each_trial_of_any_size_has_what_pytorch_gives_it(
    kind: str, shape: tuple[int, ...], gradient_size: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor(SIZES).view(-1, *(1,) * len(shape))
    x = torch.randn(len(SIZES), *shape, generator=generator) * sizes
    module = norm_layer(kind, shape[1], images=len(shape) == 4)
    weights, gradients = block(module, len(SIZES)), block(module, len(SIZES))
    layer = layer_of("norm", module, weights, gradients, alone=False)
    y = layer.forward(x.movedim(1, -1), training=True)
    dy = torch.randn(y.shape, generator=generator) * gradient_size
    dx = layer.backward(dy, wanted=True)
    assert dx is not None
    for k, size in enumerate(SIZES):
        twin = copy.deepcopy(module)
        inputs = laid_out(x[k]).requires_grad_()
        expected = twin(inputs)
        expected.backward(dy[k].movedim(-1, 0))
        close(y[k].movedim(-1, 0), expected.detach(), f"output at {size:g}")
        assert inputs.grad is not None
        close(dx[k].movedim(-1, 0), inputs.grad, f"gradient at {size:g}")
        for name, parameter in twin.named_parameters():
            assert parameter.grad is not None
            close(gradients[f"norm.{name}"][k], parameter.grad, f"{name} at {size:g}")


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
