"""A comparison as a sentence that a reader understands without its table."""

from __future__ import annotations

import math

from robustness.summary.comparison.paired import EXACT, least_p
from robustness.summary.comparison.power import ALPHA
from robustness.summary.comparison.result import Comparison

__all__ = ["amount", "number", "p_text", "sentence"]

_PERCENT = ("share", "skill", "accuracy")
_VERBS: dict[str, tuple[str, str, str]] = {
    "divergence_rate": ("diverges less often than", "diverges more often than", "diverges as often as"),
    "nonfinite_rate": (
        "has losses that are not finite less often than",
        "has losses that are not finite more often than",
        "has losses that are not finite as often as",
    ),
    "not_trained_rate": (
        "leaves fewer trials not trained than",
        "leaves more trials not trained than",
        "leaves as many trials not trained as",
    ),
    "score": ("scores lower, tuned, than", "scores higher, tuned, than", "scores the same, tuned, as"),
    "skill": (
        "reaches less skill, tuned, than",
        "reaches more skill, tuned, than",
        "reaches the same skill, tuned, as",
    ),
    "tolerance_window": (
        "tolerates a narrower range of learning rates than",
        "tolerates a wider range of learning rates than",
        "tolerates as wide a range of learning rates as",
    ),
    "critical_lr": (
        "stops training closer to the middle of its window than",
        "stops training further above the middle of its window than",
        "stops training as far above the middle of its window as",
    ),
    "lr_sensitivity": (
        "depends less on the learning rate than",
        "depends more on the learning rate than",
        "depends as much on the learning rate as",
    ),
    "expected_score": (
        "scores lower around its default learning rate than",
        "scores higher around its default learning rate than",
        "scores the same around its default learning rate as",
    ),
}
"""Where the difference is below 0, above it, and 0."""


def sentence(found: Comparison) -> str:
    """What a comparison found: effect, interval, test, verdict, and what would be needed to tell.

    Args:
        found: of `comparison.compare`.
    """
    where = f"On {found.task}"
    where += f" with the initialization {found.init}" if found.init is not None else ""
    where += f" at learning rate {found.lr:g}" if found.lr is not None else ""
    where += "," if found.init is not None else ""
    if math.isnan(found.difference):
        return f"{where} {found.a} and {found.b} cannot be compared by {found.metric}: {found.note}."
    less, more, same = _VERBS[found.metric]
    verb = same if found.difference == 0 else less if found.difference < 0 else more
    if found.metric == "critical_lr" and not found.relative:
        verb = verb.replace("closer to the middle of its window", "at a smaller learning rate")
        verb = verb.replace("further above the middle of its window", "at a larger learning rate")
        verb = verb.replace("as far above the middle of its window as", "at the same learning rate as")
    values = f"{_value(found.a_value, found.unit)} against {_value(found.b_value, found.unit)}"
    head = f"{where} {found.a} {verb} {found.b}: {values}, a difference of {amount(found.difference, found.unit)}"
    parts = [f"{head} ({_evidence(found)}): {_verdict(found)}."]
    parts += [_beside(found)] if found.nominal is not None else []
    parts += [f"Note: {found.note}."] if found.note else []
    return " ".join(parts)


def _evidence(found: Comparison) -> str:
    low, high = (number(x, found.unit) for x in (found.low, found.high))
    interval = f"95 % interval {low} to {high}" if not math.isnan(found.low) else "no interval"
    seeds = "1 seed" if found.n == 1 else f"{found.n} seeds"
    whole = "" if found.lr is not None or found.n == 1 else " whole"
    test = f"{found.test} {p_text(found.p)}" if found.test else "no test"
    holm = (
        f", Holm over {found.family} comparisons {found.p_holm:.2g}"
        if found.family > 1 and found.test
        else ""
    )
    return f"{interval}, {seeds}{whole}; {test}{holm}"


def _verdict(found: Comparison) -> str:
    if found.tells:
        return "the data tell them apart"
    parts = ["the data cannot tell"]
    if found.p_holm < ALPHA:
        where = ", where windows are found anew in every draw, " if found.relative else " "
        parts.append(f"the test finds a difference, but the interval{where}holds 0")
    least = min(least_p(found.n) * found.family, 1.0)
    if found.test and found.n <= EXACT and least >= ALPHA:
        holm = " after Holm's correction" if found.family > 1 else ""
        parts.append(f"{found.n} seeds cannot go below p = {least:.2g}{holm}, whatever they show")
    if found.needed is not None:
        parts.append(f"about {found.needed:,} seeds would tell a difference of this size with 80 % power")
    return "; ".join(parts)


def _beside(found: Comparison) -> str:
    """The comparison at nominal learning rates, and whether it says something else."""
    nominal = found.nominal
    if nominal is None or math.isnan(nominal.difference):
        return "At the same nominal learning rates there is nothing to compare."
    how, where = "Counted from the middle of each one's window", "at the same nominal learning rates"
    how += f", over {found.points} learning rates" if found.points else ""
    if found.metric == "lr_sensitivity":
        how, where = "Within a decade of each one's tuned learning rate", "over each one's whole grid"
    test = f" ({p_text(nominal.p)})" if not math.isnan(nominal.p) else ""
    text = f"{how}; {where} the difference is {amount(nominal.difference, found.unit)}{test}"
    return (
        f"{text}, which disagrees: the units of the two learning rates decide."
        if found.disagrees
        else f"{text}."
    )


def p_text(p: float) -> str:
    """A p value as readers write it.

    >>> p_text(0.0004), p_text(0.0625)
    ('p < 0.001', 'p = 0.062')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def amount(value: float, unit: str) -> str:
    """A difference with its unit.

    >>> amount(-0.0104, "share"), amount(0.5, "decades"), amount(float("inf"), "loss")
    ('-1.0 points', '0.50 decades', '–')
    """
    if not math.isfinite(value):
        return "–"
    names = {"decades": "decades", "log10 lr": "decades"}
    name = "points" if unit in _PERCENT else names.get(unit, f"in {unit}")
    return f"{number(value, unit)} {name}"


def number(value: float, unit: str) -> str:
    """The number alone, shares in percent.

    >>> number(-0.0001, "share"), number(0.25, "decades"), number(0.12345, "loss")
    ('0.0', '0.25', '0.123')
    """
    if unit in _PERCENT:
        text = f"{100 * value:.1f}"
    else:
        text = f"{value:.2f}" if unit in ("decades", "log10 lr") else f"{value:.3g}"
    return text.removeprefix("-") if not float(text) else text


def _value(value: float, unit: str) -> str:
    text = number(value, unit)
    return f"{text} %" if unit in _PERCENT else f"10^{text}" if unit == "log10 lr" else text
