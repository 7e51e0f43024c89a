"""A study's answer in three sentences: who diverges, who forgives a learning rate, and whether they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robustness.phrases import counted
from robustness.summary import MetricRow, Study, measure
from robustness.summary.cell_weighted_rates import rate_of_cells
from robustness.summary.comparison.comparing import compare
from robustness.summary.comparison.sentences import sentence
from robustness.summary.cubes import Cube
from robustness.summary.flags import Flag
from robustness.summary.intervals import Rate
from robustness.summary.outcome import ROW
from robustness.summary.row_metrics import CRITICAL_MEDIAN
from robustness.summary.sampler_limits import sampler_of
from robustness.summary.winners import Winner, winners
from robustness.tables import standard_table, write_markdown
from robustness.wording.captions import over_lrs, units, whole

__all__ = ["answer", "asides", "overview"]

ROWS = 3
"""Rows of an optimizer of which a sentence gives each; of more, their median."""
SHOWN = 6
"""Optimizers that a sentence names; of more, the best and the worst."""


def overview(study: Study) -> str:
    """What `robustness show` prints: title and question, how many trials there are, the answer, the table."""
    counts = ", ".join(f"{n:,} {state}" for state, n in study.counts.items() if n)
    parts = [
        f"{study.title or study.name}\n{study.question}",
        f"{counted(sum(study.counts.values()), 'trial')}: {counts or 'none'}",
        "\n".join(answer(study)),
        write_markdown(standard_table(study)),
    ]
    return "\n\n".join(parts)


def answer(study: Study) -> list[str]:
    """Three sentences; one where nothing is complete.

    The first gives every optimizer's divergence rate with its interval by whole seeds, the second what it tolerates
    and reaches, the third the study's claim, or how the first two optimizers compare.
    """
    if not len(study.complete):
        return ["Nothing is complete yet."]
    sampler = sampler_of(study.spec)
    if sampler == "edge":
        return [_ends(study), _monotone(study), _difference(study, "critical_lr")]
    if sampler == "tpe":
        return [_found(study), _difference(study, "score")]
    return [_rates(study), _windows(study), _difference(study, "divergence_rate")]


def _ends(study: Study) -> str:
    rows = [row for row in measure(study, metrics=("critical_lr",)) if row.at == CRITICAL_MEDIAN]
    found = []
    for optimizer in dict.fromkeys(row.optimizer for row in rows):
        own = [row for row in rows if row.optimizer == optimizer]
        known = [row for row in own if math.isfinite(row.value)]
        texts = [f"{_lr(row.value)} ({_interval(row)}; {_row_name(row, own)}n = {row.n})" for row in known]
        if len(known) > ROWS:
            values = [row.value for row in known]
            texts = [
                f"{_lr(float(np.median(values)))} in the median of {len(known)} rows "
                f"({_lr(min(values))} to {_lr(max(values))})"
            ]
        beyond = len([row for row in own if math.isinf(row.value)])
        texts += [f"beyond what was tried in {beyond} of {len(own)} rows"] if beyond else []
        nowhere = sum(row.has(Flag.NOTHING_TRAINS) for row in own)
        texts += [f"trains nowhere in {nowhere} of {len(own)} rows"] if nowhere else []
        open_ = len(own) - len(known) - beyond - nowhere
        texts += [f"is not known yet in {open_} of {len(own)} rows"] if open_ else []
        best = max((row.value for row in known), default=-math.inf)
        found.append((-best, f"{optimizer} {', '.join(texts)}"))
    return f"The first failure tried is at a learning rate of (median over seeds; in brackets 95 % intervals by whole seeds, or the range of many rows): {_listed(found)}."


def _interval(row: MetricRow) -> str:
    if math.isnan(row.low):
        return "no interval"
    high = f"to {_lr(row.high)}" if math.isfinite(row.high) else "and beyond"
    return f"{_lr(row.low)} {high}"


def _lr(log10: float) -> str:
    return f"{10**log10:.3g}"


def _row_name(row: MetricRow, own: Sequence[MetricRow]) -> str:
    return f"{row.task}, {row.init}, " if len(own) > 1 else ""


def _monotone(study: Study) -> str:
    texts = []
    for sample in study.tuning:
        known_SI = ~np.isnan(sample.cube.critical.first_not_trained)
        odd = int((known_SI & ~sample.cube.critical.monotone).sum())
        tried = (~np.isnan(sample.cube.score_SIL)).sum(axis=2)[known_SI]
        mean = f"{tried.mean():.1f} trials a row" if tried.size else "none known"
        texts.append(f"{sample.cube.optimizer} on {sample.cube.task} {odd} of {int(known_SI.sum())} ({mean})")
    return (
        "Rows of a seed in which a learning rate trains above one that does not, so that the end is not one place: "
        f"{'; '.join(texts)}."
    )


def _found(study: Study) -> str:
    budget = study.spec["search"]["budget"]
    won = winners(study)
    texts = [
        (-one.score, f"{one.optimizer} {_score_of(study, one)} on {one.task}, {one.init} ({one.text})")
        for one in won
    ]
    alive = {(one.task, one.optimizer, one.init) for one in won}
    rows = study.complete[ROW].drop_duplicates().itertuples(index=False, name=None)
    texts += [
        (math.inf, f"{optimizer} trains nowhere on {task}, {init}")
        for task, optimizer, init in rows
        if (task, optimizer, init) not in alive
    ]
    return f"Mean test score of the best setting among {budget:,}, chosen by validation: {_listed(texts)}."


def _score_of(study: Study, won: Winner) -> str:
    is_loss = study.facts[won.task].score == "loss"
    return f"a loss of {-won.score:.4g}" if is_loss else f"{100 * won.score:.1f} %"


def _rates(study: Study) -> str:
    names = list(dict.fromkeys(cube.optimizer for cube in study.grid.cubes))
    found = []
    for name in names:
        rate, nonfinite = _pooled_rate([cube for cube in study.grid.cubes if cube.optimizer == name])
        found.append((rate.value, f"{name} {_rate_text(rate)}, {nonfinite:,} of them not finite"))
    by = whole(units(study, of_rates=True)[1])
    return f"Share of trials that diverged, over {over_lrs(study.complete)} and initializations, with 95 % intervals by {by}: {_listed(found)}."


def _pooled_rate(cubes: Sequence[Cube]) -> tuple[Rate, int]:
    """The divergence rate of one optimizer over all tasks, and its trials that were not finite."""
    seeds_S = np.unique(np.concatenate([cube.seeds_S for cube in cubes]))
    columns = []
    for cube in cubes:
        flags_SN = np.full((len(seeds_S), math.prod(cube.shape[1:])), math.nan)
        flags_SN[np.searchsorted(seeds_S, cube.seeds_S)] = cube.flags("divergence_rate").reshape(
            len(cube.seeds_S), -1
        )
        columns.append(flags_SN)
    rate, _ = rate_of_cells(
        np.concatenate(columns, axis=1),
        seeds_S,
        cubes[0].orders,
        drawn=any(cube.binned for cube in cubes),
        clustered=any(cube.clustered for cube in cubes),
    )
    return rate, int(sum(np.nansum(cube.flags("nonfinite_rate")) for cube in cubes))


def _rate_text(rate: Rate) -> str:
    interval = (
        "no interval: one seed, seeds with other cells, or thousands of drawn trials"
        if math.isnan(rate.low)
        else f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
    )
    return f"{100 * rate.value:.1f} % ({interval}; {rate.k:,} of {rate.n:,})"


def _windows(study: Study) -> str:
    rows = measure(study, metrics=("tolerance_window", "score"))
    found = []
    for optimizer in dict.fromkeys(row.optimizer for row in rows):
        own = [row for row in rows if row.optimizer == optimizer]
        windows = [row for row in own if row.metric == "tolerance_window" and math.isfinite(row.value)]
        scores = [row.value for row in own if row.metric == "score" and math.isfinite(row.value)]
        if not windows:
            found.append((math.inf, f"{optimizer} trains nowhere"))
            continue
        width = float(np.median([row.value for row in windows]))
        censored = any(row.has(Flag.CENSORED_LOW, Flag.CENSORED_HIGH, Flag.MISSING_SQUARE) for row in windows)
        rest = (
            f", trains in {len(windows)} of {_rows(rows, optimizer)} rows"
            if len(windows) < _rows(rows, optimizer)
            else ""
        )
        score = _score_text(study, scores)
        found.append((-width, f"{optimizer} {'≥ ' if censored else ''}{width:.1f} decades{score}{rest}"))
    return (
        "Learning rates within 5 % of skill of the best, median over tasks and initializations, and the median tuned "
        f"score: {_listed(found)}."
    )


def _rows(rows: Sequence[object], optimizer: str) -> int:
    return sum(
        getattr(row, "optimizer", "") == optimizer and getattr(row, "metric", "") == "score" for row in rows
    )


def _score_text(study: Study, scores: list[float]) -> str:
    kinds = {constants.score for constants in study.facts.values()}
    if len(kinds) > 1 or not scores:  # accuracies and losses have no common median
        return ""
    middle = float(np.median(scores))
    return f" and {100 * middle:.1f} %" if kinds == {"accuracy"} else f" and a loss of {-middle:.4g}"


def _listed(found: list[tuple[float, str]]) -> str:
    """Best first; of many the first few and the last."""
    texts = [text for _, text in sorted(found, key=lambda entry: entry[0])]
    if len(texts) > SHOWN:
        texts = [*texts[: SHOWN - 1], f"{len(texts) - SHOWN} others", texts[-1]]
    return "; ".join(texts)


def _difference(study: Study, unclaimed: str) -> str:
    claim = study.spec.get("claim")
    optimizers = [str(name) for name in study.complete["optimizer"].unique()]
    if claim is not None and {claim["a"], claim["b"]} <= set(optimizers):
        a, b, metric, head = claim["a"], claim["b"], claim["metric"], "The study's claim:"
    elif len(optimizers) > 1:
        a, b, metric, head = optimizers[0], optimizers[1], unclaimed, "Not a claim made beforehand:"
    else:
        return "One optimizer: nothing to compare it with."
    return " ".join([head, *(sentence(found) for found in compare(study, a, b, metric))])


def asides(study: Study) -> list[str]:
    """What else an answer needs: how much INSGD's preset `released` clamped, how far classes are from balanced.

    Where nothing is clamped, the preset has fixed multipliers.
    """
    known = study.complete.dropna(subset=["clamped_share"])
    return [
        f"{optimizer} on {task}: {100 * share.mean():.1f} % of the standard deviations of its inputs were clamped in "
        f"the last step, mean over {len(share)} trials (range {100 * share.min():.1f} to {100 * share.max():.1f})."
        for (task, optimizer), share in known.groupby(["task", "optimizer"], sort=False)["clamped_share"]
    ]
