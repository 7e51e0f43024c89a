"""The power of a layer's input, shaped to divide the layer's weight.

Traps, measured: `square().sum()` beats `vector_norm` on four-dimensional inputs; `torch.var` over two
dimensions takes ten times as long as the sums of x and of its square.
"""

# B batch, C channels, S all spatial positions, F features, G groups of a convolution, O outputs

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own convention

__all__ = ["Convolution", "input_power", "released_power", "spatial_size"]

CACHED_NUMBERS = 131_072
Convolution = nn.modules.conv._ConvNd  # noqa: SLF001  the only name of all convolutions, transposed ones too


def input_power(
    module: nn.Module, x: Tensor, norm: str, granularity: str, known: Tensor | None = None
) -> Tensor:
    """Power of the input of a Linear layer or a convolution, in float32 or wider.

    Args:
        module: nn.Linear, or any convolution: transposed, grouped, depthwise, strided, dilated.
        x: its input, (..., F), or (B, C, *spatial) with or without B.
        norm: "l2", the squared l2 norm, or "l1".
        granularity: "channel": over the positions of each channel; "layer": over all of an example;
            "patch": over the fan-in that one output sees, mean over outputs. A Linear layer is one
            channel-less layer whose features are its patch: all three agree.
        known: `channel_power(x, module, norm)`, where already measured.

    Returns:
        Mean over the batch (and over all axes but the last of a Linear input); broadcasts to the weight.
    """
    if isinstance(module, nn.Linear):
        return _magnitude(x, norm).sum(-1).mean()
    assert isinstance(module, Convolution)
    if granularity == "patch":
        return _patch_power(module, _magnitude(_batched(x, module), norm))
    power_C = known if known is not None else channel_power(x, module, norm)
    return power_C.sum() if granularity == "layer" else per_weight(power_C, module)


def channel_power(x: Tensor, module: nn.Module, norm: str) -> Tensor:
    """Mean over the batch of the magnitudes summed over the positions of each channel, (C,)."""
    x = _batched(x, module)
    dims = (0, *range(2, x.ndim))
    parts = [_magnitude(part, norm).sum(dims) for part in _cache_sized(x)]
    total = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
    return total / len(x)


def _cache_sized(x: Tensor) -> tuple[Tensor, ...]:
    """Parts of a batch whose squares stay in a CPU's cache; one part on other devices.

    A fresh temporary of the size of the input costs more in page faults than the arithmetic.
    """
    if x.device.type != "cpu" or x.numel() <= CACHED_NUMBERS:
        return (x,)
    parts: tuple[Tensor, ...] = x.split(max(CACHED_NUMBERS * len(x) // x.numel(), 1))
    return parts


def released_power(module: nn.Module, x: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    """The released code's power of a standardized input, and the share of standard deviations it clamps.

    Each sample and channel is standardized over its own positions (Linear: each sample over its
    features), its deviation clamped from below at 0.01. The squared l2 norm of that has a closed form,
    (n - 1) min(1, variance / 1e-4); Linear layers add 0.1. One position has no deviation: power 0, so
    that the logarithm is clamped and the step 316 times as long, as theirs.
    """
    x = _wide(x)
    convolution = isinstance(module, Convolution)
    x = _batched(x, module).flatten(2) if convolution else x
    n = x.shape[-1]
    total, square = x.sum(-1), x.square().sum(-1)
    spread = (square - total.square() / n).clamp_min(0)
    variance = spread / (n - 1) if n > 1 else torch.zeros_like(spread)
    if norm == "l2":
        power = (n - 1) * (variance * 1e4).clamp_max(1)
    else:
        power = (x - total.unsqueeze(-1) / n).abs().sum(-1) / variance.sqrt().clamp_min(0.01)
    clamped = (variance < 1e-4).to(x.dtype).mean()
    if convolution:
        return per_weight(power.mean(0), module), clamped
    return power.mean() + 0.1, clamped


def spatial_size(module: nn.Module, x: Tensor) -> int:
    """Positions of one channel of a convolution's input; features of a Linear layer's."""
    if isinstance(module, nn.Linear):
        return x.shape[-1]
    return math.prod(_batched(x, module).shape[2:])


def per_weight(values_C: Tensor, module: nn.Module) -> Tensor:
    """Numbers an input channel, shaped to broadcast over a convolution's weight.

    A weight is (O, C / G, *kernel); where G > 1 the kernels of group g read the channels of group g.
    A transposed one is (C, O / G, *kernel).
    """
    assert isinstance(module, Convolution)
    tail = (1,) * len(module.kernel_size)
    if module.transposed:
        return values_C.view(-1, 1, *tail)
    if module.groups == 1:
        return values_C.view(1, -1, *tail)
    values_GC = values_C.view(module.groups, -1)
    return values_GC.repeat_interleave(module.out_channels // module.groups, dim=0).view(
        module.out_channels, -1, *tail
    )


def _wide(x: Tensor) -> Tensor:
    x = x.detach()
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _magnitude(x: Tensor, norm: str) -> Tensor:
    x = _wide(x)
    return x.square() if norm == "l2" else x.abs()


def _batched(x: Tensor, module: nn.Module) -> Tensor:
    assert isinstance(module, Convolution)
    return x.unsqueeze(0) if x.ndim == len(module.kernel_size) + 1 else x


def _patch_power(module: Any, magnitude: Tensor) -> Tensor:
    """The layer's own operation with a kernel of ones, one output a group: what each output sees."""
    groups, kernel = module.groups, module.kernel_size
    dimensions = len(kernel)
    if module.transposed:
        ones = magnitude.new_ones(module.in_channels, 1, *kernel)
        operation: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dimensions - 1]
        seen = operation(
            magnitude,
            ones,
            None,
            module.stride,
            module.padding,
            module.output_padding,
            groups,
            module.dilation,
        )
        rows = module.in_channels
    else:
        padding = module.padding
        if module.padding_mode != "zeros":
            pad = module._reversed_padding_repeated_twice  # noqa: SLF001  as the layer itself pads
            magnitude, padding = F.pad(magnitude, pad, mode=module.padding_mode), 0
        ones = magnitude.new_ones(groups, module.in_channels // groups, *kernel)
        operation = (F.conv1d, F.conv2d, F.conv3d)[dimensions - 1]
        seen = operation(magnitude, ones, None, module.stride, padding, module.dilation, groups)
        rows = module.out_channels
    power_G: Tensor = seen.transpose(0, 1).flatten(1).mean(1)
    return power_G.repeat_interleave(rows // groups).view(rows, *(1,) * (dimensions + 1))
