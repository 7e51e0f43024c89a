"""INSGD's published algorithm again, slowly: Python loops over the definition, float64, no hooks."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def magnitude(value: float, norm: str) -> float:
    return value * value if norm == "l2" else abs(value)


def linear_power(x: Tensor, norm: str) -> float:
    """Mean over rows of the norm over features."""
    rows = x.reshape(-1, x.shape[-1]).tolist()
    return sum(sum(magnitude(v, norm) for v in row) for row in rows) / len(rows)


def channel_powers(x: Tensor, norm: str) -> list[float]:
    """For each channel the mean over the batch of the norm over all positions."""
    return [
        sum(magnitude(v, norm) for v in x[:, c].flatten().tolist()) / x.shape[0] for c in range(x.shape[1])
    ]


def powers_of_weight(layer: Any, x: Tensor, norm: str, granularity: str = "channel") -> list[float]:
    """The power that divides each entry of the layer's weight, flat."""
    weight = layer.weight
    if isinstance(layer, nn.Linear):
        return [linear_power(x, norm)] * weight.numel()
    if granularity == "patch":
        return patch_powers(layer, x, norm)
    powers = channel_powers(x, norm)
    if granularity == "layer":
        return [sum(powers)] * weight.numel()
    found = []
    for index in itertools.product(*map(range, weight.shape)):
        if layer.transposed:
            channel = index[0]
        else:
            group = index[0] // (layer.out_channels // layer.groups)
            channel = group * (layer.in_channels // layer.groups) + index[1]
        found.append(powers[channel])
    return found


def patch_powers(layer: nn.Conv2d, x: Tensor, norm: str) -> list[float]:
    """By unfolding: mean over outputs of the norm of the fan-in that each sees, by group."""
    size = x.square() if norm == "l2" else x.abs()
    assert not isinstance(layer.padding, str)
    patches = F.unfold(size, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    by_group = patches.view(x.shape[0], layer.groups, -1, patches.shape[-1]).sum(2).mean((0, 2)).tolist()
    per_output = layer.weight[0].numel()
    rows = layer.out_channels // layer.groups
    return [p for p in by_group for _ in range(rows * per_output)]


@dataclass
class LoopINSGD:
    """State and update of a model's parameters, entry by entry."""

    lr: float
    norm: str = "l2"
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    beta: float = 0.9
    eps: float = 0.01
    damping: str = "log"
    weight_decay: float = 0.0
    decoupled_weight_decay: bool = False
    power_init: str = "first"
    maximize: bool = False
    powers: dict[str, list[float]] = field(default_factory=dict)
    buffers: dict[str, list[float]] = field(default_factory=dict)

    def step(self, name: str, parameter: Tensor, powers: list[list[float]] | None) -> None:
        """Update one parameter in place; `powers` of each pass through its layer, averaged."""
        assert parameter.grad is not None
        gradient = parameter.grad.flatten().tolist()
        weights = parameter.detach().flatten().tolist()
        if powers is not None:
            self._follow(name, [sum(p) / len(powers) for p in zip(*powers, strict=True)])
        first = name not in self.buffers
        buffer = self.buffers.setdefault(name, [0.0] * len(weights))
        updated = []
        for i, (w, g) in enumerate(zip(weights, gradient, strict=True)):
            g = -g if self.maximize else g
            if powers is not None:
                g = g / self._divisor(self.powers[name][i])
            if self.decoupled_weight_decay:
                w = w * (1 - self.lr * self.weight_decay)
            else:
                g = g + self.weight_decay * w
            buffer[i] = g if first else self.momentum * buffer[i] + (1 - self.dampening) * g
            step = g + self.momentum * buffer[i] if self.nesterov else buffer[i]
            updated.append(w - self.lr * (step if self.momentum else g))
        with torch.no_grad():
            parameter.copy_(torch.tensor(updated, dtype=parameter.dtype).reshape(parameter.shape))

    def _follow(self, name: str, seen: list[float]) -> None:
        if name in self.powers:
            old = self.powers[name]
            self.powers[name] = [self.beta * p + (1 - self.beta) * q for p, q in zip(old, seen, strict=True)]
        else:
            self.powers[name] = [q if self.power_init == "first" else (1 - self.beta) * q for q in seen]

    def _divisor(self, power: float) -> float:
        if self.damping == "none":
            return self.eps + power
        return max(math.log1p(power) if self.damping == "log1p" else math.log(power), self.eps)
