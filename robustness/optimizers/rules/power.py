"""The power of a layer's input in every trial of a pack. The definitions are `power`'s."""

# K trials in the pack, B batch, C channels, H W spatial, n positions of a channel, F features of a Linear layer

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustness.optimizers.power import Convolution, input_power, released_power, spatial_size
from robustness.optimizers.rules.block import Block
from robustness.optimizers.scaled import log_of_size

__all__ = ["Measure", "measure_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """What an optimizer wants to know of its layers' inputs.

    Attributes:
        what: "power"; "released", the power of standardized inputs; "size", the logarithm of the number of positions.
        norm: "l1" or "l2".
        granularity: "channel", "layer" or "patch".
    """

    what: str
    norm: str = "l2"
    granularity: str = "channel"

    def block(self, layers: Mapping[str, nn.Module], like_KP: Tensor) -> Block:  # noqa: N803
        """Where the measures of all layers go, by the name of each one's weight, to which they broadcast."""
        shapes = {}
        for name, module in layers.items():
            each_channel = self.what == "released" or (self.what == "power" and self.granularity == "channel")
            channels = module.in_channels if each_channel and isinstance(module, Convolution) else 1
            shapes[f"{name}.weight"] = torch.Size([1, channels, *(1,) * (_axes(module) - 2)])
        return Block(like_KP.new_empty(len(like_KP), sum(shape.numel() for shape in shapes.values())), shapes)

    def of_pack(self, module: nn.Module, x: Tensor, seen: Tensor, out: Tensor) -> Tensor | None:
        """Measure every trial, by sums over axes of activations whose last axis is the batch.

        Args:
            module: the layer.
            x: its input, (K, F, B) or (K, C, H, W, B).
            seen: what each output sees, (K, fan-in, outputs).
            out: the layer's columns of the block, (K, numbers): written.

        Returns:
            The share of deviations that `released` clamps, (K,); None of the others.
        """
        if self.what == "size":
            positions = x.shape[1] if isinstance(module, nn.Linear) else x.shape[2] * x.shape[3]
            out.fill_(log_of_size(module, positions))
        elif self.what == "released":
            return _released(module, x, self.norm, out)
        else:
            _input_power(module, x, seen, self, out)
        return None

    def of_trial(self, module: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
        """The same of one trial's input (B, ...), by the functions that the optimizers themselves use.

        Without the share where there is none: vmap passes tensors only.
        """
        if self.what == "size":
            logarithm = log_of_size(module, spatial_size(module, x))
            return (x.new_full((1,) * _axes(module), logarithm),)
        if self.what == "released":
            total, count, flags = released_power(module, x, self.norm)
            clamped = [flags.to(x.dtype).mean()]
        else:
            total, count = input_power(module, x, self.norm, self.granularity)
            clamped = []
        power = total / count
        return power.reshape((1,) * _axes(module)) if power.ndim == 0 else power, *clamped


def measure_of(optimizer: str, arguments: Mapping[str, Any]) -> Measure | None:
    """What an optimizer of the catalog measures; None where it looks at no inputs.

    Args:
        optimizer: its name.
        arguments: its arguments.
    """
    if optimizer == "sgd-layerwise":
        return Measure(what="size")
    if optimizer not in ("insgd", "nlms", "sgd-frozen", "sgd-scaled"):
        return None
    what = "released" if arguments.get("preset") == "released" else "power"
    granularity = arguments.get("granularity", "channel")
    return Measure(what=what, norm=arguments["norm"], granularity=granularity)


def _axes(module: nn.Module) -> int:
    return 2 if isinstance(module, nn.Linear) else 4


def _input_power(module: nn.Module, x: Tensor, seen: Tensor, measure: Measure, out: Tensor) -> None:
    batch = x.shape[-1]
    if isinstance(module, nn.Linear):
        # The network's own input comes with its axes swapped; a sum over both does not mind.
        whole = x if x.is_contiguous() else x.transpose(1, 2)
        _mean(whole.flatten(1), measure.norm, batch, out[:, 0])
    elif measure.granularity == "patch":
        _mean(seen.flatten(1), measure.norm, seen.shape[-1], out[:, 0])
    elif measure.granularity == "layer":
        _mean(x.flatten(1), measure.norm, batch, out[:, 0])
    else:
        _mean(x.flatten(2), measure.norm, batch, out)


def _mean(x: Tensor, norm: str, count: int, out: Tensor) -> None:
    """Sum of squares, or of magnitudes, over the last axis, divided by `count`."""
    if norm == "l1":
        # Not vector_norm, which adds one magnitude after another: 114 us where this takes 21.
        torch.sum(x.abs(), -1, out=out)
    else:
        # Over one contiguous axis it needs no temporary: 28 us where square().sum() takes 45. A square of a few
        # numbers is a product, which takes a third of `square`, as it does of a division.
        torch.linalg.vector_norm(x, dim=-1, out=out)
        out.mul_(out)
    out.mul_(1 / count)


def _released(module: nn.Module, x: Tensor, norm: str, out: Tensor) -> Tensor:
    """See `power.released_power`."""
    x_KCnB = x.flatten(2, 3) if isinstance(module, Convolution) else x.unsqueeze(1)  # noqa: N806
    n = x_KCnB.shape[2]
    x_KCnB = x_KCnB - x_KCnB[:, :, :1]  # noqa: N806  counted from the first, see there
    total = x_KCnB.sum(2)
    variance = torch.zeros_like(total)
    if n > 1:
        variance = (x_KCnB.square().sum(2) - total.square() / n).clamp_min(0) / (n - 1)
    if norm == "l2":
        power = (n - 1) * (variance * 1e4).clamp_max(1)
    else:
        power = (x_KCnB - total.unsqueeze(2) / n).abs().sum(2) / variance.sqrt().clamp_min(0.01)
    clamped_K = (variance < 1e-4).to(x.dtype).mean((1, 2))  # noqa: N806
    torch.mean(power, -1, out=out)
    if isinstance(module, nn.Linear):
        out.add_(0.1)
    return clamped_K
