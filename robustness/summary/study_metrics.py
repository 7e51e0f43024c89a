"""Metrics over all tasks of an optimizer, and against another optimizer, before their intervals."""

# R resamples, S seeds, T tasks with an initialization each, E environments (the same), L learning rates

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from robustness.summary.comparison.testing import compared
from robustness.summary.cubes import without_added
from robustness.summary.intervals import pooled_rate_difference
from robustness.summary.metrics import (
    effective_dimension,
    hyperparameter_sensitivity,
    iqm,
    optimality_gap,
    probability_of_improvement,
)
from robustness.summary.raw_rows import counted_flags, rate
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Delta, Raw

__all__ = ["OVER_TASKS", "PROFILE_AT", "against", "over_tasks", "tuned_skill"]

Floats = npt.NDArray[np.float64]

PROFILE_AT = (0.1, 0.25, 0.5, 0.75, 0.9)
OVER_TASKS = (
    "hyperparameter_sensitivity",
    "effective_dimension",
    "iqm",
    "performance_profile",
    "optimality_gap",
)


def tuned_skill(samples: Sequence[Resampled]) -> Floats:
    """Skill of each seed at each row's tuned learning rate, (S, T); skill 0 where a trial did not train.

    The learning rates are those tuned on the sample itself: rliable's aggregates take scores as given.

    Raises:
        ValueError: the samples have different seeds.
    """
    if len({tuple(sample.cube.seeds_S) for sample in samples}) > 1:
        raise ValueError("the seeds must be the same on every task")
    columns = [
        sample.cube.skill_SIL[:, i, sample.tuned_RI[0, i]]
        for sample in samples
        for i in range(len(sample.cube.inits))
    ]
    return np.stack(columns, axis=1)


def over_tasks(metric: str, samples: Sequence[Resampled]) -> Iterator[Raw]:
    """One of `OVER_TASKS` for one optimizer.

    Args:
        metric: its id.
        samples: of the optimizer, one a task.
    """
    tuned = [sample.scored for sample in samples]
    needs_grid = metric in ("hyperparameter_sensitivity", "effective_dimension")
    used = samples if needs_grid else tuned
    resamples = used[0].resamples
    nothing_R = np.full(len(resamples.counts_RS), math.nan)

    def raw(values_R: Floats, unit: str, note: str = "", place: str = "") -> Raw:
        fixed = (math.nan, math.nan) if metric == "effective_dimension" else None
        return Raw(
            metric=metric,
            init=None,
            values_R=values_R,
            levels=resamples.levels,
            n=resamples.seeds,
            unit=unit,
            note=note,
            at=place,
            fixed=fixed,
        )

    if len({tuple(sample.cube.seeds_S) for sample in used}) > 1:
        yield raw(nothing_R, "skill", "tasks have different seeds")
    elif needs_grid:
        yield raw(*_tuned_for_each(metric, samples))
    else:
        scores_ST = tuned_skill(tuned)
        if metric == "iqm":
            diverged = np.concatenate([sample.cube.flags("divergence_rate").ravel() for sample in samples])
            added = dict.fromkeys(sample.cube.added_lrs for sample in samples if sample.cube.added_lrs)
            note = ", ".join([f"{100 * np.nanmean(diverged):.1f} % of all trials diverged", *added])
            yield raw(iqm(scores_ST, resamples), "skill", note)
        elif metric == "optimality_gap":
            yield raw(optimality_gap(scores_ST, resamples), "skill")
        else:
            for tau in PROFILE_AT:
                flags_ST = np.where(np.isnan(scores_ST), math.nan, scores_ST > tau)
                row = rate(metric, flags_ST, used[0], None)
                yield replace(row, n=resamples.seeds, note="", at=f"skill > {tau:g}")


