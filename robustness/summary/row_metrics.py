"""Metrics of one optimizer on one task, before their intervals."""

# R resamples, S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from robustness.summary.best_of_k import best_of_row
from robustness.summary.comparison.pairing import row_of
from robustness.summary.flags import Flag, Remark
from robustness.summary.grid import BINS_PER_DECADE
from robustness.summary.intervals import HALF_TRIAL, wilson
from robustness.summary.metrics import (
    cvar,
    estimates_from_ends,
    is_open,
    lr_sensitivity,
    margin,
    prior_weights,
    tolerance_window,
    touched,
    transfer_regret,
    tuned_index,
    window_ends,
)
from robustness.summary.metrics.scores import Spread
from robustness.summary.raw_rows import added_remarks, each_init, pooled, rate
from robustness.summary.resampled import Resampled, at
from robustness.summary.resampling import mean, quantile
from robustness.summary.rows import Delta, Raw, declare
from robustness.summary.spreads import across, at_tuned

__all__ = ["CRITICAL_MEDIAN", "refused_row"]

Floats = npt.NDArray[np.float64]

_SPREADS: tuple[Spread, ...] = ("sd", "iqr", "p05", "worst")
_MOST = Flag.MOST_SEEDS_DO_NOT_TRAIN
FIRST_FAILURE = "first failure tried"
CRITICAL_MEDIAN = f"{FIRST_FAILURE}, 50 % point"


