"""Training: from a trial to its record."""

from robustness.training.sequential import train

__all__ = ["train"]
