"""What every metric of a row is made of before its interval: a share of trials, a value an initialization, a pooled one."""

# R resamples, S seeds, I initializations, N trials of a seed

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from robustness.summary.intervals import uneven, wilson
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Raw

__all__ = ["MOST_DO_NOT_TRAIN", "NOTHING_TRAINS", "each_init", "pooled", "rate"]

Floats = npt.NDArray[np.float64]

NOTHING_TRAINS = "no learning rate trains"
MOST_DO_NOT_TRAIN = "most seeds train at no learning rate"
FEW_AT_TUNED = "most seeds lack the tuned learning rate: no interval"


def rate(metric: str, flags_SN: Floats, sample: Resampled, init: str | None) -> Raw:
    """A share of trials, by whole seeds.

    Where nothing or everything is flagged, Wilson's interval over the seeds, the independent units: the bootstrap
    would state certainty.

    Args:
        metric: its id.
        flags_SN: 1 or 0 of each seed's trials; NaN where missing.
        sample: for the resamples.
        init: label, or None.
    """
    hits_S = np.nansum(flags_SN, axis=1)
    sizes_S = (~np.isnan(flags_SN)).sum(axis=1).astype(float)
    k, n = int(hits_S.sum()), int(sizes_S.sum())
    weights = sample.resamples.weights_RS
    with np.errstate(invalid="ignore", divide="ignore"):
        values_R = (weights @ hits_S) / (weights @ sizes_S)
    fixed, note = None, f"{k}/{n}"
    note += f"; {sample.cube.added_lrs}" if sample.cube.added_lrs else ""
    seeds = len(np.unique(sample.cube.weights_S[sizes_S > 0]))
    if sample.cube.clustered:
        fixed = (math.nan, math.nan)
        note += "; seeds of one setting are not independent: no interval"
    elif uneven(sizes_S):
        fixed = (math.nan, math.nan)
        note += "; seeds have different learning rates or initializations: no interval"
    elif n and k in (0, n):
        bounds = wilson(seeds if k else 0, seeds)
        fixed = (bounds.low, bounds.high)
        note += "; Wilson's interval over the seeds"
    elif seeds > 1 and len(values_R) > 1 and np.ptp(values_R[1 : 1 + len(hits_S)]) == 0:
        note += "; all seeds agree"
    return Raw(
        metric=metric,
        init=init,
        values_R=values_R,
        seeds=len(hits_S),
        n=n,
        unit="share",
        note=note,
        fixed=fixed,
    )


def each_init(
    metric: str,
    sample: Resampled,
    values_RI: Floats,
    unit: str,
    *,
    notes: list[str] | None = None,
    place: str = "",
    tuned: bool = True,
) -> Iterator[Raw]:
    """One row an initialization; where nothing trains, without a value.

    Args:
        metric: its id.
        sample: of the optimizer on the task.
        values_RI: in every resample.
        unit: of the values.
        notes: of each initialization.
        place: what each is a value at.
        tuned: it is one at the tuned learning rate, which most seeds must have.
    """
    for i, init in enumerate(sample.cube.inits):
        note = notes[i] if notes else ""
        values_R = values_RI[:, i]
        if not sample.trains_I[i]:
            note, values_R = NOTHING_TRAINS, np.full(len(values_R), math.nan)
        # Where most seeds lack the tuned learning rate, most draws tune among others.
        few = tuned and not sample.cube.binned and 2 * sample.tuned_seeds_I[i] < sample.seeds_I[i]
        yield Raw(
            metric=metric,
            init=init,
            values_R=values_R,
            seeds=len(sample.cube.seeds_S),
            n=int((sample.tuned_seeds_I if tuned else sample.seeds_I)[i]),
            unit=unit,
            note="; ".join(text for text in (note, FEW_AT_TUNED if few else "") if text),
            at=place,
            fixed=(math.nan, math.nan) if few else None,
        )


def pooled(
    metric: str, sample: Resampled, values_R: Floats, unit: str, note: str = "", place: str = ""
) -> Raw:
    """Over initializations."""
    seeds = len(sample.cube.seeds_S)
    return Raw(
        metric=metric, init=None, values_R=values_R, seeds=seeds, n=seeds, unit=unit, note=note, at=place
    )
