"""Metrics over all tasks of an optimizer, and against another optimizer, before their intervals."""

# R resamples, S seeds, T tasks with an initialization each, E environments (the same), L learning rates

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from robustness.summary.cell_weighted_rates import rate_of_cells
from robustness.summary.comparison.testing import compared
from robustness.summary.flags import Flag, Remark
from robustness.summary.intervals import Rate, pooled_rate_difference
from robustness.summary.metrics import (
    effective_dimension,
    hyperparameter_sensitivity,
    iqm,
    optimality_gap,
    probability_of_improvement,
)
from robustness.summary.raw_rows import added_remarks, counted_flags
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Delta, Raw, declare

__all__ = ["PROFILE_AT", "against", "over_tasks", "profile_rates", "tuned_skill"]

Floats = npt.NDArray[np.float64]

PROFILE_AT = (0.1, 0.25, 0.5, 0.75, 0.9)


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


def profile_rates(samples: Sequence[Resampled], taus: Sequence[float]) -> list[Rate]:
    """The share of an optimizer's runs with more skill than each threshold, with the interval of every rate.

    Args:
        samples: of the optimizer, one a task, that its scores are reported by; the same seeds on each.
        taus: thresholds of skill.

    Source: Agarwal et al. 2021 (arXiv 2108.13264).
    """
    skill_ST, cube = tuned_skill(samples), samples[0].cube
    above = (np.where(np.isnan(skill_ST), math.nan, skill_ST > tau) for tau in taus)
    return [
        rate_of_cells(flags_ST, cube.seeds_S, cube.orders, drawn=cube.binned, clustered=cube.clustered)[0]
        for flags_ST in above
    ]


@declare(
    "optimality_gap",
    "by how much skill falls short of 1",
    title="Optimality gap",
    unit="skill",
    better="lower",
    scope="tasks",
    least=0.0,
)
@declare(
    "performance_profile",
    "runs with a skill above a threshold",
    title="Profile",
    unit="share",
    better="higher",
    scope="tasks",
)
@declare(
    "iqm",
    "interquartile mean of skill over seeds, tasks and initializations",
    title="IQM",
    unit="skill",
    better="higher",
    scope="tasks",
)
@declare(
    "effective_dimension",
    "how many must be tuned for each task and initialization",
    title="Effective dimension",
    unit="hyperparameters",
    better="lower",
    scope="tasks",
)
@declare(
    "hyperparameter_sensitivity",
    "skill gained by tuning for each task and initialization",
    title="Hyperparameter sensitivity",
    unit="skill",
    better="lower",
    scope="tasks",
    least=0.0,
)
def over_tasks(metric: str, samples: Sequence[Resampled]) -> Iterator[Raw]:
    """A metric of one optimizer over all tasks.

    Args:
        metric: its id.
        samples: of the optimizer, one a task.
    """
    tuned = [sample.scored for sample in samples]
    needs_grid = metric in ("hyperparameter_sensitivity", "effective_dimension")
    used = samples if needs_grid else tuned
    resamples = used[0].resamples
    nothing_R = np.full(len(resamples.counts_RS), math.nan)

    def raw(values_R: Floats, unit: str, *remarks: Remark, place: str = "") -> Raw:
        fixed = (math.nan, math.nan) if metric == "effective_dimension" else None
        return Raw(
            metric=metric,
            init=None,
            values_R=values_R,
            levels=resamples.levels,
            n=resamples.seeds,
            unit=unit,
            remarks=remarks,
            at=place,
            fixed=fixed,
        )

    if len({tuple(sample.cube.seeds_S) for sample in used}) > 1:
        yield raw(nothing_R, "skill", Remark(Flag.DIFFERENT_SEEDS))
    elif needs_grid:
        yield raw(*_tuned_for_each(metric, samples))
    else:
        scores_ST = tuned_skill(tuned)
        if metric == "iqm":
            diverged = np.concatenate([sample.cube.flags("divergence_rate").ravel() for sample in samples])
            added = dict.fromkeys(remark for sample in samples for remark in added_remarks(sample.cube))
            share = Remark(Flag.DIVERGED_SHARE, (float(np.nanmean(diverged)),))
            yield raw(iqm(scores_ST, resamples), "skill", share, *added)
        elif metric == "optimality_gap":
            yield raw(optimality_gap(scores_ST, resamples), "skill")
        else:
            for tau, above in zip(PROFILE_AT, profile_rates(tuned, PROFILE_AT), strict=True):
                row = raw(np.array([above.value]), "share", place=f"skill > {tau:g}")
                yield replace(row, fixed=(above.low, above.high))