def _tuned_for_each(metric: str, samples: Sequence[Resampled]) -> tuple[Floats, str, str]:
    """The values, the unit and the note of the two metrics of Adkins et al."""
    nothing_R = np.full(len(samples[0].resamples.counts_RS), math.nan)
    unit = "skill" if metric == "hyperparameter_sensitivity" else "hyperparameters"
    if len({tuple(sample.cube.lrs_L) for sample in samples}) > 1:
        return nothing_R, unit, "tasks have different learning rates"
    skill_REL = np.concatenate([sample.skill_RIL for sample in samples], axis=1)
    skill_REL = np.where(np.isnan(skill_REL), -np.inf, skill_REL)  # a missing square is no setting to choose
    if skill_REL.shape[1] < 2:
        return nothing_R, unit, "one task and initialization"
    lacking_R = ~np.isfinite(skill_REL).all(axis=1).any(axis=1)  # nothing is a setting for all
    if lacking_R[0]:
        return nothing_R, unit, "no learning rate is complete on every task and initialization"
    if metric == "hyperparameter_sensitivity":
        with np.errstate(invalid="ignore"):
            return np.where(lacking_R, math.nan, hyperparameter_sensitivity(skill_REL)), unit, ""
    dimension = effective_dimension(skill_REL[0], (skill_REL.shape[2],))
    return np.full(len(nothing_R), float(dimension)), unit, "of 1, the learning rate"


def against(metric: str, own: Resampled, other: Resampled, delta: Delta) -> Iterator[Raw]:
    """`rate_difference`, `comparison` or `probability_of_improvement` of one optimizer less another's.

    Both over the same task and the same seeds; the first at nominal learning rates, the second as `robustness compare`.
    """
    place = f"against {other.cube.optimizer}"
    inits = [init for init in own.cube.inits if init in other.cube.inits]
    seeds_S = np.intersect1d(own.cube.seeds_S, other.cube.seeds_S)
    seeds = len(seeds_S)
    levels: tuple[int, ...] = (1,)

    def raw(values_R: Floats, unit: str, init: str | None, note: str = "", of: str = "") -> Raw:
        where = f"{of} {place}".strip()
        return Raw(
            metric=metric,
            init=init,
            values_R=values_R,
            levels=levels,
            n=seeds,
            unit=unit,
            note=note,
            at=where,
        )

    if not seeds or not inits or own.cube.binned or other.cube.binned:
        why = "learning rates were drawn at random: no two trials are a pair"
        paired = not (own.cube.binned or other.cube.binned)
        yield raw(np.array([math.nan]), "", None, "no common seeds or initializations" if paired else why)
        return
    own, other = own.cut(seeds_S, inits), other.cut(seeds_S, inits)
    levels = own.resamples.levels
    if metric == "rate_difference":
        counts = [counted_flags(x.cube.flags("divergence_rate").reshape(seeds, -1)) for x in (own, other)]
        hits, sizes = ((first, second) for first, second in zip(*counts, strict=True))
        difference, *ends = pooled_rate_difference(hits, sizes, seeds_S, own.cube.orders)
        texts = [f"{int(k.sum())}/{int(n.sum())}" for k, n in counts]
        notes = [f"{' less '.join(texts)}, at nominal learning rates", *without_added((own.cube, other.cube))]
        notes += ["no interval: see the rates"] if math.isnan(ends[0]) else []
        pooled = raw(np.array([difference]), "share", None, "; ".join(notes))
        yield replace(pooled, fixed=(ends[0], ends[1]))
        return
    for init in inits:
        i, j = own.cube.inits.index(init), other.cube.inits.index(init)
        if metric == "probability_of_improvement":
            tuned = own.scored
            a_S1, b_S1 = (
                sample.cube.skill_SIL[:, [k], sample.tuned_RI[0, k]]
                for sample, k in ((tuned, i), (other.scored, j))
            )
            improved = raw(probability_of_improvement(a_S1, b_S1, tuned.resamples), "share", init)
            yield replace(improved, levels=tuned.resamples.levels, n=tuned.resamples.seeds)
            continue
        for name in ("skill", "critical_lr", "tolerance_window"):
            found = compared(name, own, other, delta=delta, init=init)
            unit = "decades" if found.unit == "log10 lr" else found.unit  # a difference is no learning rate
            row = raw(np.array([found.difference]), unit, init, of=name)
            yield replace(row, n=found.n, fixed=(found.low, found.high), remarks=found.remarks)
