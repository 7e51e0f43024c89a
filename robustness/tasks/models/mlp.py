"""Multilayer perceptrons."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn

from robustness.tasks.models.layers import activation_layer, norm_layer

__all__ = ["MLP"]


class MLP(nn.Module):
    """Flatten, then `depth` times Linear - norm - activation of `width` units, then a Linear head."""

    def __init__(
        self, *, shape: tuple[int, ...], classes: int, norm: str, width: int, depth: int, activation: str
    ) -> None:
        """Build for inputs of `shape` (without the batch)."""
        super().__init__()
        sizes = [math.prod(shape), *[width] * depth]
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(sizes):
            # `none` is a layer too: names, and so the weights drawn, must not depend on the norm.
            layers += [nn.Linear(fan_in, fan_out), norm_layer(norm, fan_out, images=False)]
            layers.append(activation_layer(activation))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of inputs (B, *shape)."""
        logits: Tensor = self.head(self.body(x))
        return logits
