"""A difference between two optimizers: its interval and its test, both from the same t."""

# R resamples, I initializations

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robustness.summary.comparison.contrasts import RATES, Contrast, contrasted
from robustness.summary.comparison.paired import least_p
from robustness.summary.comparison.pairing import Pair, paired
from robustness.summary.comparison.result import Comparison, InitDifference, Nominal
from robustness.summary.flags import Flag, Remark
from robustness.summary.intervals import pooled_rate_difference
from robustness.summary.raw_rows import counted_flags
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import DEFINED, standard_errors, t_quantile
from robustness.summary.rows import DEFAULT_DELTA, Delta

__all__ = ["T_TEST", "compared", "nothing"]

Floats = npt.NDArray[np.float64]

T_TEST = "t test"


def compared(
    metric: str, a: Resampled, b: Resampled, *, delta: Delta = DEFAULT_DELTA, init: str | None = None
) -> Comparison:
    """Compare two optimizers on one task by one metric, before any correction.

    Learning rates are measured, on each initialization, from the centre of each one's skill by validation scores. The
    interval and the p value are both of t with n - 1 degrees of freedom on the standard error of the difference in
    the same resamples of whole seeds for both; in each, centres, windows and tuned learning rates are found anew. A
    difference within the resolution of the grid is not told, whatever the p.

    Args:
        metric: of `spec.COMPARABLE`.
        a: the first.
        b: the second, on the same task.
        delta: of the tolerance windows.
        init: on this one only; else pooled over those that both have.
    """
    of = (a.cube.task, init, metric, a.cube.optimizer, b.cube.optimizer)
    pair = paired(a, b, delta, init)
    if isinstance(pair, Flag):
        return nothing(of, Remark(pair))
    pair, contrast = contrasted(metric, pair)
    if isinstance(contrast, Remark):
        return nothing(of, contrast)
    differences_RI = _less(contrast.a_RI, contrast.b_RI)
    if np.isnan(differences_RI[0]).any():
        return nothing(of, *contrast.remarks, Remark(Flag.NOT_DEFINED))
    levels = pair.resamples.levels
    pooled = _tested(differences_RI.mean(axis=1), levels, contrast.least_sd)
    inits = _by_init(pair, contrast, differences_RI)
    return Comparison(
        task=of[0],
        init=init,
        metric=metric,
        a=of[3],
        b=of[4],
        difference=pooled.difference,
        low=pooled.low,
        high=pooled.high,
        unit=contrast.unit,
        n=levels[0],
        test="" if math.isnan(pooled.p) else T_TEST,
        p=pooled.p,
        p_holm=pooled.p,
        needed=None,
        a_value=float(contrast.a_RI[0].mean()),
        b_value=float(contrast.b_RI[0].mean()),
        sd=pooled.error * math.sqrt(levels[0]),
        resolution=contrast.resolution,
        inits=inits,
        nominal=_nominal(metric, pair, contrast),
        remarks=(*contrast.remarks, *_of_the_trials(pair), *_of_the_difference(contrast, pooled, inits)),
    )


def _by_init(pair: Pair, contrast: Contrast, differences_RI: Floats) -> tuple[InitDifference, ...]:
    names = pair.a.cube.inits
    # An initialization has fewer trials than all of them together: rounding hides more.
    least_sd = contrast.least_sd * len(names)
    found = []
    for i, name in enumerate(names):
        tested = _tested(differences_RI[:, i], pair.resamples.levels, least_sd)
        values = {"a_value": float(contrast.a_RI[0, i]), "b_value": float(contrast.b_RI[0, i])}
        ends = {"low": tested.low, "high": tested.high}
        found.append(InitDifference(init=name, difference=tested.difference, **values, **ends))
    return tuple(found)


def _of_the_trials(pair: Pair) -> list[Remark]:
    """What hangs on the trials alone."""
    missing = sum(int(np.isnan(side.cube.score_SIL).sum()) for side in pair.sides if not side.cube.chosen)
    remarks = [Remark(Flag.MISSING_TRIALS, (missing,))] if missing else []
    return [*remarks, Remark(Flag.ONE_SEED)] if min(pair.resamples.levels) < 2 else remarks


