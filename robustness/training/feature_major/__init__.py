"""K trials as one network on activations whose last axis is the batch, with hand-written backward passes."""

from robustness.training.feature_major.network import FeatureMajor

__all__ = ["FeatureMajor"]
