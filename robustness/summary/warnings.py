"""What a reader must know before believing a study's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from robustness.phrases import counted, listed
from robustness.summary.checks import (
    FEW_SEEDS,
    budgets,
    changeable_labels,
    fewest_seeds,
    row_edges,
    row_gaps,
    uneven_tasks,
)
from robustness.summary.confirmed import are_confirmed
from robustness.summary.outcome import classify
from robustness.summary.resampled import Resampled
from robustness.summary.rows import DEFAULT_DELTA, Delta
from robustness.summary.sampler_limits import designed, not_independent, sampler_of
from robustness.summary.study import Study
from robustness.summary.tasks import ACCURACY_CANNOT_TELL

__all__ = ["FLOORS", "assumed", "floor_rates", "study_warnings"]

FLOORS = (0.05, 0.2)
"""The skill floors between which a report shows how much the rates move."""


def study_warnings(study: Study, delta: Delta = DEFAULT_DELTA) -> list[str]:
    """Sentences, the gravest first; empty where there is nothing to warn of.

    Args:
        study: classified.
        delta: of the tolerance windows.
    """
    if not len(study.complete):
        return ["Nothing is complete yet."]
    samples = study.tuning
    sampler = sampler_of(study.spec)
    if not_independent(sampler):
        found = [*_missing(study), *_assumed(study), *_chosen(study, sampler)]
        return [*found, *_non_monotone(samples)] if sampler == "edge" else found
    return [
        *_missing(study),
        *_assumed(study),
        *_seeds(study, samples),
        *_grids(study),
        *_added(samples),
        *_edges(samples, delta),
        *_labels(study),
        *_non_monotone(samples),
    ]


def _missing(study: Study) -> Iterator[str]:
    missing = len(study.trials) - len(study.complete)
    if missing:
        failed = study.counts["failed"]
        yield f"{missing:,} of {len(study.trials):,} trials are missing ({failed:,} failed): rates rest on the rest."
    doubled = study.complete.duplicated(["task", "optimizer", "init", "lr", "seed_index"]).sum()
    if doubled:
        yield f"{doubled:,} trials repeat a square and a seed; metrics take the first of each."


def assumed(study: Study) -> list[str]:
    """What stands in for facts of the tasks that nobody knows."""
    texts: dict[str, list[str]] = {}
    for task, constants in study.facts.items():
        for text in constants.assumed:
            texts.setdefault(text, []).append(task)
    return [f"{listed(tasks)}: {text}." for text, tasks in texts.items()]


def _assumed(study: Study) -> Iterator[str]:
    yield from assumed(study)
    on_test = [task for task, constants in study.facts.items() if constants.selection == "test"]
    if on_test:
        yield f"{listed(on_test)}: no validation scores, so learning rates are selected on test data."
    cannot_tell = [task for task, constants in study.facts.items() if not constants.accuracy_tells]
    if cannot_tell:
        yield (
            f"{listed(cannot_tell)}: {ACCURACY_CANNOT_TELL}. What stayed finite and did not blow up passes for trained, "
            "and its side is unresolved. Rates that rest on it are not stated; squares count only the others as diverged."
        )
    unsure = [
        task
        for task, constants in study.facts.items()
        if constants.score == "accuracy" and constants.test_size is None
    ]
    if unsure:
        yield f"{listed(unsure)}: the number of independent test items is not known, so chance has no standard error."


def _seeds(study: Study, samples: Sequence[Resampled]) -> Iterator[str]:
    # Of random searches each trial is a seed; else what counts is the tuned square with the fewest.
    seeds = fewest_seeds(study.complete, samples)
    if seeds < FEW_SEEDS:
        yield f"{counted(seeds, 'seed')}: below {FEW_SEEDS} the intervals cover less than they state."
    uneven = [_pair(s) for s in samples if s.cube.missing and not s.cube.binned]
    if uneven:
        yield (
            f"Seeds differ between learning rates or squares are missing: {listed(uneven)}. Pooled rates weigh a "
            "learning rate by its trials; --seed-filter keeps seeds that have them all."
        )
    confirming = study.confirming["seed_index"].nunique()
    if are_confirmed(samples):
        yield (
            f"Scores at tuned learning rates are those of {counted(confirming, 'fresh seed')}, which neither chose them "
            "nor count in any rate."
        )
        return
    if confirming:
        yield "Not every tuned learning rate is confirmed yet: scores are those of the seeds that chose it."
    if not any(sample.trains_I.any() for sample in samples):
        return
    yield (
        "Learning rates are selected and reported on the same seeds: the tuned scores are a little too good. "
        "Validation data select, test data report."
        if not any(constants.selection == "test" for constants in study.facts.values())
        else "Learning rates are selected and reported on the same seeds and the same data: tuned scores are too good."
    )


def _chosen(study: Study, sampler: str) -> Iterator[str]:
    seeds = study.complete["seed_index"].nunique()
    if seeds < FEW_SEEDS:
        yield f"{counted(seeds, 'seed')}: below {FEW_SEEDS} the intervals cover less than they state."
    if sampler == "edge":
        yield (
            "Learning rates were chosen by edge, around where training ends: rates, windows and scores over them say "
            "nothing of robustness. Critical learning rates are nominal: an optimizer with smaller steps ends later."
        )
    else:
        yield (
            "Settings were chosen by tpe, where scores are best: rates and windows over them say nothing of robustness, "
            "and tuned scores are those of a search with this budget."
        )


def _grids(study: Study) -> Iterator[str]:
    own = designed(study.trials).groupby(["task", "optimizer"], sort=False)["lr"].unique()
    grids = {tuple(sorted(values)) for values in own}
    if len(grids) > 1:
        yield "Optimizers or tasks have different learning rates: rates pooled over them are not comparable."
    elif study.trials["optimizer"].nunique() > 1:
        yield (
            "All optimizers share one nominal grid: one with a smaller effective step looks more robust there. Rates "
            "do not separate the two; windows and the command compare do."
        )
    uneven = uneven_tasks(budgets(study))
    if uneven:
        yield f"{listed(uneven)}: optimizers have different numbers of trials."


def _added(samples: Sequence[Resampled]) -> Iterator[str]:
    rows = []
    for sample in samples:
        cube = sample.cube
        own, added = (cube.diverged_SIL[..., kept_L] for kept_L in (cube.designed_L, ~cube.designed_L))
        if np.nansum(added) and not np.nansum(own):
            rows.append(f"{_pair(sample)} ({np.nansum(added):.0f} of {(~np.isnan(added)).sum()})")
    if rows:
        yield (
            "No trial of the design diverged, but trials did at learning rates that were added, which count in no rate, "
            f"in {counted(len(rows), 'pair')} of an optimizer and a task: {listed(rows)}."
        )


def _edges(samples: Sequence[Resampled], delta: Delta) -> Iterator[str]:
    rows = row_edges(samples, delta)
    dead = [row.name for row in rows if not row.trains]
    few = [row.name for row in rows if row.trains and not row.mostly]
    tuned = [row.name for row in rows if row.tuned]
    censored = [row.name for row in rows if row.window]
    if dead:
        yield f"No learning rate trains in {counted(len(dead), 'row')}: {listed(dead)}."
    if few:
        yield f"Most seeds train at no learning rate in {counted(len(few), 'row')}: {listed(few)}."
    if tuned:
        yield f"The tuned learning rate is at the grid's edge in {counted(len(tuned), 'row')}: {listed(tuned)}."
    if censored:
        yield (
            f"The window (within {delta} of the best) reaches the grid's edge in {counted(len(censored), 'row')} and is "
            f"at least as wide as stated: {listed(censored)}."
        )


def _without_steps(study: Study) -> str:
    if study.complete["max_loss_rise"].notna().all():
        return ""
    return (
        " Of trials whose losses of single steps were not recorded, those count whose loss was once beyond "
        f"{study.thresholds.chaos:g} times where it began."
    )


def _labels(study: Study) -> Iterator[str]:
    changeable = changeable_labels(study.complete)
    if changeable.total:
        yield (
            f"{counted(changeable.total, 'label')} can change when trials are added, as they rest on more than their "
            f"own trial: {changeable.bases}."
        )
    chaotic = study.complete["chaotic"].sum()
    if chaotic:
        yield (
            f"{chaotic:,} trials are chaotic: in one step their loss rose by more than {study.thresholds.chaotic_rise:g} "
            "times where it began, so rounding (another machine, or --pack 1) can decide how they end."
            + _without_steps(study)
        )
    rates = floor_rates(study)
    low, high = (rates[floor] for floor in FLOORS)
    if abs(high - low) >= 0.005:
        yield (
            f"With a skill floor of {FLOORS[0]:g} instead of {FLOORS[1]:g}, {100 * low:.1f} instead of "
            f"{100 * high:.1f} % of all trials did not train."
        )


def floor_rates(study: Study) -> dict[float, float]:
    """The share of complete trials that did not train, at each of `FLOORS`."""
    found = {}
    for floor in FLOORS:
        rules = replace(study.thresholds, skill_floor=floor)
        again = classify(study.complete[study.trials.columns], study.facts, rules)
        found[floor] = float((again["outcome"] != "trained").mean())
    return found


def _non_monotone(samples: Sequence[Resampled]) -> Iterator[str]:
    rows = row_gaps(samples)
    odd, total = sum(len(row.seeds) for row in rows), sum(row.of for row in rows)
    if odd:
        yield f"In {odd:,} of {total:,} rows of a seed a learning rate trains above one that does not."


def _pair(sample: Resampled) -> str:
    return f"{sample.cube.optimizer} on {sample.cube.task}"
