"""Data sets as tensors, augmentation, and models."""

from robustness.tasks.augment import augment
from robustness.tasks.datasets import Dataset, Split, load, scaled
from robustness.tasks.models import build_model

__all__ = ["Dataset", "Split", "augment", "build_model", "load", "scaled"]