def _tuned_for_each(
    metric: str, samples: Sequence[Resampled]
) -> tuple[Floats, str, Remark] | tuple[Floats, str]:
    """The values, the unit and a remark of the two metrics of Adkins et al."""
    nothing_R = np.full(len(samples[0].resamples.counts_RS), math.nan)
    unit = "skill" if metric == "hyperparameter_sensitivity" else "hyperparameters"
    if len({tuple(sample.cube.lrs_L) for sample in samples}) > 1:
        return nothing_R, unit, Remark(Flag.DIFFERENT_LRS)
    skill_REL = np.concatenate([sample.skill_RIL for sample in samples], axis=1)
    skill_REL = np.where(np.isnan(skill_REL), -np.inf, skill_REL)  # a missing square is no setting to choose
    if skill_REL.shape[1] < 2:
        return nothing_R, unit, Remark(Flag.ONE_ENVIRONMENT)
    lacking_R = ~np.isfinite(skill_REL).all(axis=1).any(axis=1)  # nothing is a setting for all
    if lacking_R[0]:
        return nothing_R, unit, Remark(Flag.NO_COMMON_LR)
    if metric == "hyperparameter_sensitivity":
        with np.errstate(invalid="ignore"):
            return np.where(lacking_R, math.nan, hyperparameter_sensitivity(skill_REL)), unit
    dimension = effective_dimension(skill_REL[0], (skill_REL.shape[2],))
    return np.full(len(nothing_R), float(dimension)), unit, Remark(Flag.OF_ONE_HYPERPARAMETER)


@declare(
    "comparison",
    "difference from another optimizer, as `compare` makes it",
    title="Difference",
    unit="",
    better="",
    scope="pair",
)
@declare(
    "probability_of_improvement",
    "chance that a run is better than another optimizer's",
    title="P(improvement)",
    unit="share",
    better="higher",
    scope="pair",
)
@declare(
    "rate_difference",
    "divergence rate less another optimizer's",
    title="Difference in rate",
    unit="share",
    better="lower",
    scope="pair",
    is_tuned=False,
    of_trained=True,
)
def against(metric: str, own: Resampled, other: Resampled, delta: Delta) -> Iterator[Raw]:
    """`rate_difference`, `comparison` or `probability_of_improvement` of one optimizer less another's.

    Both over the same task and the same seeds; the first at nominal learning rates, the second as `robustness compare`.
    """
    place = f"against {other.cube.optimizer}"
    inits = [init for init in own.cube.inits if init in other.cube.inits]
    seeds_S = np.intersect1d(own.cube.seeds_S, other.cube.seeds_S)
    seeds = len(seeds_S)
    levels: tuple[int, ...] = (1,)

    def raw(values_R: Floats, unit: str, init: str | None, *remarks: Remark, of: str = "") -> Raw:
        where = f"{of} {place}".strip()
        return Raw(
            metric=metric,
            init=init,
            values_R=values_R,
            levels=levels,
            n=seeds,
            unit=unit,
            remarks=remarks,
            at=where,
        )

    if not seeds or not inits or own.cube.binned or other.cube.binned:
        paired = not (own.cube.binned or other.cube.binned)
        yield raw(np.array([math.nan]), "", None, Remark(Flag.DIFFERENT_SEEDS if paired else Flag.DRAWN_LRS))
        return
    own, other = own.cut(seeds_S, inits), other.cut(seeds_S, inits)
    levels = own.resamples.levels
    if metric == "rate_difference":
        counts = [counted_flags(x.cube.flags("divergence_rate").reshape(seeds, -1)) for x in (own, other)]
        hits, sizes = ((first, second) for first, second in zip(*counts, strict=True))
        difference, *ends = pooled_rate_difference(hits, sizes, seeds_S, own.cube.orders)
        remarks = [Remark(Flag.COUNT, (int(k.sum()), int(n.sum()))) for k, n in counts]
        remarks += [
            Remark(Flag.NOMINAL_LRS),
            *dict.fromkeys(added_remarks(own.cube) + added_remarks(other.cube)),
        ]
        found = raw(np.array([difference]), "share", None, *remarks)
        yield replace(found, fixed=(ends[0], ends[1]))
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
            differs = compared(name, own, other, delta=delta, init=init)
            unit = (
                "decades" if differs.unit == "log10 lr" else differs.unit
            )  # a difference is no learning rate
            row = raw(np.array([differs.difference]), unit, init, of=name)
            yield replace(row, n=differs.n, fixed=(differs.low, differs.high), remarks=differs.remarks)
