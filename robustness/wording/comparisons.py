"""A comparison in sentences that a reader understands without its table: the verdict first, one statement a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from robustness.phrases import counted, listed
from robustness.summary.comparison.power import ALPHA
from robustness.summary.comparison.result import Comparison
from robustness.summary.flags import Flag, Remark, has_flag

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
        "stops training at a smaller learning rate than",
        "stops training at a larger learning rate than",
        "stops training at the same learning rate as",
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
    "margin": (
        "has a smaller margin before it fails than",
        "has a larger margin before it fails than",
        "has the same margin before it fails as",
    ),
}
"""Where the difference is below 0, above it, and shown to be none."""
_VALUES = {
    "divergence_rate": "mean over seeds of the share of the common learning rates at which trials diverge",
    "nonfinite_rate": "mean over seeds of the share of the common learning rates at which losses are not finite",
    "not_trained_rate": "mean over seeds of the share of the common learning rates at which trials do not train",
    "score": "mean test score over the seeds that train with both",
    "skill": "median skill over seeds",
    "tolerance_window": "width of the window of median scores",
    "critical_lr": "mean over seeds of the first learning rate that does not train",
    "lr_sensitivity": "mean training loss within a decade of the centre, above the least, over seeds",
    "expected_score": "mean test score within a decade of the default learning rate, over seeds",
    "margin": "mean over seeds of the decades that train above the centre",
}
"""What each optimizer's value is."""
_ALIGNED = ("divergence_rate", "nonfinite_rate", "not_trained_rate", "lr_sensitivity", "margin")


def sentence(found: Comparison) -> str:
    """What a comparison found: verdict, values, interval and test, initializations, and what a reader must know.

    Args:
        found: of `summary.comparison`.
    """
    where = f"On {found.task}"
    where += f" with the initialization {found.init}" if found.init is not None else ""
    where += f" at learning rate {found.lr:g}" if found.lr is not None else ""
    if math.isnan(found.difference):
        reasons = "; ".join(dict.fromkeys(_remarks(found)))
        return f"{where}, {found.a} and {found.b} cannot be compared by {found.metric}: {reasons}."
    parts = [f"{where}, {_verdict(found)}", _figures(found), *_why_none(found)]
    parts += [_by_init(found)] if len(found.inits) > 1 else []
    parts += [_beside(found)] if found.nominal is not None else []
    if found.metric in _ALIGNED and found.lr is None:
        parts.append("Learning rates are counted from the centre of each one's skill by validation scores.")
    if found.metric == "critical_lr":
        parts.append("Learning rates are nominal: an optimizer whose steps are smaller stops training later.")
    parts += [f"{text[:1].upper()}{text[1:]}." for text in dict.fromkeys(_remarks(found))]
    return " ".join(parts)


def _verdict(found: Comparison) -> str:
    less, more, same = _VERBS[found.metric]
    if found.tells:
        return f"{found.a} {less if found.difference < 0 else more} {found.b}."
    if has_flag(found.remarks, Flag.OPPOSITE_SIGNS):
        return f"{found.a} and {found.b} differ in opposite directions by initialization."
    if found.is_equivalent:
        return f"{found.a} {same} {found.b}, to within {amount(found.resolution, found.unit)}."
    return f"no difference between {found.a} and {found.b} could be shown by {found.metric}."


def _figures(found: Comparison) -> str:
    what = "share of seeds" if found.lr is not None else _VALUES[found.metric]
    values = f"{_value(found.a_value, found.unit)} against {_value(found.b_value, found.unit)}"
    interval = "no interval"
    if not math.isnan(found.low):
        interval = f"95 % interval {number(found.low, found.unit)} to {number(found.high, found.unit)}"
        interval += "" if found.lr is not None else f", resampled over {counted(found.n, 'whole seed')}"
    test = f"{found.test} {p_text(found.p)}" if found.test else "no test"
    many = found.family > 1 and bool(found.test)
    holm = f", {found.p_holm:.2g} after Holm's correction over {found.family} comparisons" if many else ""
    seeds = f" of {counted(found.n, 'seed')}" if found.lr is not None or math.isnan(found.low) else ""
    difference = amount(found.difference, found.unit)
    return f"The {what}{seeds}: {values}, a difference of {difference} ({interval}; {test}{holm})."


def _why_none(found: Comparison) -> Iterator[str]:
    """What keeps a difference from being told, and what would help."""
    if found.tells:
        return
    if has_flag(found.remarks, Flag.NOT_RESOLVED):
        step = "A step" if found.metric == "tolerance_window" else "Half a step"
        yield f"{step} of the grid is worth {amount(found.resolution, found.unit)}, so this grid cannot resolve it."
    elif found.p < ALPHA <= found.p_holm:
        yield "The test alone would find a difference, but not after the correction."
    if found.needed is not None:
        yield f"About {found.needed:,} seeds would tell a difference of this size with 80 % power."


def _by_init(found: Comparison) -> str:
    def text(low: float, high: float) -> str:
        return "" if math.isnan(low) else f" ({number(low, found.unit)} to {number(high, found.unit)})"

    each = [
        f"{one.init} {amount(one.difference, found.unit)}{text(one.low, one.high)}" for one in found.inits
    ]
    return f"By initialization: {listed(each, 6)}."


