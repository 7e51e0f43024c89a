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

__all__ = ["Convolution", "batch_sums", "input_power", "released_power", "spatial_size"]

CACHED_NUMBERS = 262_144
Convolution = nn.modules.conv._ConvNd  # noqa: SLF001  the only name of all convolutions, transposed ones too


def input_power(
    module: nn.Module, x: Tensor, norm: str, granularity: str, known: Tensor | None = None
) -> tuple[Tensor, int]:
    """Power of the input of a Linear layer or a convolution, in float32 or wider.

    Args:
        module: nn.Linear, or any convolution: transposed, grouped, depthwise, strided, dilated.
        x: its input, (..., F), or (B, C, *spatial) with or without B.
        norm: "l2", the squared l2 norm, or "l1".
        granularity: "channel": over the positions of each channel; "layer": over all of an example;
            "patch": over the fan-in that one output sees, mean over outputs. A Linear layer is one
            channel-less layer whose features are its patch: all three agree.
        known: `batch_sums(x, module, norm, granularity)`, where already measured.

    Returns:
        Sum over the batch (and over all axes but the last of a Linear input), which broadcasts to the
        weight, and of how many powers it is the sum.
    """
    if isinstance(module, nn.Linear):
        return _summed_over_batch(x, norm).sum(), x.numel() // x.shape[-1]
    sums = known if known is not None else batch_sums(x, module, norm, granularity)
    count = len(_batched(x, module))
    if granularity == "channel":
        return per_weight(sums, module), count
    return (_patch_power(module, sums) if granularity == "patch" else sums), count


def batch_sums(x: Tensor, module: nn.Module, norm: str, granularity: str) -> Tensor:
    """Sums over the batch of a convolution's magnitudes: what layers that read the same input share.

    Returns:
        "channel": over the positions too, (C,); "layer": over all; "patch": at each position,
        (1, C, *spatial), since a patch's power is linear in the magnitudes.
    """
    x = _batched(x, module)
    total = _summed_over_batch(x, norm)
    if granularity == "patch":
        return total.sum(0, keepdim=True)
    return total.sum() if granularity == "layer" else total.sum((0, *range(2, x.ndim)))


def _summed_over_batch(x: Tensor, norm: str) -> Tensor:
    """Magnitudes of a part of the batch with those of the other parts added, in float32 or wider.

    One pass that writes no squares: 0.65 to 0.8 of the time of summing the squares of each part.
    """
    first, *others = (_wide(part) for part in _cache_sized(x.detach()))
    total = first.square() if norm == "l2" else first.abs()
    for part in others:
        into = total if len(part) == len(total) else total[: len(part)]
        if norm == "l2":
            into.addcmul_(part, part)
        else:
            into.add_(part.abs())
    return total


def _cache_sized(x: Tensor) -> tuple[Tensor, ...]:
    """Parts of a batch that stay in a CPU's cache; one part on other devices.

    A fresh temporary of the size of the input costs more in page faults than the arithmetic.
    """
    if x.device.type != "cpu" or x.numel() <= CACHED_NUMBERS:
        return (x,)
    # Not `split`, which is Python: between two convolutions 0.08 ms, this 0.05 ms.
    parts: tuple[Tensor, ...] = x.chunk(min(-(-x.numel() // CACHED_NUMBERS), len(x)))
    return parts


def released_power(module: nn.Module, x: Tensor, norm: str) -> tuple[Tensor, int, Tensor]:
    """The released code's power of a standardized input.

    Each sample and channel is standardized over its own positions, its deviation clamped from below at 0.01. A Linear
    layer's input is standardized over its dimension 1, whatever that is: the features of (B, F), the tokens of
    (B, T, F). The squared l2 norm of n standardized numbers has a closed form, (n - 1) min(1, variance / 1e-4);
    Linear layers take it over the features of each row, and add 0.1. One position, or one token, has no deviation:
    power 0, so that the logarithm is clamped and the step is hundreds of times as long, as theirs.

    Returns:
        Sum over the samples (Linear: over all rows of features), which broadcasts to the weight; how many they are;
        and which deviations it clamped.
    """
    convolution = isinstance(module, Convolution)
    x = x.detach()
    rows = x.numel() // x.shape[-1]
    if convolution:
        x = _batched(x, module).flatten(2)
    elif x.ndim > 2:
        x = x.transpose(1, -1)
    n = x.shape[-1]
    # Few operations: between two convolutions, whose code fills the caches, each takes 0.02 to 0.05 ms.
    sums = [_centred_sums(part) for part in map(_wide, _cache_sized(x))]
    total, square = sums[0] if len(sums) == 1 else map(torch.cat, zip(*sums, strict=True))
    spread = square.sub_(total.square().div_(n)) if n > 1 else torch.zeros_like(square)
    if norm == "l2":
        power = (spread * 1e4).clamp(0, n - 1)
    else:
        deviation = (spread / max(n - 1, 1)).clamp_min_(1e-4).sqrt_()
        wide = _wide(x)
        power = (wide - wide[..., :1]).sub_(total.unsqueeze(-1) / n).abs_().sum(-1) / deviation
    clamped = spread < 1e-4 * max(n - 1, 1)
    if convolution:
        return per_weight(power.sum(0), module), len(power), clamped
    return power.sum() + 0.1 * rows, rows, clamped


def _centred_sums(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and sum of squares over the last axis, counted from its first number.

    Counted from zero, the squares of a channel that hardly varies would drown what it varies by.
    """
    centred = x - x[..., :1]
    return centred.sum(-1), centred.square_().sum(-1)


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
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


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
