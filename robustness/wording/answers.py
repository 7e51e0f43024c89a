"""The sentences of a study's answer, from the numbers that `report.answer` gathers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robustness.phrases import counted
from robustness.summary.flags import Flag, Remark, has_flag
from robustness.summary.intervals import Rate
from robustness.summary.rows import MetricRow
from robustness.summary.winners import Winner

__all__ = [
    "OptimizerEnds",
    "OptimizerRate",
    "OptimizerWindow",
    "SeedRows",
    "clamped_sentence",
    "ends_sentence",
    "gaps_sentence",
    "rates_sentence",
    "settings_sentence",
    "windows_sentence",
]

ROWS = 3
"""Rows of an optimizer of which a sentence gives each; of more, their median."""
SHOWN = 6
"""Optimizers that a sentence names; of more, the best and the worst."""


@dataclass(frozen=True, kw_only=True)
class OptimizerRate:
    """The divergence rate of one optimizer over all tasks, and how many of its trials were not finite."""

    optimizer: str
    rate: Rate
    nonfinite: int
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OptimizerWindow:
    """What one optimizer tolerates and reaches.

    Attributes:
        optimizer: label.
        decades: median width of its windows; NaN where none trains.
        is_censored: some window is at least as wide as stated.
        trains: rows with a window.
        rows: all of them.
        score: median tuned score; NaN where tasks have scores of different kinds.
        is_loss: the score is minus a loss.
    """

    optimizer: str
    decades: float
    is_censored: bool
    trains: int
    rows: int
    score: float
    is_loss: bool


@dataclass(frozen=True, kw_only=True)
class OptimizerEnds:
    """Where the training of one optimizer ends.

    Attributes:
        optimizer: label.
        known: rows of the metric `critical_lr` with a value, log10.
        beyond: rows that train as far as was tried.
        nowhere: rows in which nothing trains.
        rows: all of them.
    """

    optimizer: str
    known: tuple[MetricRow, ...]
    beyond: int
    nowhere: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class SeedRows:
    """Rows of single seeds of one optimizer on one task whose end is known.

    Attributes:
        optimizer: label.
        task: label.
        gaps: of these, how many have a learning rate that trains above one that does not.
        known: how many there are.
        trials: mean number of trials of one; NaN where there is none.
    """

    optimizer: str
    task: str
    gaps: int
    known: int
    trials: float


def rates_sentence(rates: Sequence[OptimizerRate], *, lrs: str, resampled: str) -> str:
    """Who diverges.

    Args:
        rates: of each optimizer.
        lrs: over which learning rates, in words.
        resampled: what intervals are over, in words.
    """
    texts = [
        (one.rate.value, f"{one.optimizer} {_rate(one)}, {one.nonfinite:,} of them not finite")
        for one in rates
    ]
    return (
        f"Share of trials that diverged, over {lrs} and initializations, with 95 % intervals over {resampled}: "
        f"{_best_first(texts)}."
    )


def _rate(one: OptimizerRate) -> str:
    rate = one.rate
    interval = f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
    if math.isnan(rate.low):
        interval = f"no interval: {_no_interval(one.remarks)}"
    counts = f"{rate.k:,} of {rate.n:,}"
    # Only then do counts and rate differ.
    weights = ", as each learning rate weighs the same" if has_flag(one.remarks, Flag.UNEVEN_SEEDS) else ""
    return f"{100 * rate.value:.1f} % ({interval}; {counts}{weights})"


def _no_interval(remarks: Iterable[Remark]) -> str:
    if has_flag(remarks, Flag.CLUSTERED_SEEDS):
        return "seeds share their settings"
    if has_flag(remarks, Flag.UNEVEN_SEEDS):
        return "fewer than two seeds have the grid"
    return "one seed"


def windows_sentence(windows: Sequence[OptimizerWindow]) -> str:
    """Who forgives a learning rate."""
    texts = []
    for one in windows:
        if math.isnan(one.decades):
            texts.append((math.inf, f"{one.optimizer} trains nowhere"))
            continue
        score = "" if math.isnan(one.score) else f" and {_score(one.score, is_loss=one.is_loss)}"
        rows = f", trains in {one.trains} of {counted(one.rows, 'row')}" if one.trains < one.rows else ""
        bound = "≥ " if one.is_censored else ""
        texts.append((-one.decades, f"{one.optimizer} {bound}{one.decades:.1f} decades{score}{rows}"))
    return (
        "Learning rates within 5 % of skill of the best, median over tasks and initializations, and the median tuned "
        f"score: {_best_first(texts)}."
    )


def _score(score: float, *, is_loss: bool) -> str:
    return f"a loss of {-score:.4g}" if is_loss else f"{100 * score:.1f} %"


def ends_sentence(ends: Sequence[OptimizerEnds]) -> str:
    """Where training ends, of a study by `edge`."""
    texts = []
    for one in ends:
        values = [row.value for row in one.known]
        clauses = [
            f"{_lr(row.value)} ({_lr_interval(row)}; "
            f"{f'{row.task}, {row.init}, ' if one.rows > 1 else ''}n = {row.n})"
            for row in one.known
        ]
        if len(values) > ROWS:
            middle, least, most = float(np.median(values)), min(values), max(values)
            clauses = [
                f"{_lr(middle)} in the median of {len(values)} rows ({_lr(least)} to {_lr(most)})",
            ]
        open_rows = one.rows - len(values) - one.beyond - one.nowhere
        clauses += [
            f"{text} in {n} of {counted(one.rows, 'row')}"
            for text, n in (
                ("beyond what was tried", one.beyond),
                ("trains nowhere", one.nowhere),
                ("is not known yet", open_rows),
            )
            if n
        ]
        texts.append((-max(values, default=-math.inf), f"{one.optimizer} {', '.join(clauses)}"))
    return (
        "The first failure tried is at a learning rate of (median over seeds; in brackets 95 % intervals over whole "
        f"seeds, or the range of many rows): {_best_first(texts)}."
    )


def _lr_interval(row: MetricRow) -> str:
    if math.isnan(row.low):
        return "no interval"
    high = f"to {_lr(row.high)}" if math.isfinite(row.high) else "and beyond"
    return f"{_lr(row.low)} {high}"


def _lr(log10: float) -> str:
    return f"{10**log10:.3g}"


def gaps_sentence(rows: Sequence[SeedRows]) -> str:
    """How often training ends in more than one place."""
    texts = [
        f"{one.optimizer} on {one.task} {one.gaps} of {one.known} "
        f"({f'{one.trials:.1f} trials a row' if one.known else 'none known'})"
        for one in rows
    ]
    return (
        "Rows of a seed in which a learning rate trains above one that does not, so that training ends in more than "
        f"one place: {'; '.join(texts)}."
    )


def settings_sentence(
    best: Sequence[Winner],
    nowhere: Sequence[tuple[str, str, str]],
    *,
    budget: int,
    is_loss: Mapping[str, bool],
) -> str:
    """What a search found.

    Args:
        best: the best setting of each row in which something trains.
        nowhere: task, optimizer and initialization of the others.
        budget: settings of a search.
        is_loss: of each task, whether scores are minus a loss.
    """
    texts = [
        (
            -one.score,
            f"{one.optimizer} {_score(one.score, is_loss=is_loss[one.task])} on {one.task}, {one.init} ({one.text})",
        )
        for one in best
    ]
    texts += [
        (math.inf, f"{optimizer} trains nowhere on {task}, {init}") for task, optimizer, init in nowhere
    ]
    return (
        f"Mean test score of the best setting among {budget:,}, chosen by validation: {_best_first(texts)}."
    )


def clamped_sentence(optimizer: str, task: str, shares: Sequence[float]) -> str:
    """How much INSGD's preset `released` clamped, from the share of each trial."""
    percent = 100 * np.asarray(shares)
    return (
        f"{optimizer} on {task}: {percent.mean():.1f} % of the standard deviations of its inputs were clamped in the "
        f"last step, mean over {counted(len(percent), 'trial')} (range {percent.min():.1f} to {percent.max():.1f})."
    )


def _best_first(texts: Iterable[tuple[float, str]]) -> str:
    """By the number before each text, the least first; of many the first few and the last."""
    ordered = [text for _, text in sorted(texts, key=lambda entry: entry[0])]
    if len(ordered) > SHOWN:
        ordered = [*ordered[: SHOWN - 1], f"{len(ordered) - SHOWN} others", ordered[-1]]
    return "; ".join(ordered)
