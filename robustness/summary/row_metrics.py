"""Metrics of one optimizer on one task, before their intervals."""

# R resamples, S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from robustness.summary.best_of_k import best_of_row
from robustness.summary.comparison.pairing import row_of
from robustness.summary.cubes import BINS_PER_DECADE
from robustness.summary.flags import Flag, Remark
from robustness.summary.intervals import HALF_TRIAL, wilson
from robustness.summary.metrics import (
    cvar,
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
from robustness.summary.raw_rows import MOST_DO_NOT_TRAIN, NOTHING_TRAINS, each_init, pooled, rate
from robustness.summary.resampled import Resampled, at
from robustness.summary.resampling import mean, quantile
from robustness.summary.rows import Delta, Raw
from robustness.summary.spreads import across, at_tuned

__all__ = ["CRITICAL_MEDIAN", "ROW_METRICS", "refused_row"]

Floats = npt.NDArray[np.float64]

BEST_OF_K_SHARE = 20  # of the draws: enough for a band
_SPREADS: tuple[Spread, ...] = ("sd", "iqr", "p05", "worst")
CRITICAL_MEDIAN = "first not trained, 50 % point"


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
            note=f"{found.k}/{n}",
            at=f"lr {10 ** (centre - half):.3g} to {10 ** (centre + half):.3g}",
            fixed=(math.nan, math.nan) if sample.cube.clustered else (found.low, found.high),
        )


