"""What can be said of trials that were chosen by their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustness.summary.flags import Flag

__all__ = ["designed", "not_independent", "not_meant", "orders_of", "sampler_of"]

_TUNED = (
    "score",
    "tuned_failure_rate",
    "skill",
    "tuned_lr",
    "accuracy_spread_sd",
    "accuracy_spread_iqr",
    "accuracy_spread_p05",
    "accuracy_spread_worst",
    "iqm",
    "performance_profile",
    "optimality_gap",
    "probability_of_improvement",
    "comparison",
)
_MEANT: dict[str, tuple[tuple[str, ...], Flag]] = {
    "edge": (("critical_lr", "margin"), Flag.CHOSEN_BY_EDGE),
    "tpe": (_TUNED, Flag.CHOSEN_BY_TPE),
}
"""The metrics that an adaptive sampler's trials are made for, and why they say nothing of others."""


def sampler_of(spec: Mapping[str, Any]) -> str:
    """The sampler of a stored study's spec; empty where it was imported."""
    return str(spec.get("search", {}).get("sampler", ""))


def orders_of(spec: Mapping[str, Any]) -> int:
    """With how many data orders a stored study's weights are crossed."""
    return int(spec.get("search", {}).get("orders", 1))


def not_meant(metric: str, sampler: str) -> Flag | None:
    """Why a metric cannot be had from this sampler's trials; None where it can."""
    metrics, why = _MEANT.get(sampler, ((metric,), None))
    return None if metric in metrics else why


def designed(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials of a study's design, without those that a sampler added to it; all where there is no design."""
    own = trials[trials["reason"] == ""]
    return own if len(own) else trials


def not_independent(sampler: str) -> bool:
    """Its trials depend on each other: there is no formula for the best of k of them, no share that explains them."""
    return sampler in _MEANT
