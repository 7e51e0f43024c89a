"""The same updates on packs: K trials of one optimizer family as one matrix of parameters."""

from robustness.optimizers.rules.block import Block
from robustness.optimizers.rules.packed import RULES, PackedOptimizer
from robustness.optimizers.rules.power import Measure

__all__ = ["RULES", "Block", "Measure", "PackedOptimizer"]
