"""What a study names must be on this machine."""

from __future__ import annotations

from pathlib import Path

from robustness.catalog import DATASETS, OPTIMIZERS, TRACKERS
from robustness.spec.models import StudySpec
from robustness.spec.space import Space

__all__ = ["require_parts"]


def require_parts(study: StudySpec, space: Space, root: Path) -> None:
    """Check that its data sets are under `root`, and packages of its optimizers and trackers installed.

    Raises:
        DataMissing: a data set is not there; the text says which command gets it.
        SpecError: a package is not installed.
    """
    for task in space.tasks:
        DATASETS.get(task.config.data.name).require(root)
    for optimizer, _ in space.optimizers:
        OPTIMIZERS.get(optimizer.config.name).require()
    for name in study.loggers:
        TRACKERS.get(name).require()
