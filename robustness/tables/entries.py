"""Numbers as texts: how many digits each unit has, intervals, counts."""

from __future__ import annotations

import math
from typing import Literal

from robustness.summary.flags import Flag
from robustness.tables.measured import Measurement

__all__ = ["RATES", "Spread", "entry", "printed", "unit_text"]

Spread = Literal["sd", "interval"]

RATES = ("divergence_rate", "nonfinite_rate", "not_trained_rate", "tuned_failure_rate")
"""Shares of n trials; other shares are no counts."""
_SIGNED = ("difference", "comparison", "rate_difference")
_FORMATS = {
    "share": (100, "{:.1f}"),
    "accuracy": (100, "{:.2f}"),
    "skill": (1, "{:.3f}"),
    "decades": (1, "{:.2f}"),
}
_UNITS = {"share": "%", "accuracy": "%", "log10 lr": "", "skill": "", "hyperparameters": ""}


def unit_text(unit: str) -> str:
    """A unit as headers show it; empty where the title says it already."""
    return _UNITS.get(unit, unit)


def printed(m: Measurement, value: float) -> str:
    """One number of a measurement in the digits of its unit, with a real minus sign.

    A learning rate is shown as itself, not as its logarithm.
    """
    if math.isnan(value):
        return "–"
    if m.unit == "log10 lr":
        return "0" if value == -math.inf else "∞" if value == math.inf else f"{10**value:.3g}"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    factor, form = _FORMATS.get(m.unit, (1, "{:.4g}"))
    text = form.format(factor * value)
    if float(text) == 0:
        text = text.lstrip("-")
    sign = "+" if m.metric in _SIGNED and float(text) > 0 else ""
    return sign + text.replace("-", "−")


def entry(m: Measurement, spread: Spread, *, counts: bool = False) -> tuple[str, str]:
    """The entry of a table, and what stands beside it in smaller type.

    Args:
        m: what it shows.
        spread: standard deviations where there is one, else intervals.
        counts: a rate's k/n too.
    """
    if math.isnan(m.value):
        return "–", ""
    if m.unit == "log10 lr" and m.value == math.inf:
        return "> grid", ""
    text = printed(m, m.value)
    if "window" in m.metric and m.has(Flag.CENSORED_LOW, Flag.CENSORED_HIGH, Flag.MISSING_SQUARE):
        text = f"≥ {text}"
    # Nobody states an interval of theirs.
    as_sd = m.metric == "published" or (m.metric == "score" and spread == "sd")
    if as_sd:
        return text + ("" if math.isnan(m.sd) else f" ± {printed(m, m.sd)}"), ""
    asides = [] if math.isnan(m.low) else [f"[{printed(m, m.low)}, {printed(m, m.high)}]"]
    asides += [f"({round(m.value * m.n) if m.flagged is None else m.flagged}/{m.n})"] if counts else []
    return text, " ".join(asides)
