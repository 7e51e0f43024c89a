"""Frames of trials for tests of the summary, without a store."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from robustness.summary import TaskConstants

FACTS = TaskConstants(chance=0.1, constant_loss=2.3, reference=0.97, test_size=360)


def trial(**changes: Any) -> dict[str, Any]:
    """One complete trial that trained well, as a row."""
    return {
        "task": "t",
        "optimizer": "o",
        "init": "i",
        "reason": "",
        "lr": 0.1,
        "seed_index": 0,
        "key": "",
        "state": "complete",
        "attempts": 1,
        "l0": 2.31,
        "nonfinite": float(not math.isnan(changes.get("first_nonfinite_step", math.nan))),
        "first_nonfinite_step": math.nan,
        "stopped": 0.0,
        "epochs": 10.0,
        "train_loss": 0.1,
        "min_train_loss": 0.1,
        "max_train_loss": 2.4,
        "max_loss_rise": 0.1,
        "validation_loss": 0.2,
        "validation_accuracy": 0.95,
        "test_loss": 0.2,
        "test_accuracy": 0.95,
        "max_earlier_score": 0.94,
        "parameter_norm": 5.0,
        "distance": 1.0,
        "clamped_share": math.nan,
        "seconds": 0.1,
        **changes,
    }


NONFINITE = {
    "first_nonfinite_step": 3.0,
    "train_loss": math.nan,
    "validation_accuracy": math.nan,
    "test_accuracy": math.nan,
}
AT_CHANCE = {
    "train_loss": 2.3,
    "min_train_loss": 2.3,
    "validation_accuracy": 0.1,
    "test_accuracy": 0.1,
    "max_earlier_score": 0.1,
}
BLOWUP = {**AT_CHANCE, "train_loss": 50.0}


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([trial(**row) for row in rows] or [trial()]).iloc[: max(len(rows), 0)]
