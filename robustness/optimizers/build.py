"""From a catalog name to a torch optimizer on a model."""

from __future__ import annotations

import importlib

from torch import nn
from torch.optim import Optimizer

from robustness.catalog import OPTIMIZERS
from robustness.errors import SpecError
from robustness.trial import Named

__all__ = ["build_optimizer"]


def build_optimizer(named: Named, model: nn.Module, lr: float) -> Optimizer:
    """The optimizer with its own arguments and the learning rate, on the model's parameters.

    Schedule, warm-up and clipping are the trainer's; see `schedules`.

    Raises:
        SpecError: the optimizer does not run on this model; the text says why.
    """
    entry = OPTIMIZERS.get(named.name)
    module, attribute = entry.target.split(":")
    factory = getattr(importlib.import_module(module), attribute)
    own = {argument.name for argument in entry.own}
    arguments = {name: value for name, value in named.arguments if name in own}
    try:
        optimizer: Optimizer = factory(model if entry.takes_model else model.parameters(), lr=lr, **arguments)
    except ValueError as error:
        raise SpecError.of(named.name, str(error)) from error
    return optimizer
