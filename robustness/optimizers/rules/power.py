"""The power of a layer's input in every trial of a pack. The definitions are `power`'s."""

# K trials in the pack, B batch, C channels, H W spatial, n positions of a channel, F features of a Linear layer

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustness.optimizers.power import Convolution, input_power, released_power, spatial_size
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

    def of_pack(self, module: nn.Module, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor | None]:
        """The measure in every trial, as sums over axes of activations whose last axis is the batch.

        Args:
            module: the layer.
            x: its input, (K, F, B) or (K, C, H, W, B).
            seen: what each output sees, (K, fan-in, outputs).

        Returns:
            A tensor that broadcasts to the layer's weights (K, *shape), and the share of deviations that
            `released` clamps, (K,), None for the others.
        """
        if self.what == "size":
            positions = x.shape[1] if isinstance(module, nn.Linear) else x.shape[2] * x.shape[3]
            return x.new_full((len(x), *(1,) * _axes(module)), log_of_size(module, positions)), None
        if self.what == "released":
            return _released(module, x, self.norm)
        return _input_power(module, x, seen, self.norm, self.granularity), None

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


def _input_power(module: nn.Module, x: Tensor, seen: Tensor, norm: str, granularity: str) -> Tensor:
    batch = x.shape[-1]
    if isinstance(module, nn.Linear):
        # The network's own input comes with its axes swapped; a sum over both does not mind.
        whole = x if x.is_contiguous() else x.transpose(1, 2)
        return _mean(whole.flatten(1), norm, batch)[:, None, None]
    if granularity == "patch":
        return _mean(seen.flatten(1), norm, seen.shape[-1])[:, None, None, None, None]
    power_KC = _mean(x.flatten(2), norm, batch)
    if granularity == "layer":
        return power_KC.sum(1)[:, None, None, None, None]
    return power_KC[:, None, :, None, None]


def _mean(x: Tensor, norm: str, count: int) -> Tensor:
    """Sum of squares, or of magnitudes, over the last axis, divided by `count`."""
    # Over one contiguous axis vector_norm needs no temporary: 28 us where square().sum() takes 45. A square of a
    # few numbers is a product, which takes a third of `square`, as it does of a division.
    total: Tensor = torch.linalg.vector_norm(x, ord=1 if norm == "l1" else 2, dim=-1)
    return (total if norm == "l1" else total.mul_(total)).mul_(1 / count)


def _released(module: nn.Module, x: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    """See `power.released_power`."""
    x_KCnB = x.flatten(2, 3) if isinstance(module, Convolution) else x.unsqueeze(1)  # noqa: N806
    n = x_KCnB.shape[2]
    total = x_KCnB.sum(2)
    variance = torch.zeros_like(total)
    if n > 1:
        variance = (x_KCnB.square().sum(2) - total.square() / n).clamp_min(0) / (n - 1)
    if norm == "l2":
        power = (n - 1) * (variance * 1e4).clamp_max(1)
    else:
        power = (x_KCnB - total.unsqueeze(2) / n).abs().sum(2) / variance.sqrt().clamp_min(0.01)
    clamped_K = (variance < 1e-4).to(x.dtype).mean((1, 2))  # noqa: N806
    power_KC = power.mean(-1)  # noqa: N806
    if isinstance(module, Convolution):
        return power_KC[:, None, :, None, None], clamped_K
    return power_KC[:, :, None] + 0.1, clamped_K
