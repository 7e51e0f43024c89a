"""SGD with fixed multipliers: the controls that ask whether INSGD is more than a smaller step.

Each takes the module, looks at the inputs of its first forward pass, and never again.

- `LayerwiseSGD` (`sgd-layerwise`): the multipliers that the released INSGD code has on inputs that it does
  not clamp, sqrt(1 + 1e-6) / ((sqrt(1 - momentum) + 1e-6) log(n - 1)), n the positions of a channel; for a
  Linear layer of n features log(n - 1 + 0.1). 3.162 / log(n - 1) at momentum 0.9.
- `FrozenSGD` (`sgd-frozen`): INSGD's divisors max(log P_1, eps) of the first batch. Weight decay is
  divided too, as by an SGD of that learning rate; in the published order decay escapes the division.
- `ScaledSGD` (`sgd-scaled`): one multiplier for every parameter, the geometric mean of the frozen ones over
  all weights of layers.

Source: the design's list of controls for a fair study of INSGD.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from robustness.optimizers.observer import InputObserver, Measure
from robustness.optimizers.power import input_power, spatial_size
from robustness.optimizers.stepping import loss_of, restore_type

__all__ = ["FrozenSGD", "LayerwiseSGD", "ScaledSGD", "log_of_size"]


Multipliers = Callable[[list[Tensor], list[Tensor]], list[Tensor]]
"""(weights of layers, the figure of each) -> the multiplier of each."""


class _FixedMultipliers(Optimizer):
    """SGD with momentum whose update of each layer's weight is multiplied by a constant.

    Args:
        model: its layers' inputs are looked at until the first step.
        defaults: lr, momentum, weight_decay.
        measure: of a layer and its input.
        multipliers: from what was measured.
        rest: the multiplier of parameters without a layer input, from those of the layers.
    """

    def __init__(
        self,
        model: nn.Module,
        defaults: dict[str, float],
        measure: Measure,
        multipliers: Multipliers,
        rest: Callable[[list[Tensor]], Tensor] = lambda _: torch.ones(()),
    ) -> None:
        for name in ("lr", "weight_decay"):
            if not defaults[name] >= 0:
                raise ValueError(f"{name} must be >= 0, got {defaults[name]}")
        if not 0 <= defaults["momentum"] < 1:
            raise ValueError(f"momentum must be >= 0 and < 1, got {defaults['momentum']}")
        super().__init__([p for p in model.parameters() if p.requires_grad], defaults)
        self._multipliers = multipliers
        self._rest = rest
        self._observer = InputObserver(model, measure, frozenset())

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = loss_of(closure)
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            self._look_once(weights)
            gradients = [w.grad for w in weights if w.grad is not None]
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
            for weight, gradient in zip(weights, gradients, strict=True):
                state = self.state[weight]
                if "momentum_buffer" in state:
                    state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
                else:
                    state["momentum_buffer"] = gradient.clone()
                weight.sub_(group["lr"] * state["multiplier"].to(weight.dtype) * state["momentum_buffer"])
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset gradients, and what was seen with them: a step that a GradScaler skipped leaves none."""
        super().zero_grad(set_to_none)
        self._observer.forget()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; multipliers keep their own type."""
        super().load_state_dict(state_dict)
        restore_type(self, state_dict, "multiplier")

    def close(self) -> None:
        """Remove the hooks, if the first step has not yet."""
        self._observer.close()

    def _look_once(self, weights: list[Tensor]) -> None:
        new = [w for w in weights if "multiplier" not in self.state[w]]
        if not new:
            self._observer.close()  # no more to look at: after a first step that was another process's, too
            return
        figures = self._observer.collected()
        layers = [w for w in new if w in figures]
        multipliers = self._multipliers(layers, [figures[w] for w in layers])
        rest = self._rest(multipliers)
        for weight in new:
            self.state[weight]["multiplier"] = rest.to(weight.device)
        for weight, multiplier in zip(layers, multipliers, strict=True):
            self.state[weight]["multiplier"] = multiplier
        self._observer.close()


class LayerwiseSGD(_FixedMultipliers):
    """SGD with momentum and the fixed multipliers of the released INSGD code.

    Raises:
        ValueError: an argument breaks its rule, or a layer's input cannot be seen.
    """

    def __init__(
        self, model: nn.Module, lr: float = 0.1, *, momentum: float = 0.9, weight_decay: float = 0.0
    ) -> None:
        """Check the arguments and look out for the first batch."""
        factor = math.sqrt(1 + 1e-6) / (math.sqrt(max(1 - momentum, 0)) + 1e-6)

        def multipliers(_: list[Tensor], logarithms: list[Tensor]) -> list[Tensor]:
            return [factor / logarithm for logarithm in logarithms]

        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(model, defaults, _measured_size, multipliers)


class FrozenSGD(_FixedMultipliers):
    """SGD with momentum, each layer's update divided by INSGD's divisor of the first batch.

    Raises:
        ValueError: an argument breaks its rule, or a layer's input cannot be seen.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        norm: str = "l2",
        eps: float = 0.01,
    ) -> None:
        """Check the arguments and look out for the first batch."""
        _check_power(norm, eps)
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(model, defaults, _power(norm), lambda _, powers: _inverse_logs(powers, eps))


class ScaledSGD(_FixedMultipliers):
    """SGD with momentum and one multiplier: the geometric mean of `FrozenSGD`'s over all layers' weights.

    Raises:
        ValueError: an argument breaks its rule, or a layer's input cannot be seen.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        norm: str = "l2",
        eps: float = 0.01,
    ) -> None:
        """Check the arguments and look out for the first batch."""
        _check_power(norm, eps)

        def one_for_all(weights: list[Tensor], powers: list[Tensor]) -> list[Tensor]:
            own = _inverse_logs(powers, eps)
            # Every channel has as many entries of the weight as any other.
            total = sum(m.log().mean().double() * w.numel() for w, m in zip(weights, own, strict=True))
            mean = torch.as_tensor(total / sum(w.numel() for w in weights)).exp()
            return [mean] * len(weights)

        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(
            model, defaults, _power(norm), one_for_all, lambda own: own[0] if own else torch.ones(())
        )


def log_of_size(module: nn.Module, positions: int) -> float:
    """The released code's logarithm of a standardized input of so many positions a channel (features, if Linear)."""
    power = positions - 1 + (0.1 if isinstance(module, nn.Linear) else 0.0)
    # Clamped as the released code clamps its logarithm.
    return max(math.log(power), 0.01) if power > 0 else 0.01


def _measured_size(module: nn.Module, x: Tensor) -> tuple[Tensor, int]:
    logarithm = log_of_size(module, spatial_size(module, x))
    return torch.tensor(logarithm, dtype=torch.float64, device=x.device), 1


def _power(norm: str) -> Measure:
    return lambda module, x: input_power(module, x, norm, "channel")


def _inverse_logs(powers: list[Tensor], eps: float) -> list[Tensor]:
    return [1 / power.log().clamp_min(eps) for power in powers]


def _check_power(norm: str, eps: float) -> None:
    if norm not in ("l1", "l2"):
        raise ValueError(f"norm must be one of l1, l2, got {norm!r}")
    if not eps > 0:
        raise ValueError(f"eps must be > 0, got {eps}")
