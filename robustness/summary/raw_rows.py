"""What every metric of a row is made of before its interval: a share of trials, a value an initialization, a pooled one."""

# R resamples, S seeds, I initializations, N trials of a seed

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from robustness.summary.cell_weighted_rates import rate_of_cells
from robustness.summary.cubes import Cube
from robustness.summary.flags import Flag, Remark
from robustness.summary.resampled import Resampled
from robustness.summary.rows import Raw

__all__ = ["added_remarks", "counted_flags", "each_init", "pooled", "rate"]

Floats = npt.NDArray[np.float64]


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
    trained_SIL = cube.trained_SIL if init is None else cube.trained_SIL[:, [cube.inits.index(init)]]
    dead = [] if (trained_SIL == 1).any() else [Remark(Flag.NOTHING_TRAINS)]
    return Raw(
        metric=metric,
        init=init,
        values_R=np.array([pooled.value]),
        levels=sample.resamples.levels,
        n=pooled.n,
        unit="share",
        fixed=(pooled.low, pooled.high),
        remarks=(Remark(Flag.COUNT, (pooled.k, pooled.n)), *added_remarks(cube), *dead, *remarks),
    )


def added_remarks(cube: Cube) -> list[Remark]:
    """That learning rates which a sampler added do not count, where it added some."""
    return [Remark(Flag.ADDED_LRS_LEFT_OUT, (cube.added,))] if cube.added else []


def counted_flags(flags_SN: Floats) -> tuple[Floats, Floats]:
    """Of each seed, how many flags are 1, and how many there are."""
    return np.nansum(flags_SN, axis=1), (~np.isnan(flags_SN)).sum(axis=1).astype(float)


def each_init(
    metric: str,
    sample: Resampled,
    values_RI: Floats,
    unit: str,
    *,
    remarks: Sequence[Sequence[Flag | Remark]] = (),
    place: str = "",
    tuned: bool = True,
) -> Iterator[Raw]:
    """One row an initialization; where nothing trains, without a value.

    Args:
        metric: its id.
        sample: of the optimizer on the task.
        values_RI: in every resample.
        unit: of the values.
        remarks: of each initialization.
        place: what each is a value at.
        tuned: it is one at the tuned learning rate, which most seeds must have.
    """
    for i, init in enumerate(sample.cube.inits):
        facts = list(remarks[i]) if remarks else []
        values_R = values_RI[:, i]
        if not sample.trains_I[i]:
            facts, values_R = [Flag.NOTHING_TRAINS], np.full(len(values_R), math.nan)
        # Where most seeds lack the tuned learning rate, most draws tune among others.
        few = tuned and not sample.cube.binned and 2 * sample.tuned_seeds_I[i] < sample.seeds_I[i]
        yield Raw(
            metric=metric,
            init=init,
            values_R=values_R,
            levels=sample.resamples.levels,
            n=int((sample.tuned_seeds_I if tuned else sample.seeds_I)[i]),
            unit=unit,
            remarks=_remarks([*facts, Flag.FEW_SEEDS_AT_TUNED] if few else facts),
            at=place,
            fixed=(math.nan, math.nan) if few else None,
        )


def pooled(
    metric: str,
    sample: Resampled,
    values_R: Floats,
    unit: str,
    remarks: Sequence[Flag | Remark] = (),
    place: str = "",
) -> Raw:
    """Over initializations."""
    return Raw(
        metric=metric,
        init=None,
        values_R=values_R,
        levels=sample.resamples.levels,
        n=len(sample.cube.seeds_S),
        unit=unit,
        remarks=_remarks(remarks),
        at=place,
    )


def _remarks(facts: Sequence[Flag | Remark]) -> tuple[Remark, ...]:
    return tuple(fact if isinstance(fact, Remark) else Remark(fact) for fact in facts)
