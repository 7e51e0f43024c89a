"""Training: from a trial to its record."""

from robustness.training.checkpoint import Keeper
from robustness.training.packed import train_pack
from robustness.training.sequential import train, train_by_epochs

__all__ = ["Keeper", "train", "train_by_epochs", "train_pack"]
