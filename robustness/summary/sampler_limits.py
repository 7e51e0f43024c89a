"""What can be said of trials that were chosen by their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["designed", "not_independent", "not_meant", "orders_of", "sampler_of"]

_TUNED = (
    "score",
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
_MEANT: dict[str, tuple[tuple[str, ...], str]] = {
    "edge": (("critical_lr",), "learning rates were chosen by edge, around where training ends"),
    "tpe": (_TUNED, "settings were chosen by tpe, where scores are best"),
}
"""The metrics that an adaptive sampler's trials are made for, and why they say nothing of others."""


def sampler_of(spec: Mapping[str, Any]) -> str:
    """The sampler of a stored study's spec; empty where it was imported."""
    return str(spec.get("search", {}).get("sampler", ""))


def orders_of(spec: Mapping[str, Any]) -> int:
    """With how many data orders a stored study's weights are crossed."""
    return int(spec.get("search", {}).get("orders", 1))


def not_meant(metric: str, sampler: str) -> str:
    """Why a metric cannot be had from this sampler's trials; empty where it can."""
    meant, why = _MEANT.get(sampler, ((metric,), ""))
    return "" if metric in meant else why


def designed(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials of a study's design, without those that a sampler added to it; all where there is no design."""
    own = trials[trials["reason"] == ""]
    return own if len(own) else trials


def not_independent(sampler: str) -> bool:
    """Its trials depend on each other: there is no formula for the best of k of them, no share that explains them."""
    return sampler in _MEANT