def _skill(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    yield from each_init(metric, sample.scored, at(sample.scored.skill_RIL, sample.scored.tuned_RI), "skill")


def _score(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    """Of the seeds that train at the tuned learning rate: no mean over failures too has an interval that holds it."""
    sample = sample.scored
    rows = each_init(metric, sample, at(sample.trained_score_RIL, sample.tuned_RI), sample.unit)
    for i, row in enumerate(rows):
        failed_S = sample.tuned_failures(i)
        failed, seeds = int(np.nansum(failed_S)), int((~np.isnan(failed_S)).sum())
        row = replace(row, n=seeds - failed)
        if failed and sample.trains_I[i]:
            note = "; ".join(text for text in (row.note, f"{failed} of {seeds} seeds do not train") if text)
            row = replace(row, note=note, remarks=(Remark(Flag.SOME_SEEDS_FAILED, (failed, seeds)),))
        yield row


def _tuned_failures(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    sample = sample.scored
    for i, init in enumerate(sample.cube.inits):
        row = rate(metric, sample.tuned_failures(i)[:, None], sample, init)
        yield (
            row
            if sample.trains_I[i]
            else replace(row, values_R=np.array([math.nan]), note=NOTHING_TRAINS, fixed=(math.nan, math.nan))
        )


def _edges(first_I: npt.NDArray[np.intp], last_I: npt.NDArray[np.intp], lrs: int) -> list[str]:
    """The note of each window that touches the grid's edge: it is at least as wide."""
    ends = [touched(int(first), int(last), lrs) for first, last in zip(first_I, last_I, strict=True)]
    return [f"censored {end}" if end else "" for end in ends]


def _of_most(sample: Resampled, notes: list[str]) -> list[str]:
    """The notes; where most seeds do not train, all learning rates are alike and have no edge."""
    return [
        note if trains else MOST_DO_NOT_TRAIN for note, trains in zip(notes, sample.trains_RI[0], strict=True)
    ]


def _tuned_lr(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    logs_L = np.log10(sample.cube.lrs_L)
    ends_I = sample.tuned_RI[0]
    notes = ["at the grid's edge" if touched(int(end), int(end), len(logs_L)) else "" for end in ends_I]
    notes = _of_most(sample, notes)
    yield from each_init(metric, sample, logs_L[sample.tuned_RI], "log10 lr", notes=notes)


def _window(metric: str, sample: Resampled, delta: Delta) -> Iterator[Raw]:
    width = delta.in_score(sample.span, is_loss=sample.constants.score == "loss")
    lrs_L, chance = sample.cube.lrs_L, sample.constants.chance
    if metric == "tolerance_window":
        values_RI = tolerance_window(sample.score_RIL, sample.tuned_RI, lrs_L, width, chance)
        ends_RI = window_ends(sample.score_RIL, sample.tuned_RI, width)
        notes = _edges(ends_RI[0][0], ends_RI[1][0], len(lrs_L))
        open_RI = is_open(sample.score_RIL, *ends_RI) & ~(sample.tuned_score_RI <= chance)
        # A draw without the seeds that a neighbouring learning rate has says nothing of where the window ends.
        values_RI[1:][open_RI[1:]] = math.nan
        notes = [
            note or ("censored: it ends at a missing square" if is_cut else "")
            for note, is_cut in zip(notes, open_RI[0], strict=True)
        ]
        notes = _of_most(sample, notes)
        yield from each_init(metric, sample, values_RI, "decades", notes=notes)
        return
    worst_RL = sample.score_RIL.min(axis=1)
    tuned_R = tuned_index(sample.selection_RIL.min(axis=1))
    values_R = tolerance_window(worst_RL, tuned_R, lrs_L, width, chance)
    (note,) = _edges(*window_ends(worst_RL[:1], tuned_R[:1], width), len(lrs_L))
    best = float(worst_RL[0, tuned_R[0]])
    if math.isnan(best):
        values_R, note = np.full(len(values_R), math.nan), "an initialization lacks every learning rate"
    elif not best > chance:
        values_R, note = np.full(len(values_R), math.nan), "no learning rate trains on every initialization"
    yield pooled(metric, sample, values_R, "decades", note)


def _critical(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    found = sample.cube.critical
    known_SI = ~np.isnan(found.first_not_trained)
    known_I = known_SI.sum(axis=0)
    gaps_I = (known_SI & ~found.monotone).sum(axis=0)
    for name, logs_SI in (
        ("first not trained", found.first_not_trained),
        ("last trained", found.last_trained),
    ):
        for q in (0.5, 0.1):
            values_RI = quantile(logs_SI, sample.resamples, q)
            notes = [
                "; ".join(
                    text
                    for text in (
                        "censored high" if math.isinf(value) else "",
                        f"{gaps} of {known} seeds train above one that does not" if gaps else "",
                        f"{seeds - known} of {seeds} seeds train nowhere, or their end is not known"
                        if known < seeds
                        else "",
                    )
                    if text
                )
                for value, gaps, known, seeds in zip(
                    values_RI[0], gaps_I, known_I, sample.seeds_I, strict=True
                )
            ]
            rows = each_init(
                metric,
                sample,
                values_RI,
                "log10 lr",
                notes=notes,
                place=f"{name}, {100 * q:.0f} % point",
                tuned=False,
            )
            yield from (replace(row, n=int(known)) for row, known in zip(rows, known_I, strict=True))


def _margin(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    values_RI = np.full((len(sample.resamples.counts_RS), len(sample.cube.inits)), math.nan)
    notes: list[str] = []
    remarks: list[tuple[Remark, ...]] = []
    for i in range(len(sample.cube.inits)):
        aligned = row_of(sample, i)
        if isinstance(aligned, Flag):
            notes.append("it rests on a missing square" if aligned is Flag.MISSING_SQUARE else "not defined")
            remarks.append((Remark(aligned),))
            continue
        failed_RL = aligned.mean_over_seeds(1 - sample.cube.trained_SIL)
        top_R = aligned.logs_L[-1] - aligned.centre_R
        values_RI[:, i] = margin(failed_RL, aligned.logs_L, aligned.centre_R, top_R)
        is_censored = bool(failed_RL[0, -1] < 1)
        notes.append("censored high" if is_censored else "")
        remarks.append((Remark(Flag.CENSORED_HIGH),) if is_censored else ())
    rows = each_init(metric, sample, values_RI, "decades", notes=notes, tuned=False)
    designed_L = sample.cube.lrs_L[sample.cube.designed_L]
    step = float(np.median(np.diff(np.log10(designed_L)))) if len(designed_L) > 1 else 0.0
    for row, flags in zip(rows, remarks, strict=True):
        yield replace(row, remarks=flags, least_sd=HALF_TRIAL * step)


def _one_init(sample: Resampled) -> str:
    return "one initialization" if len(sample.cube.inits) < 2 else ""


def _regret(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    values_R, note = transfer_regret(sample.skill_RIL, sample.tuned_RI), _one_init(sample)
    if not sample.trains_RI[0].any():  # nothing is tuned, and nothing lost
        values_R, note = np.full(len(values_R), math.nan), MOST_DO_NOT_TRAIN
    yield pooled(metric, sample, values_R, "skill", note)


def _lr_sensitivity(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    cube = sample.cube
    if np.isnan(cube.loss_SIL).all():
        values_RI = np.full((len(sample.resamples.counts_RS), len(cube.inits)), math.nan)
        yield from each_init(
            metric,
            sample,
            values_RI,
            "loss",
            notes=["no training losses, or nothing to cap them at"] * len(cube.inits),
        )
        return
    seeds, inits, lrs = cube.shape
    loss_RIL = mean(cube.loss_SIL.reshape(seeds, -1), sample.resamples).reshape(-1, inits, lrs)
    weights_L, notes = cube.log_weights_L, [cube.added_lrs] * inits
    for place, around in (("whole range", False), ("a decade each side of the tuned", True)):
        columns = [
            lr_sensitivity(loss_RIL[:, i], weights_L, cube.lrs_L, sample.tuned_RI[:, i] if around else None)
            for i in range(inits)
        ]
        yield from each_init(metric, sample, np.stack(columns, axis=1), "loss", notes=notes, place=place)


def _prior(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    cube = sample.cube
    nothing_RI = np.full((len(sample.resamples.counts_RS), len(cube.inits)), math.nan)
    if math.isnan(sample.default_lr):
        notes = ["no default learning rate is known"] * len(cube.inits)
        yield from each_init(metric, sample, nothing_RI, sample.unit, notes=notes)
        return
    weights_L, covered = prior_weights(cube.lrs_L, sample.default_lr)
    where = f"default {sample.default_lr:g}"
    note = (
        f"{where}; the learning rates cover {100 * covered:.0f} % of the prior" if covered < 0.999 else where
    )
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
            note=note,
        )


def _spread(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    kind = next(name for name in _SPREADS if metric.endswith(name))
    cube = sample.cube
    over_seeds = at_tuned(sample, kind)
    yield from each_init(
        metric, sample, over_seeds, sample.unit, place="over seeds at the tuned learning rate"
    )
    over_lrs = np.stack([across(sample.score_RIL[:, i], kind) for i in range(len(cube.inits))], axis=1)
    yield from each_init(metric, sample, over_lrs, sample.unit, place="over learning rates, medians")
    values_R = across(sample.tuned_score_RI, kind)
    yield pooled(
        metric,
        sample,
        values_R,
        sample.unit,
        _one_init(sample),
        "over initializations, each at its tuned learning rate",
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


def _tunability(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    values_RI = np.full(sample.tuned_RI.shape, math.nan)
    note, place = "no default learning rate is known", sample.default_place
    if place is not None:
        values_RI = sample.tuned_score_RI - sample.score_RIL[:, :, place]
        note, lr = f"default {sample.default_lr:g}", float(sample.cube.lrs_L[place])
        note += "" if math.isclose(lr, sample.default_lr, rel_tol=1e-5) else f", nearest {lr:.3g}"
    elif not math.isnan(sample.default_lr):
        note = f"default {sample.default_lr:g} is not among the learning rates"
    yield from each_init(metric, sample, values_RI, sample.unit, notes=[note] * len(sample.cube.inits))


def _best_of_k(metric: str, sample: Resampled, _: Delta) -> Iterator[Raw]:
    cube, fewer = sample.cube, sample.resamples.fewer(sample.draws // BEST_OF_K_SHARE)
    for i in np.flatnonzero(sample.seeds_I).tolist():
        found = best_of_row(cube, i, fewer, _powers_and_all)
        for place, k in enumerate(found.ks_K):
            yield Raw(
                metric=metric,
                init=cube.inits[i],
                values_R=found.values_RK[:, place],
                levels=fewer.levels,
                n=found.n,
                unit=sample.unit,
                at=f"k = {k}",
            )


def _powers_and_all(most: int) -> list[int]:
    return sorted({*(2**power for power in range(11) if 2**power <= most), min(most, 2**10)})


def refused_row(metric: str, sample: Resampled, why: str) -> Raw:
    """The row of a metric that is not defined here, with the reason."""
    return pooled(metric, sample, np.full(len(sample.resamples.counts_RS), math.nan), "", why)


RowMetric = Callable[[str, Resampled, Delta], Iterator[Raw]]
_BY_FUNCTION: dict[RowMetric, tuple[str, ...]] = {
    _rates: ("divergence_rate", "nonfinite_rate", "not_trained_rate"),
    _score: ("score",),
    _skill: ("skill",),
    _tuned_failures: ("tuned_failure_rate",),
    _tuned_lr: ("tuned_lr",),
    _critical: ("critical_lr",),
    _margin: ("margin",),
    _window: ("tolerance_window", "joint_window"),
    _regret: ("transfer_regret",),
    _lr_sensitivity: ("lr_sensitivity",),
    _prior: ("expected_score", "cvar_score"),
    _spread: tuple(f"accuracy_spread_{kind}" for kind in _SPREADS),
    _init_sensitivity: ("init_sensitivity",),
    _tunability: ("tunability",),
    _best_of_k: ("expected_best_of_k",),
}
ROW_METRICS: dict[str, Callable[[Resampled, Delta], Iterator[Raw]]] = {
    name: partial(function, name) for function, names in _BY_FUNCTION.items() for name in names
}
"""Of each metric of one optimizer on one task, the function that computes it."""
