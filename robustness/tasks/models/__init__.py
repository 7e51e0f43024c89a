"""Models, one file a family."""

from __future__ import annotations

import importlib

from torch import nn

from robustness.catalog import DATASETS, MODELS
from robustness.trial import TaskConfig

__all__ = ["build_model"]


def build_model(task: TaskConfig) -> nn.Module:
    """The task's model for its data set's inputs and classes; weights are whatever PyTorch drew."""
    facts = DATASETS.get(task.data.name).facts(dict(task.data.arguments))
    module, attribute = MODELS.get(task.model.name).target.split(":")
    factory = getattr(importlib.import_module(module), attribute)
    model: nn.Module = factory(
        shape=facts.shape, classes=facts.classes, norm=task.norm, **dict(task.model.arguments)
    )
    return model
