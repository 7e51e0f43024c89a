"""Running a study: its missing trials on a Ray cluster, every result into the store as it ends."""

from robustness.sweep.runner import RunSummary, run_study

__all__ = ["RunSummary", "run_study"]
