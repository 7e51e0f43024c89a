"""Trackers that a study may log its trials to. The store stays the record; these are for looking on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from robustness.catalog.registry import Entry, Registry
from robustness.errors import SpecError

__all__ = ["TRACKERS", "TrackerEntry"]


@dataclass(frozen=True, kw_only=True)
class TrackerEntry(Entry):
    """A tracker; its name is also that of the extra which brings `module`.

    Attributes:
        module: what its callback imports.
    """

    module: str

    def require(self) -> None:
        """Check that its package is installed.

        Raises:
            SpecError: it is not; the text names the command that installs it.
        """
        if find_spec(self.module) is None:
            raise SpecError.of(
                "loggers",
                f"{self.name} needs more packages; \"pip install 'robustness-study[{self.name}]'\"",
            )


TRACKERS: Registry[TrackerEntry] = Registry(
    "tracker",
    (
        TrackerEntry(
            name="mlflow",
            summary="one MLflow run a trial, in MLFLOW_TRACKING_URI or the folder mlruns",
            module="mlflow",
        ),
        TrackerEntry(
            name="tensorboard",
            summary="one event file a trial, in the folder runs; NaN is left out",
            module="tensorboardX",
        ),
        TrackerEntry(
            name="wandb",
            summary="one W&B run a trial, about 8 s each: for long trainings",
            module="wandb",
        ),
    ),
)