def _of_the_difference(
    contrast: Contrast, pooled: _Tested, inits: tuple[InitDifference, ...]
) -> list[Remark]:
    """What hangs on the numbers themselves."""
    remarks = []
    if not math.isnan(contrast.resolution) and abs(pooled.difference) <= contrast.resolution * (1 + 1e-9):
        remarks.append(Remark(Flag.NOT_RESOLVED, (contrast.resolution,)))
    signs = {sign for found in inits if (sign := found.sign) and not _within(found, contrast.resolution)}
    if len(signs) > 1 or (signs and math.copysign(1, pooled.difference) not in signs):
        remarks.append(Remark(Flag.OPPOSITE_SIGNS))
    if pooled.error == 0 and not math.isnan(pooled.p):
        remarks.append(Remark(Flag.ALL_SEEDS_AGREE))
    return remarks


def _within(found: InitDifference, resolution: float) -> bool:
    return not math.isnan(resolution) and abs(found.difference) <= resolution


class _Tested(NamedTuple):
    """A difference with interval, p value and standard error; NaN where there is none."""

    difference: float
    low: float
    high: float
    p: float
    error: float


def _tested(difference_R: Floats, levels: tuple[int, ...], least_sd: float) -> _Tested:
    from scipy import special

    difference, n = float(difference_R[0]), levels[0]
    errors, freedoms = standard_errors(difference_R[None], levels)
    error, freedom = max(float(errors[0]), least_sd / math.sqrt(n)), float(freedoms[0])
    if math.isnan(errors[0]) or np.isnan(difference_R[1:]).mean() > 1 - DEFINED:
        return _Tested(difference, math.nan, math.nan, math.nan, math.nan)
    if error <= 1e-12 * abs(difference) or error == 0:
        # There is no spread to measure a difference by: p is what flipping the signs of n seeds gives.
        return _Tested(difference, difference, difference, least_p(n) if difference else 1.0, 0.0)
    half = float(t_quantile(freedom)) * error
    p = float(2 * special.stdtr(freedom, -abs(difference) / error))
    return _Tested(difference, difference - half, difference + half, p, error)


def _less(a: Floats, b: Floats) -> Floats:
    """A less b, 0 where rounding alone keeps them apart: its sign must not count in a test."""
    difference = a - b
    return np.where(np.abs(difference) <= 1e-9 * np.maximum(np.abs(a), np.abs(b)), 0.0, difference)


def _nominal(metric: str, pair: Pair, contrast: Contrast) -> Nominal | None:
    """At the same nominal learning rates; None where that is the same, or not possible."""
    if contrast.nominal is not None:
        found = _tested(_less(contrast.nominal, np.zeros(1)).mean(axis=1), pair.resamples.levels, 0.0)
        return Nominal(difference=found.difference, low=found.low, high=found.high)
    if metric not in RATES:
        return None
    logs_a_L, logs_b_L = (np.round(np.log10(side.cube.lrs_L), 6) for side in pair.sides)
    _, *places = np.intersect1d(logs_a_L, logs_b_L, return_indices=True)
    flags = [side.cube.flags(metric)[:, :, at_L] for side, at_L in zip(pair.sides, places, strict=True)]
    counts = [counted_flags(flags_SIL.reshape(len(flags_SIL), -1)) for flags_SIL in flags]
    hits, sizes = ((first, second) for first, second in zip(*counts, strict=True))
    difference, low, high = pooled_rate_difference(hits, sizes, pair.a.cube.seeds_S, pair.a.cube.orders)
    return None if math.isnan(difference) else Nominal(difference=difference, low=low, high=high)


def nothing(of: tuple[str, str | None, str, str, str], *remarks: Remark) -> Comparison:
    """A comparison without a value, and why.

    Args:
        of: task, initialization, metric, and both optimizers.
        remarks: the reasons.
    """
    task, init, metric, a, b = of
    nan = math.nan
    return Comparison(
        task=task,
        init=init,
        metric=metric,
        a=a,
        b=b,
        difference=nan,
        low=nan,
        high=nan,
        unit="share" if metric in RATES else "",
        n=0,
        test="",
        p=nan,
        p_holm=nan,
        needed=None,
        remarks=remarks,
    )
