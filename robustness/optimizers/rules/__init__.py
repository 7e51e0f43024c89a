"""The same updates on packs: K trials of one optimizer family as one matrix of parameters."""

from robustness.optimizers.rules.block import Block
from robustness.optimizers.rules.packed import PackedOptimizer, family, has_rule
from robustness.optimizers.rules.power import Measure

__all__ = ["Block", "Measure", "PackedOptimizer", "family", "has_rule"]
