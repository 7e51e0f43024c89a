"""From a catalog name to a torch optimizer on a model."""

from __future__ import annotations

import importlib

from torch import nn
from torch.optim import Optimizer

from robustness.catalog import OPTIMIZERS
from robustness.optimizers.insgd import INSGD
from robustness.trial import Named

__all__ = ["build_optimizer"]


def build_optimizer(named: Named, model: nn.Module, lr: float) -> Optimizer:
    """The optimizer with its arguments and learning rate, on the model's parameters."""
    module, attribute = OPTIMIZERS.get(named.name).target.split(":")
    factory = getattr(importlib.import_module(module), attribute)
    # INSGD must see the layers' inputs, so it takes the model itself.
    subject = model if factory is INSGD else model.parameters()
    optimizer: Optimizer = factory(subject, lr=lr, **dict(named.arguments))
    return optimizer
