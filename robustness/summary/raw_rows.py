"""What every metric of a row is made of before its interval: a share of trials, a value an initialization, a pooled one."""

# R resamples, S seeds, I initializations, N trials of a seed

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from robustness.summary.flags import Flag, Remark
from robustness.summary.intervals import pooled_rate, uneven
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Raw

__all__ = ["MOST_DO_NOT_TRAIN", "NOTHING_TRAINS", "counted_flags", "each_init", "pooled", "rate"]

Floats = npt.NDArray[np.float64]

NOTHING_TRAINS = "no learning rate trains"
MOST_DO_NOT_TRAIN = "most seeds train at no learning rate"
FEW_AT_TUNED = "most seeds lack the tuned learning rate: no interval"


def rate(metric: str, flags_SN: Floats, sample: Resampled, init: str | None) -> Raw:
    """A share of trials, with `intervals.pooled_rate`'s interval.

    Args:
        metric: its id.
        flags_SN: 1 or 0 of each seed's trials; NaN where missing.
        sample: for its seeds.
        init: label, or None.
    """
    cube = sample.cube
    hits_S, sizes_S = counted_flags(flags_SN)
    found = pooled_rate(hits_S, sizes_S, cube.seeds_S, cube.orders)
    notes, remarks = [f"{found.k}/{found.n}", cube.added_lrs], [Remark(Flag.COUNT, (found.k, found.n))]
    if cube.clustered:
        notes.append("seeds of one setting are not independent: no interval")
        remarks.append(Remark(Flag.CLUSTERED_SEEDS))
    elif uneven(sizes_S):
        notes.append("seeds have different learning rates or initializations: no interval")
        remarks.append(Remark(Flag.UNEVEN_SEEDS))
    elif found.n and math.isnan(found.low):
        notes.append("one seed: no interval")
        remarks.append(Remark(Flag.ONE_SEED))
    return Raw(
        metric=metric,
        init=init,
        values_R=np.array([found.value]),
        levels=sample.resamples.levels,
        n=found.n,
        unit="share",
        note="; ".join(note for note in notes if note),
        fixed=(math.nan, math.nan) if cube.clustered else (found.low, found.high),
        remarks=tuple(remarks),
    )


def counted_flags(flags_SN: Floats) -> tuple[Floats, Floats]:
    """Of each seed, how many flags are 1, and how many there are."""
    return np.nansum(flags_SN, axis=1), (~np.isnan(flags_SN)).sum(axis=1).astype(float)


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
            levels=sample.resamples.levels,
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
    return Raw(
        metric=metric,
        init=None,
        values_R=values_R,
        levels=sample.resamples.levels,
        n=len(sample.cube.seeds_S),
        unit=unit,
        note=note,
        at=place,
    )
