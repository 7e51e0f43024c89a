"""What every metric of a row is made of before its interval: a share of trials, a value an initialization, a pooled one."""

# R resamples, S seeds, I initializations, N trials of a seed

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from robustness.summary.cell_weighted_rates import rate_of_cells
from robustness.summary.flags import Flag, Remark, has_flag
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Raw

__all__ = ["MOST_DO_NOT_TRAIN", "NOTHING_TRAINS", "counted_flags", "each_init", "pooled", "rate"]

Floats = npt.NDArray[np.float64]

NOTHING_TRAINS = "no learning rate trains"
MOST_DO_NOT_TRAIN = "most seeds train at no learning rate"
FEW_AT_TUNED = "most seeds lack the tuned learning rate: no interval"


def rate(metric: str, flags_SN: Floats, sample: Resampled, init: str | None) -> Raw:
    """A share of trials, with `rate_of_cells`'s interval.

    Args:
        metric: its id.
        flags_SN: 1 or 0 of each seed's trials; NaN where missing.
        sample: for its seeds.
        init: label, or None.
    """
    cube = sample.cube
    pooled, remarks = rate_of_cells(
        flags_SN, cube.seeds_S, cube.orders, drawn=cube.binned, clustered=cube.clustered
    )
    notes = [f"{pooled.k}/{pooled.n}", cube.added_lrs]
    notes += [text for flag, text in _RATE_NOTES.items() if has_flag(remarks, flag)]
    return Raw(
        metric=metric,
        init=init,
        values_R=np.array([pooled.value]),
        levels=sample.resamples.levels,
        n=pooled.n,
        unit="share",
        note="; ".join(note for note in notes if note),
        fixed=(pooled.low, pooled.high),
        remarks=(Remark(Flag.COUNT, (pooled.k, pooled.n)), *remarks),
    )


_RATE_NOTES = {
    Flag.CLUSTERED_SEEDS: "seeds of one setting are not independent: no interval",
    Flag.ONE_SEED: "one seed: no interval",
    Flag.UNEVEN_SEEDS: "some seeds lack most learning rates or initializations: each of these weighs the same",
}


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
