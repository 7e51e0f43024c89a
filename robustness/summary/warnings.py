"""What a reader must know before believing a study's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from robustness.summary.chosen import not_independent, sampler_of
from robustness.summary.frame import Study
from robustness.summary.measure import resampled
from robustness.summary.metrics import window_ends
from robustness.summary.outcome import classify
from robustness.summary.resampled import Resampled
from robustness.summary.rows import DEFAULT_DELTA, Delta

__all__ = ["FEW_SEEDS", "FLOORS", "floor_rates", "study_warnings"]

FLOORS = (0.05, 0.2)
"""The skill floors between which a report shows how much the rates move."""
_NAMED = 4
FEW_SEEDS = 10


def study_warnings(
    study: Study, samples: Sequence[Resampled] | None = None, delta: Delta = DEFAULT_DELTA
) -> list[str]:
    """Sentences, the gravest first; empty where there is nothing to warn of.

    Args:
        study: classified.
        samples: of `measure.resampled`, where a caller has them.
        delta: of the tolerance windows.
    """
    if not len(study.complete):
        return ["Nothing is complete yet."]
    samples = resampled(study) if samples is None else samples
    sampler = sampler_of(study.spec)
    if not_independent(sampler):
        return [*_missing(study), *_assumed(study), *_chosen(study, sampler), *_non_monotone(samples)]
    return [
        *_missing(study),
        *_assumed(study),
        *_seeds(study, samples),
        *_grids(study),
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


def _assumed(study: Study) -> Iterator[str]:
    texts: dict[str, list[str]] = {}
    for task, constants in study.facts.items():
        for text in constants.assumed:
            texts.setdefault(text, []).append(task)
    for text, tasks in texts.items():
        yield f"{_listed(tasks)}: {text}."
    on_test = [task for task, constants in study.facts.items() if constants.selection == "test"]
    if on_test:
        yield f"{_listed(on_test)}: no validation scores, so learning rates are selected on test data."
    lopsided = [
        task
        for task, constants in study.facts.items()
        if constants.score == "accuracy" and constants.chance > 0.5
    ]
    if lopsided:
        yield f"{_listed(lopsided)}: one class has more than half of the test set, and accuracy is not balanced."
    unsure = [
        task
        for task, constants in study.facts.items()
        if constants.score == "accuracy" and constants.test_size is None
    ]
    if unsure:
        yield f"{_listed(unsure)}: the number of independent test items is not known, so chance has no standard error."


def _seeds(study: Study, samples: Sequence[Resampled]) -> Iterator[str]:
    # Of random searches each trial is a seed; else what counts is the tuned square with the fewest.
    seeds = study.complete["seed_index"].nunique()
    seeds = min([seeds, *(int(s.tuned_seeds_I.min()) for s in samples if not s.cube.binned)])
    if seeds < FEW_SEEDS:
        yield f"{_count(seeds, 'seed')}: below {FEW_SEEDS} the intervals cover less than they state."
    uneven = [_pair(s) for s in samples if s.cube.missing and not s.cube.binned]
    if uneven:
        yield (
            f"Seeds differ between learning rates or squares are missing: {_listed(uneven)}. Pooled rates weigh a "
            "learning rate by its trials; --seed-filter keeps seeds that have them all."
        )
    yield (
        "Learning rates are selected and reported on the same seeds: the tuned scores are a little too good. "
        "Validation data select, test data report."
        if not any(constants.selection == "test" for constants in study.facts.values())
        else "Learning rates are selected and reported on the same seeds and the same data: tuned scores are too good."
    )


def _chosen(study: Study, sampler: str) -> Iterator[str]:
    seeds = study.complete["seed_index"].nunique()
    if seeds < FEW_SEEDS:
        yield f"{_count(seeds, 'seed')}: below {FEW_SEEDS} the intervals cover less than they state."
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
    own = study.trials.groupby(["task", "optimizer"], sort=False)["lr"].unique()
    grids = {tuple(sorted(values)) for values in own}
    if len(grids) > 1:
        yield "Optimizers or tasks have different learning rates: rates pooled over them are not comparable."
    elif study.trials["optimizer"].nunique() > 1:
        yield (
            "All optimizers share one nominal grid: one with a smaller effective step looks more robust there. Rates "
            "do not separate the two; windows and the command compare do."
        )
    budgets = study.trials.groupby(["task", "optimizer"]).size().groupby("task").nunique()
    if (budgets > 1).any():
        yield f"{_listed(list(map(str, budgets.index[budgets > 1])))}: optimizers have different numbers of trials."


def _edges(samples: Sequence[Resampled], delta: Delta) -> Iterator[str]:
    tuned: list[str] = []
    censored: list[str] = []
    dead: list[str] = []
    for sample in samples:
        last = len(sample.cube.lrs_L) - 1
        width = delta.in_score(sample.span, is_loss=sample.constants.score == "loss")
        first_I, last_I = window_ends(sample.score_RIL[0], sample.tuned_RI[0], width)
        for i, init in enumerate(sample.cube.inits):
            name = f"{_pair(sample)}, {init}"
            if not sample.trains_I[i]:
                dead.append(name)
                continue
            if sample.tuned_RI[0, i] in (0, last):
                tuned.append(name)
            if first_I[i] == 0 or last_I[i] == last:
                censored.append(name)
    if dead:
        yield f"No learning rate trains in {_count(len(dead), 'row')}: {_listed(dead)}."
    if tuned:
        yield f"The tuned learning rate is at the grid's edge in {_count(len(tuned), 'row')}: {_listed(tuned)}."
    if censored:
        yield (
            f"The window (within {delta} of the best) reaches the grid's edge in {_count(len(censored), 'row')} and is "
            f"at least as wide as stated: {_listed(censored)}."
        )


def _labels(study: Study) -> Iterator[str]:
    resting = study.complete["evidence"].isin(["smaller-lr-trains", "larger-lr-trains"]).sum()
    if resting:
        yield (
            f"{resting:,} labels rest on other learning rates of their row and can change when trials are added."
        )
    chaotic = study.complete["chaotic"].sum()
    if chaotic:
        yield (
            f"{chaotic:,} trials are chaotic: their loss was once beyond {study.thresholds.chaos:g} times where it "
            "began, so rounding (another machine, or --pack 1) can decide how they end."
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
    odd = total = 0
    for sample in samples:
        if not sample.cube.binned:
            monotone_SI = sample.cube.critical.monotone
            odd += int((~monotone_SI).sum())
            total += int(np.size(monotone_SI))
    if odd:
        yield f"In {odd:,} of {total:,} rows of a seed a learning rate trains above one that does not."


def _pair(sample: Resampled) -> str:
    return f"{sample.cube.optimizer} on {sample.cube.task}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    shown = "; ".join(unique[:_NAMED])
    more = len(unique) - _NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown
