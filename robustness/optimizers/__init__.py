"""Optimizers: INSGD, and building any optimizer of the catalog for a model."""

from robustness.optimizers.build import build_optimizer
from robustness.optimizers.insgd import INSGD

__all__ = ["INSGD", "build_optimizer"]