def _beside(found: Comparison) -> str:
    """The comparison at nominal learning rates, and whether it says something else."""
    nominal = found.nominal
    if nominal is None or math.isnan(nominal.difference):
        return "At the same nominal learning rates there is nothing to compare."
    where = (
        "over each one's whole grid"
        if found.metric == "lr_sensitivity"
        else "at the same nominal learning rates"
    )
    interval = f" ({number(nominal.low, found.unit)} to {number(nominal.high, found.unit)})"
    interval = "" if math.isnan(nominal.low) else interval
    text = (
        f"{where[:1].upper()}{where[1:]} the difference is {amount(nominal.difference, found.unit)}{interval}"
    )
    return f"{text}: the units of the two learning rates decide." if found.disagrees else f"{text}."


def _remarks(found: Comparison) -> Iterator[str]:
    """What each flag says of these two optimizers; those that the verdict says already say nothing."""
    for remark in found.remarks:
        yield from _remark(remark, (found.a, found.b), refused=math.isnan(found.difference))


_ALONE: dict[Flag, str] = {
    Flag.DRAWN_LRS: "learning rates were drawn at random, so that no two trials are a pair",
    Flag.NO_COMMON_INIT: "they have no common initialization",
    Flag.NO_COMMON_SEED: "no seed is complete for both",
    Flag.NOT_DEFINED: "it is not defined for these trials",
    Flag.CHOSEN_BY_EDGE: "learning rates were chosen by edge, around where training ends",
    Flag.CHOSEN_BY_TPE: "settings were chosen by tpe, where scores are best",
    Flag.SELECTED_ON_TEST: "learning rates were tuned on test data",
    Flag.BOTH_CENSORED: "both windows touch the edge of their grids on an initialization, so that neither width is known",
    Flag.ONE_SEED: "one seed has no interval and no test",
    Flag.ALL_SEEDS_AGREE: "all seeds agree",
}
_OF_ONE: dict[Flag, str] = {
    Flag.NOTHING_COMPLETE: "no trial of {} is complete",
    Flag.NOTHING_TRAINS: "{} trains nowhere",
    Flag.MISSING_SQUARE: "{} lacks a square that the number rests on",
    Flag.NO_COMMON_LR: "{} has fewer than two learning rates",
    Flag.NO_DEFAULT_LR: "the default learning rate of {} is not known",
    Flag.NO_TRAINING_LOSS: "{} has no training losses, or nothing to cap them at",
    Flag.MOST_SEEDS_DO_NOT_TRAIN: "most seeds of {} train at no learning rate: a window of 0",
    Flag.AT_GRID_EDGE: "the window of {} touches the grid's edge and is at least as wide",
}
"""Of the optimizer that the first number names."""


def _remark(remark: Remark, names: tuple[str, str], *, refused: bool) -> Iterator[str]:
    flag, numbers = remark.flag, remark.numbers
    if flag in _ALONE:
        yield _ALONE[flag]
    elif flag in _OF_ONE:
        yield _OF_ONE[flag].format(names[int(numbers[0])])
    elif flag is Flag.COMMON_RANGE and not refused:
        common, shorter = numbers
        if common < shorter - 0.005:
            yield f"both cover {common:.2f} of the {shorter:.2f} decades; what lies outside does not count"
    elif flag is Flag.LITTLE_OVERLAP:
        yield (
            f"the {numbers[0]:.2f} decades that both cover show too little of either to tell: failures, or half of the "
            "learning rates, lie outside"
        )
    elif flag is Flag.ADDED_LRS_LEFT_OUT:
        yield f"{counted(int(numbers[1]), 'learning rate')} that a sampler added to {names[int(numbers[0])]} do not count"
    elif flag is Flag.PRIOR_COVERAGE:
        yield f"the grids cover {100 * numbers[0]:.0f} % of the decade each side of the defaults"
    elif flag is Flag.SOME_SEEDS_FAILED:
        yield f"{counted(int(numbers[0]), 'pair')} of {int(numbers[1])} are left out, as one of them did not train"
    elif flag is Flag.END_NOT_KNOWN:
        rows = f"{int(numbers[1])} of {int(numbers[2])} rows of {names[int(numbers[0])]}"
        yield f"{rows} train nowhere, or their end is not known, and are left out"
    elif flag is Flag.CENSORED_HIGH and len(numbers) > 1:
        rows = f"{int(numbers[1])} of {int(numbers[2])} rows of {names[int(numbers[0])]}"
        yield f"{rows} train up to the grid's edge and count as failing one step beyond it"
    elif flag is Flag.CENSORED_HIGH:
        yield f"some seeds of {names[int(numbers[0])]} train up to the grid's edge: the margin ends there"
    elif flag is Flag.MISSING_TRIALS:
        yield f"{counted(int(numbers[0]), 'trial')} of the grid {'is' if numbers[0] == 1 else 'are'} missing"
    elif flag is Flag.ONLY_ONE_OF_A_PAIR:
        yield f"{int(numbers[0])} seeds fail only with {names[0]}, {int(numbers[1])} only with {names[1]}"
    elif flag is Flag.TOO_FEW_SEEDS_TO_TELL:
        yield f"so few seeds cannot go below p = {numbers[0]:.2g}, whatever they show"


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
