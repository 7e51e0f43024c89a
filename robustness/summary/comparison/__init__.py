"""One optimizer against another: pairs of the same seeds, tests, what so many seeds can tell, and sentences."""

from robustness.summary.comparison.comparing import compare, compare_all, compare_cell
from robustness.summary.comparison.result import Comparison
from robustness.summary.comparison.sentences import sentence

__all__ = ["Comparison", "compare", "compare_all", "compare_cell", "sentence"]
