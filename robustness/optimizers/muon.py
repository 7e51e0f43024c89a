"""Muon on matrices, AdamW on the rest: PyTorch's Muon takes two-dimensional parameters only.

Source: Jordan et al. 2024; torch.optim.Muon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer

from robustness.optimizers.stepping import loss_of

__all__ = ["MuonWithAdamW"]


class MuonWithAdamW(Optimizer):
    """Two optimizers as one, sharing learning rate and weight decay.

    Convolutions' weights have four dimensions and go to AdamW, as biases and norm layers do.
    `adjust_lr_fn = "match_rms_adamw"` gives Muon's steps the length of AdamW's, so that one learning rate
    serves both.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: str = "original",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        """Divide the parameters by their number of dimensions."""
        listed = list(params)
        matrices, rest = [p for p in listed if p.ndim == 2], [p for p in listed if p.ndim != 2]
        self._parts: list[Optimizer] = []
        if matrices:
            options: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
            self._parts.append(
                Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn=adjust_lr_fn, **options)
            )
        if rest:
            self._parts.append(AdamW(rest, lr=lr, weight_decay=weight_decay, betas=betas, eps=eps))
        super().__init__(listed, {"lr": lr})
        # Schedulers change the groups of the whole; they are the parts' own.
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = loss_of(closure)
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both, in order."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states of both."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]
