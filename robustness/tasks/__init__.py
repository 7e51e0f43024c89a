"""Data sets as tensors, augmentation, and models."""

from robustness.tasks.augment import augment
from robustness.tasks.datasets import Arrays, Dataset, Split, load, read, supply
from robustness.tasks.models import build_model

__all__ = ["Arrays", "Dataset", "Split", "augment", "build_model", "load", "read", "supply"]
