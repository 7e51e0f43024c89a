"""Training: from a trial to its record."""

from robustness.training.packed import train_pack
from robustness.training.sequential import train

__all__ = ["train", "train_pack"]
