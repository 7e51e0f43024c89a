"""Every metric of a study, with its interval: what `robustness metrics` prints."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator

from robustness.catalog import OPTIMIZERS
from robustness.summary.chosen import not_meant, sampler_of
from robustness.summary.confirmed import are_confirmed, with_confirmed
from robustness.summary.cubes import Cube, cubes
from robustness.summary.frame import Study
from robustness.summary.importance import importance_rows
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import Estimate, draws_for, estimates
from robustness.summary.row_metrics import ROW_METRICS, refused_row
from robustness.summary.rows import DEFAULT_DELTA, METRICS, Delta, MetricRow, Raw, bounds_of
from robustness.summary.study_metrics import OVER_TASKS, against, over_tasks

__all__ = ["default_lr", "is_confirmed", "measure", "resampled"]

_AGAINST = ("rate_difference", "probability_of_improvement", "comparison")


def default_lr(study: Study, optimizer: str) -> float:
    """The learning rate of an optimizer's own documentation; NaN where the catalog has none."""
    name = study.optimizers.get(optimizer, {}).get("name", "")
    return OPTIMIZERS.get(name).default_lr if name in [entry.name for entry in OPTIMIZERS] else math.nan


def resampled(
    study: Study, found: Collection[Cube] | None = None, draws: int | None = None
) -> list[Resampled]:
    """Every optimizer on every task of a study.

    Args:
        study: classified.
        found: its cubes, where a caller has them.
        draws: of the bootstrap; by the size of the study by default, 0 for the sample itself and nothing else.
    """
    samples = [
        Resampled(
            cube=cube,
            constants=study.facts[cube.task],
            default_lr=default_lr(study, cube.optimizer),
            draws=draws_for(len(study.complete)) if draws is None else draws,
        )
        for cube in (cubes(study) if found is None else found)
    ]
    return with_confirmed(study, samples)


def is_confirmed(study: Study) -> bool:
    """Whether scores are those of fresh seeds; see `confirmed.with_confirmed`."""
    return len(study.confirming) > 0 and are_confirmed(resampled(study, draws=0))


def measure(
    study: Study, *, metrics: Collection[str] | None = None, delta: Delta = DEFAULT_DELTA
) -> list[MetricRow]:
    """The metrics of a study, by metric, task, optimizer and initialization in the study's order.

    Args:
        study: classified.
        metrics: ids of `METRICS`; all by default.
        delta: of the windows.
    """
    wanted = [name for name in METRICS if metrics is None or name in metrics]
    samples = resampled(study)
    found: list[tuple[str | None, str, Raw]] = []
    sampler = sampler_of(study.spec)
    for name in wanted:
        why = not_meant(name, sampler)
        if why:
            found += [(s.cube.task, s.cube.optimizer, refused_row(name, s, why)) for s in samples]
        elif name in ROW_METRICS:
            for sample in samples:
                why = _refused(name, sample)
                raws = [refused_row(name, sample, why)] if why else ROW_METRICS[name](sample, delta)
                found += [(sample.cube.task, sample.cube.optimizer, raw) for raw in raws]
        elif name in OVER_TASKS:
            by_optimizer: dict[str, list[Resampled]] = defaultdict(list)
            for sample in samples:
                by_optimizer[sample.cube.optimizer].append(sample)
            for optimizer, own in by_optimizer.items():
                found += [(None, optimizer, raw) for raw in over_tasks(name, own)]
        elif name in _AGAINST:
            found += _against(name, samples, delta)
    rows = list(_with_intervals(study, found))
    return rows + (
        importance_rows(study, [sample.cube for sample in samples])
        if "importance" in wanted and not not_meant("importance", sampler)
        else []
    )


def _refused(name: str, sample: Resampled) -> str:
    """Why a metric is not defined for trials drawn as these were; empty where it is."""
    if name == "critical_lr" and sample.cube.binned:
        return "learning rates were drawn at random: no seed has more than one"
    return ""


def _against(name: str, samples: list[Resampled], delta: Delta) -> Iterator[tuple[str, str, Raw]]:
    """Each optimizer against the first of its task."""
    first: dict[str, Resampled] = {}
    for sample in samples:
        other = first.setdefault(sample.cube.task, sample)
        if other is not sample:
            for raw in against(name, sample, other, delta):
                yield sample.cube.task, sample.cube.optimizer, raw


def _with_intervals(study: Study, found: list[tuple[str | None, str, Raw]]) -> Iterator[MetricRow]:
    """All intervals of as many seeds at once: one call a batch, not one a number."""
    batches: dict[tuple[tuple[int, ...], int], list[int]] = defaultdict(list)
    for place, (_, _, raw) in enumerate(found):
        if raw.fixed is None:
            batches[raw.levels, len(raw.values_R)].append(place)
    intervals: dict[int, Estimate] = {}
    for (levels, _), places in batches.items():
        raws = [found[place][2] for place in places]
        bounds = [bounds_of(raw.metric, raw.unit) for raw in raws]
        least_sds = [raw.least_sd for raw in raws]
        statistics = [raw.values_R for raw in raws]
        estimated = estimates(statistics, levels, bounds=bounds, least_sds=least_sds)
        intervals.update(zip(places, estimated, strict=True))
    for place, (task, optimizer, raw) in enumerate(found):
        value = float(raw.values_R[0])
        estimate = intervals.get(place) or Estimate(value, *(raw.fixed or (math.nan, math.nan)))
        selection = task is not None and study.facts[task].selection == "test"
        on_test = "selection on test data" if selection and raw.metric in _SELECTED else ""
        undefined = "not defined" if math.isnan(value) and not raw.note else ""
        notes = [raw.note, "" if math.isnan(value) else estimate.note, on_test, undefined]
        yield MetricRow(
            metric=raw.metric,
            task=task,
            optimizer=optimizer,
            init=raw.init,
            value=value,
            low=estimate.low,
            high=estimate.high,
            n=raw.n,
            unit=raw.unit,
            note="; ".join(note for note in notes if note),
            at=raw.at,
            remarks=(*raw.remarks, *estimate.remarks),
        )


_RATES = ("divergence_rate", "nonfinite_rate", "not_trained_rate", "rate_difference")
_UNTUNED = (*_RATES, "critical_lr", "expected_score", "cvar_score")
_SELECTED = tuple(name for name in METRICS if name not in _UNTUNED)
