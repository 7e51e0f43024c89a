"""Weight initializations: each fills one weight in place, drawing from the generator passed in."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import init

from robustness.catalog import INITS
from robustness.trial import Named

__all__ = ["initialize", "weighted_layers"]

Filler = Callable[..., object]


def default(weight: Tensor, generator: torch.Generator) -> None:
    """PyTorch's own for Linear and convolutions: uniform within 1 / sqrt(fan_in)."""
    init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)


def kaiming_normal(weight: Tensor, generator: torch.Generator) -> None:
    """Variance 2 / fan_in."""
    init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def kaiming_uniform(weight: Tensor, generator: torch.Generator) -> None:
    """Variance 2 / fan_in."""
    init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)


def xavier_normal(weight: Tensor, generator: torch.Generator) -> None:
    """Variance 2 / (fan_in + fan_out)."""
    init.xavier_normal_(weight, generator=generator)


def xavier_uniform(weight: Tensor, generator: torch.Generator) -> None:
    """Variance 2 / (fan_in + fan_out)."""
    init.xavier_uniform_(weight, generator=generator)


def lecun_normal(weight: Tensor, generator: torch.Generator) -> None:
    """Variance 1 / fan_in."""
    init.kaiming_normal_(weight, nonlinearity="linear", generator=generator)


def orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    """Orthogonal rows or columns of the weight as a matrix (out, the rest)."""
    init.orthogonal_(weight, generator=generator)


def normal(weight: Tensor, generator: torch.Generator, *, std: float) -> None:
    """Mean 0 and the given standard deviation."""
    init.normal_(weight, std=std, generator=generator)


def uniform(weight: Tensor, generator: torch.Generator, *, bound: float) -> None:
    """Uniform in [-bound, bound]."""
    init.uniform_(weight, -bound, bound, generator=generator)


def sparse(weight: Tensor, generator: torch.Generator, *, sparsity: float, std: float) -> None:
    """Normal, with `sparsity` of each column's entries at zero, rounded up; matrices only.

    As torch's `sparse_`, which draws the places of the zeros from the global generator.
    """
    init.normal_(weight, std=std, generator=generator)
    ranks = torch.rand(weight.shape, generator=generator).argsort(dim=0)
    weight[ranks < math.ceil(sparsity * weight.shape[0])] = 0


def zero_residual(weight: Tensor, generator: torch.Generator) -> None:
    """The fill of `zero-residual`: kaiming-normal; `initialize` then zeroes the branches' ends."""
    kaiming_normal(weight, generator)


def weighted_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers that initializations act on, with their names: Linear and convolutions."""
    kinds = (nn.Linear, nn.modules.conv._ConvNd)  # noqa: SLF001  the only name of all convolutions
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            yield name, module


@torch.no_grad()
def initialize(model: nn.Module, named: Named, generator_of: Callable[[str], torch.Generator]) -> None:
    """Set every Linear and convolution weight of a model, head included; biases to 0.

    A model's `draw_embeddings`, where it has one, sets its parameters that belong to no layer.

    Args:
        model: changed in place; normalization layers stay as they are.
        named: the initialization with its arguments. `default` keeps PyTorch's biases, seeded.
        generator_of: the generator for a parameter's name.
    """
    module_name, attribute = INITS.get(named.name).target.split(":")
    fill: Filler = getattr(importlib.import_module(module_name), attribute)
    arguments: dict[str, Any] = dict(named.arguments)
    scale: float = arguments.pop("scale")
    for name, layer in weighted_layers(model):
        weight, bias = layer.weight, layer.bias
        assert isinstance(weight, Tensor)
        # Contiguous while drawing: the values must not depend on the memory format.
        values = torch.empty(weight.shape, dtype=torch.float32)
        fill(values, generator_of(f"{name}.weight"), **arguments)
        weight.copy_(values.mul_(scale))
        if isinstance(bias, Tensor):
            values = torch.zeros(bias.shape)
            if named.name == "default":
                bound = 1 / math.sqrt(weight[0].numel())
                values.uniform_(-bound, bound, generator=generator_of(f"{name}.bias"))
            bias.copy_(values)
    draw_embeddings = getattr(model, "draw_embeddings", None)
    if draw_embeddings is not None:
        draw_embeddings(generator_of)
    if named.name == "zero-residual":
        ends: list[nn.Module] = model.residual_ends()  # type: ignore[operator]
        for layer in ends:
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
