"""INSGD's published algorithm again, slowly: Python loops over the definition, float64, no hooks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


def power_of_linear(x: Tensor, norm: str) -> float:
    rows = x.reshape(-1, x.shape[-1]).tolist()
    return sum(sum(v * v if norm == "l2" else abs(v) for v in row) for row in rows) / len(rows)


def power_of_conv(x: Tensor, norm: str) -> list[float]:
    powers = []
    for channel in range(x.shape[1]):
        total = 0.0
        for image in range(x.shape[0]):
            values = x[image, channel].flatten().tolist()
            total += sum(v * v if norm == "l2" else abs(v) for v in values)
        powers.append(total / x.shape[0])
    return powers


@dataclass
class LoopINSGD:
    """State of one layer's weight, entry by entry."""

    lr: float
    norm: str
    momentum: float = 0.0
    dampening: float = 0.0
    beta: float = 0.9
    eps: float = 0.01
    weight_decay: float = 0.0
    power_init: str = "first"
    powers: dict[str, Any] = field(default_factory=dict)
    buffers: dict[str, list[float]] = field(default_factory=dict)

    def step(self, name: str, parameter: Tensor, layer: nn.Module | None, x: Tensor | None) -> None:
        """Update one parameter in place; `layer` and its input only for layer weights."""
        assert parameter.grad is not None
        divisors: list[float] = []
        if isinstance(layer, nn.Linear):
            assert x is not None
            divisors = [self._divisor(name, 0, power_of_linear(x, self.norm))]
        elif isinstance(layer, nn.Conv2d):
            assert x is not None
            divisors = [self._divisor(name, c, q) for c, q in enumerate(power_of_conv(x, self.norm))]
        gradient = parameter.grad.flatten().tolist()
        weights = parameter.detach().flatten().tolist()
        updated = []
        first = name not in self.buffers
        buffer = self.buffers.setdefault(name, [0.0] * len(weights))
        for i, (w, g) in enumerate(zip(weights, gradient, strict=True)):
            if len(divisors) == 1 and isinstance(layer, nn.Linear):
                g = g / divisors[0]
            elif divisors:
                assert isinstance(layer, nn.Conv2d)
                out, per_group, height, width = parameter.shape
                o, c = i // (per_group * height * width), i // (height * width) % per_group
                group = o // (out // layer.groups)
                g = g / divisors[group * per_group + c]
            g = g + self.weight_decay * w
            buffer[i] = g if first else self.momentum * buffer[i] + (1 - self.dampening) * g
            updated.append(w - self.lr * (buffer[i] if self.momentum else g))
        with torch.no_grad():
            parameter.copy_(torch.tensor(updated, dtype=parameter.dtype).reshape(parameter.shape))

    def _divisor(self, name: str, channel: int, q: float) -> float:
        key = f"{name}.{channel}"
        if key in self.powers:
            self.powers[key] = self.beta * self.powers[key] + (1 - self.beta) * q
        else:
            self.powers[key] = q if self.power_init == "first" else (1 - self.beta) * q
        return max(math.log(self.powers[key]), self.eps)
