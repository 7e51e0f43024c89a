"""Ray Tune's MLflow callback, writing all of a trial at once."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from ray.air.integrations.mlflow import MLflowLoggerCallback

from robustness.store.rows import chunks

__all__ = ["BatchedMLflow"]

MOST_AT_ONCE = 1_000
"""Metrics that MLflow takes in one call; of parameters it takes 100."""


class BatchedMLflow(MLflowLoggerCallback):
    """Logs one trial after the other: value by value, 10 epochs take four times as long.

    In a folder each call looks through all runs of the experiment, so that few calls matter the more.
    """

    def setup(self, *args: Any, **info: Any) -> None:
        """As Ray's."""
        super().setup(*args, **info)  # type: ignore[no-untyped-call]
        self._client = MlflowClient(self.tracking_uri)
        self._metrics: list[Metric] = []

    def log_trial_start(self, trial: Any) -> None:
        """Begin the run; its parameters wait."""
        self._bare = replace(trial, config={})
        super().log_trial_start(self._bare)

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Keep the result for the trial's end."""
        now = int(time.time() * 1_000)
        self._metrics += [
            Metric(name, float(value), now, iteration)
            for name, value in result.items()
            if name != "training_iteration"
        ]

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Write everything and end the run."""
        run_id = self._trial_runs[self._bare]
        self._client.log_batch(
            run_id, params=[Param(name, str(value)) for name, value in trial.config.items()]
        )
        for part in chunks(self._metrics, MOST_AT_ONCE):
            self._client.log_batch(run_id, metrics=part)
        self._metrics.clear()
        super().log_trial_end(self._bare, failed)
        del self._trial_runs[self._bare]  # a long sweep has 100,000
