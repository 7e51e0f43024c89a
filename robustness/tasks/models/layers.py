"""Layers that several models share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Dropout", "activation_layer", "is_small", "norm_layer"]

SMALL_SIDE = 64
"""Up to it, networks made for ImageNet take images with a stem that keeps their resolution."""


def norm_layer(kind: str, channels: int, *, images: bool) -> nn.Module:
    """A normalization layer: `none`, `batch`, `layer` (all channels together), `group` (4 channels each).

    Raises:
        ValueError: `group` where channels are not a multiple of 4.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels) if images else nn.BatchNorm1d(channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels) if images else nn.LayerNorm(channels)
    if channels % 4:
        raise ValueError(f"norm = group needs channels in multiples of 4, got {channels}")
    return nn.GroupNorm(channels // 4, channels)


def activation_layer(kind: str) -> nn.Module:
    """A nonlinearity: `relu` or `tanh`."""
    return nn.ReLU() if kind == "relu" else nn.Tanh()


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether images of `shape` (channels, height, width) are too small to lose resolution in the first layer."""
    return max(shape[1:]) <= SMALL_SIDE


class Dropout(nn.Module):
    """Dropout that draws from a generator of the trial's, which whoever trains the model sets."""

    def __init__(self, share: float) -> None:
        """Drop `share` of the units, in [0, 1)."""
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`x` with units dropped and the rest scaled up; `x` itself when evaluating."""
        if not self.training or self.share == 0:
            return x
        keep = 1 - self.share
        mask = torch.empty_like(x, memory_format=torch.contiguous_format)
        return x * mask.bernoulli_(keep, generator=self.generator).div_(keep)