@declare(
    "not_trained_rate",
    "trials that did not train, for any reason",
    title="Not trained",
    unit="share",
    better="lower",
    is_tuned=False,
    of_trained=True,
)
@declare(
    "nonfinite_rate",
    "trials with a loss or norm that was not finite",
    title="Not finite",
    unit="share",
    better="lower",
    is_tuned=False,
)
@declare(
    "divergence_rate",
    "trials that diverged, over the learning rates of the design",
    title="Diverged",
    unit="share",
    better="lower",
    is_tuned=False,
    of_trained=True,
)
def _rates(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    cube = sample.cube
    flags_SIL = cube.flags(metric)
    for i, init in enumerate(cube.inits):
        yield rate(metric, flags_SIL[:, i], sample, init)
    yield rate(metric, flags_SIL.reshape(len(flags_SIL), -1), sample, None)
    if cube.binned:
        yield from _rates_by_bin(metric, flags_SIL, sample)


def _rates_by_bin(metric: str, flags_SIL: Floats, sample: Resampled) -> Iterator[Raw]:
    """Of learning rates that were drawn at random: each trial is a seed of its own, so Wilson's interval holds."""
    half = 0.5 / BINS_PER_DECADE
    for place, centre in enumerate(np.log10(sample.cube.lrs_L)):
        flags = flags_SIL[:, :, place]
        n = int((~np.isnan(flags)).sum())
        found = wilson(int(np.nansum(flags)), n)
        yield Raw(
            metric=metric,
            init=None,
            values_R=np.array([found.value]),
            levels=(n,),
            n=n,
            unit="share",
            remarks=(Remark(Flag.COUNT, (found.k, found.n)),),
            at=f"lr {10 ** (centre - half):.3g} to {10 ** (centre + half):.3g}",
            fixed=(math.nan, math.nan) if sample.cube.clustered else (found.low, found.high),
        )


@declare(
    "skill",
    "median skill over seeds at the tuned learning rate",
    title="Skill",
    unit="skill",
    better="higher",
)
def _skill(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    yield from each_init(metric, sample.scored, at(sample.scored.skill_RIL, sample.scored.tuned_RI), "skill")


@declare(
    "score",
    "mean test score at the tuned learning rate, over the seeds that train there",
    title="Score",
    unit="",
    better="higher",
)
def _score(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    """Of the seeds that train at the tuned learning rate: no mean over failures too has an interval that holds it."""
    sample = sample.scored
    rows = each_init(metric, sample, at(sample.trained_score_RIL, sample.tuned_RI), sample.unit)
    for i, row in enumerate(rows):
        failed_S = sample.tuned_failures(i)
        failed, seeds = int(np.nansum(failed_S)), int((~np.isnan(failed_S)).sum())
        row = replace(row, n=seeds - failed)
        if failed and sample.trains_I[i]:
            row = replace(row, remarks=(*row.remarks, Remark(Flag.SOME_SEEDS_FAILED, (failed, seeds))))
        yield row


@declare(
    "tuned_failure_rate",
    "seeds that do not train at the tuned learning rate",
    title="Not trained, tuned",
    unit="share",
    better="lower",
)
def _tuned_failures(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    sample = sample.scored
    for i, init in enumerate(sample.cube.inits):
        row = rate(metric, sample.tuned_failures(i)[:, None], sample, init)
        if not sample.trains_I[i]:
            nothing = (Remark(Flag.NOTHING_TRAINS),)
            row = replace(row, values_R=np.array([math.nan]), fixed=(math.nan, math.nan), remarks=nothing)
        yield row


def _censored(first: int, last: int, lrs: int) -> list[Flag]:
    """Of a window that touches the grid's edge: it is at least as wide."""
    end = touched(first, last, lrs)
    return [flag for flag, name in ((Flag.CENSORED_LOW, "low"), (Flag.CENSORED_HIGH, "high")) if name in end]


@declare(
    "tuned_lr",
    "learning rate with the best median selection score",
    title="Tuned lr",
    unit="log10 lr",
    better="",
)
def _tuned_lr(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    logs_L = np.log10(sample.cube.lrs_L)
    remarks = [
        ([Flag.AT_GRID_EDGE] if touched(int(place), int(place), len(logs_L)) else []) if trains else [_MOST]
        for place, trains in zip(sample.tuned_RI[0], sample.trains_RI[0], strict=True)
    ]
    yield from each_init(metric, sample, logs_L[sample.tuned_RI], "log10 lr", remarks=remarks)


@declare(
    "tolerance_window",
    "learning rates within delta of the tuned score",
    title="Window",
    unit="decades",
    better="higher",
    least=0.0,
)
def _tolerance_window(metric: str, sample: Resampled, delta: Delta) -> Iterator[Raw]:
    width = delta.in_score(sample.span, is_loss=sample.constants.score == "loss")
    lrs_L, chance = sample.cube.lrs_L, sample.constants.chance
    values_RI = tolerance_window(sample.score_RIL, sample.tuned_RI, lrs_L, width, chance)
    first_RI, last_RI = window_ends(sample.score_RIL, sample.tuned_RI, width)
    open_RI = is_open(sample.score_RIL, first_RI, last_RI) & ~(sample.tuned_score_RI <= chance)
    # A draw without the seeds that a neighbouring learning rate has says nothing of where the window ends.
    values_RI[1:][open_RI[1:]] = math.nan
    remarks = []
    for i, trains in enumerate(sample.trains_RI[0]):
        touching = _censored(int(first_RI[0, i]), int(last_RI[0, i]), len(lrs_L))
        remarks.append(touching + ([Flag.MISSING_SQUARE] if open_RI[0, i] else []) if trains else [_MOST])
    yield from each_init(metric, sample, values_RI, "decades", remarks=remarks)


@declare(
    "joint_window",
    "learning rates within delta of the tuned score, by the worst initialization's",
    title="Joint window",
    unit="decades",
    better="higher",
    least=0.0,
)
def _joint_window(metric: str, sample: Resampled, delta: Delta) -> Iterator[Raw]:
    width = delta.in_score(sample.span, is_loss=sample.constants.score == "loss")
    lrs_L, chance = sample.cube.lrs_L, sample.constants.chance
    worst_RL = sample.score_RIL.min(axis=1)
    tuned_R = tuned_index(sample.selection_RIL.min(axis=1))
    values_R = tolerance_window(worst_RL, tuned_R, lrs_L, width, chance)
    first_R, last_R = window_ends(worst_RL[:1], tuned_R[:1], width)
    remarks = _censored(int(first_R[0]), int(last_R[0]), len(lrs_L))
    if is_open(worst_RL[:1], first_R, last_R)[0]:
        remarks.append(Flag.MISSING_SQUARE)
    best = float(worst_RL[0, tuned_R[0]])
    if math.isnan(best):
        values_R, remarks = np.full(len(values_R), math.nan), [Flag.INIT_LACKS_EVERY_LR]
    elif not best > chance:
        values_R, remarks = np.full(len(values_R), math.nan), [Flag.NOTHING_TRAINS_ON_ALL_INITS]
    yield pooled(metric, sample, values_R, "decades", remarks)


@declare(
    "critical_lr",
    "where training ends, over seeds: the first failure tried and the last success",
    title="Critical lr",
    unit="log10 lr",
    better="higher",
    is_tuned=False,
    of_trained=True,
)
def _critical(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    found = sample.cube.critical
    known_SI = ~np.isnan(found.first_not_trained)
    known_I = known_SI.sum(axis=0)
    gaps_I = (known_SI & ~found.monotone).sum(axis=0)
    for name, logs_SI in (
        (FIRST_FAILURE, found.first_not_trained),
        ("last trained", found.last_trained),
    ):
        for q in (0.5, 0.1):
            values_RI = quantile(logs_SI, sample.resamples, q)
            remarks = [
                _end_remarks(float(value), *map(int, counts))
                for value, *counts in zip(values_RI[0], gaps_I, known_I, sample.seeds_I, strict=True)
            ]
            rows = each_init(
                metric,
                sample,
                values_RI,
                "log10 lr",
                remarks=remarks,
                place=f"{name}, {100 * q:.0f} % point",
                tuned=False,
            )
            rows = (replace(row, n=int(known)) for row, known in zip(rows, known_I, strict=True))
            yield from _widened(rows, sample, q) if name == FIRST_FAILURE else rows


def _widened(rows: Iterator[Raw], sample: Resampled, q: float) -> Iterator[Raw]:
    """Intervals of first failures that may lie lower than what was tried of them."""
    if sample.cube.chosen is None:
        yield from rows
        return
    low_RI = quantile(sample.cube.lowest_first_failure_SI, sample.resamples, q)
    for row, low_R in zip(rows, low_RI.T, strict=True):
        if math.isnan(row.values_R[0]):
            yield row
            continue
        (estimate,) = estimates_from_ends([low_R], [row.values_R], row.levels)
        yield replace(row, fixed=(estimate.low, estimate.high), remarks=(*row.remarks, *estimate.remarks))


@declare(
    "margin",
    "decades that train above the centre of the skill over learning rates, mean over seeds",
    title="Margin",
    unit="decades",
    better="higher",
    is_tuned=False,
    of_trained=True,
)
def _margin(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    values_RI = np.full((len(sample.resamples.counts_RS), len(sample.cube.inits)), math.nan)
    remarks: list[list[Remark]] = []
    for i in range(len(sample.cube.inits)):
        aligned = row_of(sample, i)
        if isinstance(aligned, Flag):
            remarks.append([Remark(aligned)])
            continue
        failed_RL = aligned.mean_over_seeds(1 - sample.cube.trained_SIL)
        top_R = aligned.logs_L[-1] - aligned.centre_R
        values_RI[:, i] = margin(failed_RL, aligned.logs_L, aligned.centre_R, top_R)
        remarks.append([Remark(Flag.CENSORED_HIGH)] if failed_RL[0, -1] < 1 else [])
    rows = each_init(metric, sample, values_RI, "decades", remarks=remarks)
    designed_L = sample.cube.lrs_L[sample.cube.designed_L]
    step = float(np.median(np.diff(np.log10(designed_L)))) if len(designed_L) > 1 else 0.0
    yield from (replace(row, least_sd=HALF_TRIAL * step) for row in rows)


def _end_remarks(value: float, gaps: int, known: int, seeds: int) -> list[Remark]:
    """Of an end of training: beyond the grid; seeds that train again above it; seeds without one."""
    censored = [Remark(Flag.CENSORED_HIGH)] if math.isinf(value) else []
    again = [Remark(Flag.NON_MONOTONE, (gaps, known))] if gaps else []
    return censored + again + ([Remark(Flag.END_NOT_KNOWN, (seeds - known, seeds))] if known < seeds else [])


def _one_init(sample: Resampled) -> list[Flag]:
    return [Flag.ONE_INIT] if len(sample.cube.inits) < 2 else []


@declare(
    "transfer_regret",
    "skill lost at a learning rate tuned on another initialization",
    title="Transfer regret",
    unit="skill",
    better="lower",
)
def _regret(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    values_R, remarks = transfer_regret(sample.skill_RIL, sample.tuned_RI), _one_init(sample)
    if not sample.trains_RI[0].any():  # nothing is tuned, and nothing lost
        values_R, remarks = np.full(len(values_R), math.nan), [_MOST]
    yield pooled(metric, sample, values_R, "skill", remarks)


@declare(
    "lr_sensitivity",
    "mean capped training loss above the best one",
    title="LR sensitivity",
    unit="loss",
    better="lower",
    least=0.0,
)
def _lr_sensitivity(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    cube = sample.cube
    if np.isnan(cube.loss_SIL).all():
        values_RI = np.full((len(sample.resamples.counts_RS), len(cube.inits)), math.nan)
        yield from each_init(
            metric,
            sample,
            values_RI,
            "loss",
            remarks=[[Flag.NO_TRAINING_LOSS]] * len(cube.inits),
        )
        return
    seeds, inits, lrs = cube.shape
    loss_RIL = mean(cube.loss_SIL.reshape(seeds, -1), sample.resamples).reshape(-1, inits, lrs)
    weights_L, remarks = cube.log_weights_L, [added_remarks(cube)] * inits
    for place, around in (("whole range", False), ("a decade each side of the tuned", True)):
        columns = [
            lr_sensitivity(loss_RIL[:, i], weights_L, cube.lrs_L, sample.tuned_RI[:, i] if around else None)
            for i in range(inits)
        ]
        yield from each_init(metric, sample, np.stack(columns, axis=1), "loss", remarks=remarks, place=place)


@declare(
    "cvar_score",
    "mean of the worst tenth of scores under the same prior",
    title="Worst tenth",
    unit="",
    better="higher",
    is_tuned=False,
)
@declare(
    "expected_score",
    "mean score under a log-uniform prior of a decade each side of the default",
    title="Expected score",
    unit="",
    better="higher",
    is_tuned=False,
)
def _prior(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    cube = sample.cube
    nothing_RI = np.full((len(sample.resamples.counts_RS), len(cube.inits)), math.nan)
    if math.isnan(sample.default_lr):
        remarks = [[Flag.NO_DEFAULT_LR]] * len(cube.inits)
        yield from each_init(metric, sample, nothing_RI, sample.unit, remarks=remarks)
        return
    weights_L, covered = prior_weights(cube.lrs_L, sample.default_lr)
    prior = [Remark(Flag.DEFAULT_LR, (sample.default_lr,))]
    prior += [Remark(Flag.PRIOR_COVERAGE, (covered,))] if covered < 0.999 else []
    if np.isnan(weights_L).any():
        values_RI = nothing_RI
    elif metric == "cvar_score":
        columns = [cvar(cube.score_SIL[:, i], weights_L, sample.resamples) for i in range(len(cube.inits))]
        values_RI = np.stack(columns, axis=1)
    else:
        mean_RIL = sample.mean_score_RIL
        weights_RIL = np.where(np.isnan(mean_RIL), 0.0, weights_L)
        with np.errstate(invalid="ignore", divide="ignore"):
            values_RI = np.nansum(mean_RIL * weights_RIL, axis=2) / weights_RIL.sum(axis=2)
    # An optimizer that never trains still has an expected score: chance.
    for i, init in enumerate(cube.inits):
        yield Raw(
            metric=metric,
            init=init,
            values_R=values_RI[:, i],
            levels=sample.resamples.levels,
            n=int(sample.seeds_I[i]),
            unit=sample.unit,
            remarks=tuple(prior),
        )


@declare("accuracy_spread_worst", "lowest score", title="Worst", unit="", better="higher")
@declare("accuracy_spread_p05", "5 % point of scores", title="5 % point", unit="", better="higher")
@declare(
    "accuracy_spread_iqr",
    "interquartile range of scores",
    title="Spread (IQR)",
    unit="",
    better="lower",
    least=0.0,
)
@declare(
    "accuracy_spread_sd",
    "standard deviation of scores",
    title="Spread (sd)",
    unit="",
    better="lower",
    least=0.0,
)
def _spread(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    kind = next(name for name in _SPREADS if metric.endswith(name))
    cube = sample.cube
    scored = sample.scored
    over_seeds = at_tuned(scored, kind)
    yield from each_init(
        metric, scored, over_seeds, sample.unit, place="over seeds at the tuned learning rate"
    )
    over_lrs = np.stack([across(sample.score_RIL[:, i], kind) for i in range(len(cube.inits))], axis=1)
    yield from each_init(metric, sample, over_lrs, sample.unit, place="over learning rates, medians")
    values_R = across(scored.tuned_score_RI, kind)
    yield pooled(
        metric,
        scored,
        values_R,
        sample.unit,
        _one_init(sample),
        "over initializations, each at its tuned learning rate",
    )


@declare(
    "init_sensitivity",
    "range over initializations of the median score",
    title="Init sensitivity",
    unit="",
    better="lower",
    least=0.0,
)
def _init_sensitivity(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    shared_R = tuned_index(sample.selection_RIL.min(axis=1))
    shared_RI = at(sample.score_RIL, np.broadcast_to(shared_R[:, None], sample.tuned_RI.shape))
    for place, values_RI in (
        ("each at its tuned learning rate", sample.tuned_score_RI),
        ("all at the learning rate best for the worst", shared_RI),
    ):
        values_R = values_RI.max(axis=1) - values_RI.min(axis=1)
        if len(sample.cube.inits) < 2:
            values_R = np.full(len(values_R), math.nan)
        yield pooled(metric, sample, values_R, sample.unit, _one_init(sample), place)


@declare(
    "tunability",
    "tuned score less that at the default learning rate",
    title="Tunability",
    unit="",
    better="lower",
)
def _tunability(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    values_RI = np.full(sample.tuned_RI.shape, math.nan)
    default, place = sample.default_lr, sample.default_place
    remark = (
        Remark(Flag.NO_DEFAULT_LR) if math.isnan(default) else Remark(Flag.DEFAULT_LR_NOT_TRIED, (default,))
    )
    if place is not None:
        values_RI = sample.tuned_score_RI - sample.score_RIL[:, :, place]
        nearest = float(sample.cube.lrs_L[place])
        same = math.isclose(nearest, default, rel_tol=1e-5)
        remark = (
            Remark(Flag.DEFAULT_LR, (default,))
            if same
            else Remark(Flag.NEAREST_TO_DEFAULT_LR, (default, nearest))
        )
    yield from each_init(metric, sample, values_RI, sample.unit, remarks=[[remark]] * len(sample.cube.inits))


@declare(
    "expected_best_of_k",
    "test score expected of the best of k random trials",
    title="Best of k",
    unit="",
    better="higher",
)
def _best_of_k(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    cube = sample.cube
    for i in np.flatnonzero(sample.seeds_I).tolist():
        found = best_of_row(sample, i, _powers_and_all)
        for place, k in enumerate(found.ks_K):
            yield Raw(
                metric=metric,
                init=cube.inits[i],
                values_R=found.values_RK[:, place],
                levels=sample.resamples.levels,
                n=found.n,
                unit=sample.unit,
                at=f"k = {k}",
            )


def _powers_and_all(most: int) -> list[int]:
    return sorted({*(2**power for power in range(11) if 2**power <= most), min(most, 2**10)})


def refused_row(metric: str, sample: Resampled, why: Flag) -> Raw:
    """The row of a metric that is not defined here, with the reason."""
    return pooled(metric, sample, np.full(len(sample.resamples.counts_RS), math.nan), "", [why])
