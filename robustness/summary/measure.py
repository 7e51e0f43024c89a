"""Every metric of a study, with its interval: what `robustness metrics` prints."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from robustness.summary import study_metrics  # noqa: F401  declares its metrics
from robustness.summary.flags import Flag, Remark
from robustness.summary.importance import importance_rows
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import Estimate, estimates
from robustness.summary.row_metrics import refused_row
from robustness.summary.rows import DEFAULT_DELTA, METRICS, SCOPES, Delta, Metric, MetricRow, Raw, bounds_of
from robustness.summary.sampler_limits import not_meant, sampler_of
from robustness.summary.study import Study

__all__ = ["measure"]


def measure(
    study: Study, *, metrics: Collection[str] | None = None, delta: Delta = DEFAULT_DELTA
) -> list[MetricRow]:
    """The metrics of a study, by metric, task, optimizer and initialization in the study's order.

    Args:
        study: classified.
        metrics: ids of `METRICS`; all by default.
        delta: of the windows.
    """
    ordered = sorted(METRICS.values(), key=lambda metric: SCOPES.index(metric.scope))
    wanted = [metric for metric in ordered if metrics is None or metric.id in metrics]
    sampler = sampler_of(study.spec)
    raws: list[_Placed] = []
    for metric in wanted:
        why = not_meant(metric.id, sampler)
        if why is not None:
            raws += [_refused(metric, sample, why) for sample in study.resamples]
        elif metric.scope == "tasks":
            by_optimizer: dict[str, list[Resampled]] = defaultdict(list)
            for sample in study.resamples:
                by_optimizer[sample.cube.optimizer].append(sample)
            for optimizer, samples in by_optimizer.items():
                raws += [(None, optimizer, raw) for raw in metric.compute(samples)]
        else:
            raws += _of_tasks(metric, study.resamples, delta)
    rows = list(_with_intervals(study, raws))
    needs_importance = (
        any(metric.scope == "study" for metric in wanted) and not_meant("importance", sampler) is None
    )
    return rows + (importance_rows(study) if needs_importance else [])


_Placed = tuple[str | None, str, Raw]
"""Task and optimizer of a metric without its interval."""


def _of_tasks(metric: Metric, samples: Sequence[Resampled], delta: Delta) -> Iterator[_Placed]:
    """Of each optimizer on each task; of pairs, each against the first of its task."""
    first: dict[str, Resampled] = {}
    for sample in samples:
        task, optimizer = sample.cube.task, sample.cube.optimizer
        other = first.setdefault(task, sample)
        if metric.scope == "study" or (metric.scope == "pair" and other is sample):
            continue
        why = _undefined(metric, sample)
        if why is not None:
            yield _refused(metric, sample, why)
        else:
            pair = (sample, other) if metric.scope == "pair" else (sample,)
            for raw in metric.compute(*pair, delta):
                yield task, optimizer, raw


def _refused(metric: Metric, sample: Resampled, why: Flag) -> _Placed:
    return sample.cube.task, sample.cube.optimizer, refused_row(metric.id, sample, why)


def _undefined(metric: Metric, sample: Resampled) -> Flag | None:
    """Why a metric is not defined for trials drawn as these were; None where it is."""
    if metric.of_trained and not sample.constants.accuracy_tells:
        return Flag.ACCURACY_CANNOT_TELL
    return Flag.DRAWN_LRS if metric.id == "critical_lr" and sample.cube.binned else None


def _with_intervals(study: Study, found: list[_Placed]) -> Iterator[MetricRow]:
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
        remarks = [*raw.remarks, *(() if math.isnan(value) else estimate.remarks)]
        if task is not None and study.facts[task].selection == "test" and METRICS[raw.metric].is_tuned:
            remarks.append(Remark(Flag.SELECTED_ON_TEST))
        if math.isnan(value) and not remarks:
            remarks.append(Remark(Flag.NOT_DEFINED))
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
            at=raw.at,
            remarks=tuple(remarks),
        )
