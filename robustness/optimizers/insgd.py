r"""Input Normalized SGD, the published algorithm.

For each weight W of a Linear or Conv2d layer with input x, at step t:

    g   = gradient of the loss at W
    q   = power of the input
    P_t = q                                if t = 1   (power_init = "first"; from zero: "zero")
          beta P_{t-1} + (1 - beta) q      otherwise
    g   = g / max(log P_t, eps)
    g   = g + weight_decay W
    b_t = g if t = 1, else momentum b_{t-1} + (1 - dampening) g
    W   = W - lr b_t

The power is the squared l2 norm (`norm = "l2"`) or the l1 norm of the input: over the features of a
Linear layer, mean over all else, one number; over height and width of each channel of a Conv2d, mean
over the batch, C numbers, each dividing the slice of W that reads its channel. Parameters without a
layer input (biases, norm layers) take the same step without the division.

Source: Atici, Pan, Cetin, "Input Normalized Stochastic Gradient Descent Training for Deep Neural
Networks", TMLR 2024 (arXiv 2212.09921); the granularity is the authors' released code's.
"""

# B batch, C channels, H height, W width, F features

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

__all__ = ["INSGD"]


def input_power(x: Tensor, norm: str) -> Tensor:
    """Power of a layer's input in float32 or wider: a scalar for (..., F), (C,) for (B, C, H, W).

    `square().sum()` and not `vector_norm`: the latter is slower on four-dimensional inputs.
    """
    x = x.detach()
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    magnitude = x.square() if norm == "l2" else x.abs()
    if x.ndim == 4:
        return magnitude.sum((2, 3)).mean(0)
    return magnitude.sum(-1).mean()


class INSGD(Optimizer):
    """Input Normalized SGD. Takes the module, since it must see the layers' inputs.

    Args:
        model: its trainable parameters are optimized; inputs of its Linear and Conv2d layers are
            measured by forward pre-hooks while gradients are enabled.
        lr: learning rate.
        norm: "l2" (squared) or "l1".
        momentum: momentum factor.
        dampening: dampening of momentum.
        beta: decay of the running average of the input power.
        eps: least value of log P that divides a gradient.
        weight_decay: added after the normalization.
        power_init: the running power starts at the first batch's ("first") or at zero ("zero").

    Raises:
        ValueError: an argument is out of its bounds; the text gives name, value and rule.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        *,
        norm: str = "l2",
        momentum: float = 0.9,
        dampening: float = 0.0,
        beta: float = 0.9,
        eps: float = 0.01,
        weight_decay: float = 0.0,
        power_init: str = "first",
    ) -> None:
        """Check the arguments and hook the layers."""
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"{name} must be >= 0, got {value}")
        for name, value in (("momentum", momentum), ("beta", beta)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be >= 0 and < 1, got {value}")
        if not 0 <= dampening <= 1:
            raise ValueError(f"dampening must be >= 0 and <= 1, got {dampening}")
        if not eps > 0:
            raise ValueError(f"eps must be > 0, got {eps}")
        for name, choice, choices in (
            ("norm", norm, ("l1", "l2")),
            ("power_init", power_init, ("first", "zero")),
        ):
            if choice not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {choice!r}")
        defaults = {
            "lr": lr,
            "norm": norm,
            "momentum": momentum,
            "dampening": dampening,
            "beta": beta,
            "eps": eps,
            "weight_decay": weight_decay,
            "power_init": power_init,
        }
        super().__init__([p for p in model.parameters() if p.requires_grad], defaults)
        self._norm = norm
        # Powers seen since the last step, with their number: a layer used twice, or accumulated
        # gradients, average theirs.
        self._seen: dict[Tensor, tuple[Tensor, int]] = {}
        self._hooks: list[RemovableHandle] = []
        self._groups = {m.weight: m.groups for m in model.modules() if isinstance(m, nn.Conv2d)}
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)) and module.weight.requires_grad:
                self._hooks.append(module.register_forward_pre_hook(self._observe))

    def close(self) -> None:
        """Remove the hooks from the model."""
        while self._hooks:
            self._hooks.pop().remove()

    def _observe(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not torch.is_grad_enabled():
            return
        weight = module.weight
        assert isinstance(weight, Tensor)
        power = input_power(inputs[0], self._norm)
        total, count = self._seen.get(weight, (None, 0))
        self._seen[weight] = (power if total is None else total + power, count + 1)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            gradients = [self._normalized(p, group) for p in weights]
            if group["weight_decay"]:
                torch._foreach_add_(gradients, weights, alpha=group["weight_decay"])  # noqa: SLF001
            if group["momentum"]:
                gradients = [
                    self._with_momentum(p, g, group) for p, g in zip(weights, gradients, strict=True)
                ]
            torch._foreach_add_(weights, gradients, alpha=-group["lr"])  # noqa: SLF001
        self._seen.clear()
        return loss

    def _normalized(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        gradient = weight.grad
        assert gradient is not None
        if weight not in self._seen:
            return gradient.clone()
        total, count = self._seen[weight]
        power = total / count
        state = self.state[weight]
        if "power" in state:
            state["power"].lerp_(power, 1 - group["beta"])
        elif group["power_init"] == "first":
            state["power"] = power
        else:
            state["power"] = power * (1 - group["beta"])
        # log P can be negative; the paper clips it at eps.
        divisor = state["power"].log().clamp_min(group["eps"]).to(gradient.dtype)
        if divisor.ndim:
            divisor = per_weight(divisor, weight, self._groups[weight])
        scaled: Tensor = gradient / divisor
        return scaled

    def _with_momentum(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = gradient
        else:
            state["momentum_buffer"].mul_(group["momentum"]).add_(gradient, alpha=1 - group["dampening"])
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def per_weight(values_C: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Numbers a channel, shaped to divide a convolution's weight (out, C / groups, kh, kw).

    In a grouped convolution the kernels of group g read the channels of group g.
    """
    if groups == 1:
        return values_C[None, :, None, None]
    values_GC = values_C.view(groups, -1)
    return values_GC.repeat_interleave(weight.shape[0] // groups, dim=0)[:, :, None, None]
