"""LARS, LAMB and the normalized gradient: steps scaled by norms of weights and gradients.

Sources: You, Gitman, Ginsburg 2017, arXiv 1708.03888 (LARS); You et al. 2020, arXiv 1904.00962 (LAMB,
algorithm 2); Hazan, Levy, Shalev-Shwartz 2015, arXiv 1507.02030 (normalized gradient descent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from robustness.optimizers.stepping import loss_of

__all__ = ["LAMB", "LARS", "NormalizedSGD"]


def _checked(**arguments: float) -> dict[str, Any]:
    for name, value in arguments.items():
        share = name in ("momentum", "beta1", "beta2")
        if not value >= 0 or (share and not value < 1):
            raise ValueError(f"{name} must be >= 0{' and < 1' if share else ''}, got {value}")
    return dict(arguments)


def _ratio(weight_norm: Tensor, update_norm: Tensor, trust: float = 1.0) -> Tensor:
    """Trust x weight norm / update norm; 1 where either norm is 0, so that zero weights can leave zero."""
    ones = torch.ones_like(weight_norm)
    return torch.where((weight_norm > 0) & (update_norm > 0), trust * weight_norm / update_norm, ones)


class _Stepwise(Optimizer):
    """An optimizer that updates one parameter at a time from its gradient and state."""

    def __init__(
        self,
        params: Iterable[Tensor],
        defaults: dict[str, Any],
        update: Callable[[Tensor, Tensor, dict[str, Any], dict[str, Any]], Tensor],
    ) -> None:
        super().__init__(params, defaults)
        self._update = update

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = loss_of(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * self._update(p, p.grad, self.state[p], group))
        return loss


class LARS(_Stepwise):
    """SGD with momentum whose gradient in each layer is multiplied by trust_coefficient |W| / (|g| + weight_decay |W|).

    Without momentum a step is then about lr * trust_coefficient * |W| long, whatever the gradient's size.

    Parameters of one dimension (biases, norm layers) take plain steps, as is usual.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:
        """Check the arguments."""
        defaults = _checked(
            lr=lr, momentum=momentum, weight_decay=weight_decay, trust_coefficient=trust_coefficient
        )
        super().__init__(params, defaults, _lars)


def _lars(p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    decay = group["weight_decay"]
    update = g + decay * p
    if p.ndim > 1:
        update = update * _ratio(p.norm(), g.norm() + decay * p.norm(), group["trust_coefficient"])
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = torch.zeros_like(p)
    buffer: Tensor = state["momentum_buffer"].mul_(group["momentum"]).add_(update)
    return buffer


class LAMB(_Stepwise):
    """Adam with decoupled weight decay whose step in each layer is as long as the layer's weights."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the arguments."""
        _checked(beta1=betas[0], beta2=betas[1])
        defaults = {**_checked(lr=lr, eps=eps, weight_decay=weight_decay), "betas": tuple(betas)}
        super().__init__(params, defaults, _lamb)


def _lamb(p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    if not state:
        state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
    beta1, beta2 = group["betas"]
    state["step"] += 1
    first = state["exp_avg"].lerp_(g, 1 - beta1) / (1 - beta1 ** state["step"])
    second = state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2) / (1 - beta2 ** state["step"])
    update: Tensor = first / (second.sqrt() + group["eps"]) + group["weight_decay"] * p
    return update * _ratio(p.norm(), update.norm())


class NormalizedSGD(Optimizer):
    """Momentum on the gradient divided by its norm over all parameters: every step is lr long at momentum 0."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.1,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        eps: float = 1e-12,
    ) -> None:
        """Check the arguments."""
        super().__init__(params, _checked(lr=lr, momentum=momentum, weight_decay=weight_decay, eps=eps))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = loss_of(closure)
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not gradients:
            return loss
        norm = torch.stack([g.double().norm() for g in gradients]).norm()
        for group in self.param_groups:
            scale = 1 / (norm + group["eps"])
            for p in group["params"]:
                if p.grad is None:
                    continue
                update = p.grad * scale.to(p.dtype) + group["weight_decay"] * p
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                p.sub_(group["lr"] * state["momentum_buffer"].mul_(group["momentum"]).add_(update))
        return loss
