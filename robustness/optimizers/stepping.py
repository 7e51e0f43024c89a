"""What our optimizers do around their update, beyond torch's own base class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

__all__ = ["loss_of", "restore_type"]


def loss_of(closure: Callable[[], float] | None) -> float | None:
    """The loss of a closure, evaluated with gradients; None where there is none."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def restore_type(optimizer: Optimizer, state_dict: dict[str, Any], name: str) -> None:
    """After loading, give one entry of every parameter's state its own type again: torch casts it to the parameter's."""
    ids = [i for group in state_dict["param_groups"] for i in group["params"]]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for i, parameter in zip(ids, parameters, strict=True):
        value = state_dict["state"].get(i, {}).get(name)
        if value is not None:
            optimizer.state[parameter][name] = value.detach().to(parameter.device, copy=True)
