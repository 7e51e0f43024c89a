"""What is compared for each metric: the value of both optimizers on each initialization, in every resample.

Tuned learning rates, windows and the centres that learning rates are measured from are found anew in every resample,
so that interval and test know how far they can be trusted.
"""

# R resamples, S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from robustness.summary.comparison.pairing import Pair, Row
from robustness.summary.flags import Flag, Remark
from robustness.summary.intervals import HALF_TRIAL
from robustness.summary.metrics import (
    integral_weights,
    is_open,
    lr_sensitivity,
    margin,
    tolerance_window,
    window_ends,
)
from robustness.summary.resampled import Resampled, at
from robustness.summary.resampling import mean

__all__ = ["CONTRASTS", "RATES", "Contrast", "contrasted"]

Floats = npt.NDArray[np.float64]

RATES = ("divergence_rate", "nonfinite_rate", "not_trained_rate")
_TUNED = ("score", "skill")
"""Read from confirming seeds where there are some."""
LEAST_OVERLAP = 0.5
"""Of the shorter range of learning rates: below it, a comparison over the common part says little of either."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A metric of both optimizers.

    Attributes:
        unit: of all values.
        a_RI: of the first on each initialization, in every resample.
        b_RI: of the second.
        resolution: what half a grid step of alignment is worth, or what a grid hides of a window; NaN where the metric
            needs no grid.
        least_sd: between seeds, of the differences: what rounding to whole trials can hide.
        nominal: differences at the same nominal learning rates, (R, I); None where that is the same or a rate's.
        remarks: what a reader must know.
    """

    unit: str
    a_RI: Floats
    b_RI: Floats
    resolution: float = math.nan
    least_sd: float = 0.0
    nominal: Floats | None = None
    remarks: tuple[Remark, ...] = ()


Value = Callable[[Row, Floats, Floats, Floats, Floats], Floats]
"""Of a row in each resample: from its means over seeds at each learning rate, its centre, and the ends of the range
relative to it that both grids cover."""


def _relative(
    pair: Pair, rows: list[tuple[Row, Row]], means: list[list[Floats]], value: Value
) -> tuple[Floats, Floats, float]:
    """Values of both, and by how much their pooled difference changes when the alignment moves by half a step.

    Args:
        pair: for the step.
        rows: of each initialization.
        means: over seeds, of both rows of each initialization, (R, L).
        value: of one row.
    """

    def values(moves: tuple[float, float], first: int | None) -> tuple[Floats, Floats]:
        columns: tuple[list[Floats], list[Floats]] = ([], [])
        for both, means_RL in zip(rows, means, strict=True):
            centres_R = [row.centre_R[:first] + move for row, move in zip(both, moves, strict=True)]
            low_R, high_R = _common_range(both, centres_R)
            for row, mean_RL, centre_R, column in zip(both, means_RL, centres_R, columns, strict=True):
                column.append(value(row, mean_RL[:first], centre_R, low_R, high_R))
        return np.stack(columns[0], axis=1), np.stack(columns[1], axis=1)

    a_RI, b_RI = values((0.0, 0.0), None)
    difference, half = (a_RI[0] - b_RI[0]).mean(), pair.step / 2
    moved = [values(moves, 1) for moves in ((-half, 0.0), (half, 0.0), (0.0, -half), (0.0, half))]
    return a_RI, b_RI, max(abs(float((a[0] - b[0]).mean() - difference)) for a, b in moved)


def _common_range(rows: tuple[Row, Row], centres_R: Sequence[Floats]) -> tuple[Floats, Floats]:
    """The range of learning rates, relative to each one's centre, that both grids cover."""
    lows_R, highs_R = (
        [row.logs_L[end] - centre_R for row, centre_R in zip(rows, centres_R, strict=True)] for end in (0, -1)
    )
    return np.maximum(*lows_R), np.minimum(*highs_R)


def _range_of_sample(rows: tuple[Row, Row]) -> tuple[float, float]:
    low_R, high_R = _common_range(rows, [row.centre_R[:1] for row in rows])
    return float(low_R[0]), float(high_R[0])


def _mean_between(row: Row, mean_RL: Floats, centre_R: Floats, low_R: Floats, high_R: Floats) -> Floats:
    """The mean of interpolated values over a range; NaN where it is empty."""
    weights_RL = integral_weights(row.logs_L, centre_R + low_R, centre_R + high_R)
    with np.errstate(invalid="ignore", divide="ignore"):
        between_R = (weights_RL * mean_RL).sum(axis=1) / (high_R - low_R)
    return np.where(high_R > low_R, between_R, math.nan)


def _near(row: Row, mean_RL: Floats, centre_R: Floats, low_R: Floats, high_R: Floats) -> Floats:
    """The same within a decade of the centre."""
    return _mean_between(row, mean_RL, centre_R, np.maximum(low_R, -1.0), np.minimum(high_R, 1.0))


def _means(rows: list[tuple[Row, Row]], values: tuple[Floats, Floats]) -> list[list[Floats]]:
    """Over seeds, of both rows of each initialization, from values of both optimizers, (S, I, L)."""
    return [
        [row.mean_over_seeds(values_SIL) for row, values_SIL in zip(both, values, strict=True)]
        for both in rows
    ]


def _rate(pair: Pair, metric: str) -> Contrast | Remark:
    """Mean over seeds of the share of a common range of learning rates, in decades, at which trials fail."""
    rows = pair.rows
    if isinstance(rows, Remark):
        return rows
    means = _means(rows, (pair.a.cube.flags(metric), pair.b.cube.flags(metric)))
    a_RI, b_RI, moved = _relative(pair, rows, means, _mean_between)
    remarks = _overlap(rows)
    # What moves out at one end can move in at the other: half a step is never worth less than its share of the range.
    common = remarks[0].numbers[0]
    resolution = max(moved, pair.step / 2 / common) if common else math.nan
    fails = any(float(np.nanmax(flags_RL[0])) > 0 for both in means for flags_RL in both)
    if fails and not (a_RI[0].any() or b_RI[0].any()):
        remarks.append(Remark(Flag.LITTLE_OVERLAP, remarks[0].numbers))
    trials = min(len(row.places_L) for both in rows for row in both) * len(rows)
    return Contrast(
        unit="share",
        a_RI=a_RI,
        b_RI=b_RI,
        resolution=resolution,
        least_sd=math.sqrt(2) * HALF_TRIAL / trials,
        remarks=(*remarks, *_added(pair)),
    )


def _overlap(rows: list[tuple[Row, Row]]) -> list[Remark]:
    """How much of the shorter range both cover, of the initialization with the least; a second remark if little."""
    ranges = []
    for both in rows:
        low, high = _range_of_sample(both)
        ranges.append((max(high - low, 0.0), min(float(np.ptp(row.logs_L)) for row in both)))
    least = min(ranges, key=lambda both: both[0] / both[1])
    remarks = [Remark(Flag.COMMON_RANGE, least)]
    return [*remarks, Remark(Flag.LITTLE_OVERLAP, least)] if least[0] < LEAST_OVERLAP * least[1] else remarks


def _added(pair: Pair) -> list[Remark]:
    counts = [int((~side.cube.designed_L).sum()) for side in pair.sides]
    return [Remark(Flag.ADDED_LRS_LEFT_OUT, (which, count)) for which, count in enumerate(counts) if count]


def _margin(pair: Pair) -> Contrast | Remark:
    """Decades above each one's centre that train, mean over seeds, up to where the shorter grid ends."""
    rows = pair.rows
    if isinstance(rows, Remark):
        return rows
    means = _means(rows, (1 - pair.a.cube.trained_SIL, 1 - pair.b.cube.trained_SIL))

    def value(row: Row, failed_RL: Floats, centre_R: Floats, _: Floats, top_R: Floats) -> Floats:
        return margin(failed_RL, row.logs_L, centre_R, top_R)

    a_RI, b_RI, resolution = _relative(pair, rows, means, value)
    censored = [which for which in range(2) if any(both[which][0, -1] < 1 for both in means)]
    remarks = [*_overlap(rows), *(Remark(Flag.CENSORED_HIGH, (which,)) for which in censored), *_added(pair)]
    return Contrast(
        unit="decades",
        a_RI=a_RI,
        b_RI=b_RI,
        resolution=resolution,
        least_sd=math.sqrt(2) * HALF_TRIAL * pair.step / len(rows),
        remarks=tuple(remarks),
    )


def _sensitivity(pair: Pair) -> Contrast | Remark:
    """Mean capped loss within a decade of each one's centre above its least; nominal: over the whole grid."""
    rows = pair.rows
    if isinstance(rows, Remark):
        return rows
    for which, side in enumerate(pair.sides):
        if np.isnan(side.cube.loss_SIL).all():
            return Remark(Flag.NO_TRAINING_LOSS, (which,))

    def value(row: Row, loss_RL: Floats, centre_R: Floats, low_R: Floats, high_R: Floats) -> Floats:
        least_R = loss_RL.min(axis=1)
        above_R = _near(row, loss_RL, centre_R, low_R, high_R) - least_R
        return np.where(np.abs(above_R) <= 1e-9 * np.abs(least_R), 0.0, above_R)  # of equal losses

    means = _means(rows, (pair.a.cube.loss_SIL, pair.b.cube.loss_SIL))
    a_RI, b_RI, resolution = _relative(pair, rows, means, value)
    whole_a_RI, whole_b_RI = (_sensitivity_of_all(side) for side in pair.sides)
    return Contrast(
        unit="loss",
        a_RI=a_RI,
        b_RI=b_RI,
        resolution=resolution,
        nominal=whole_a_RI - whole_b_RI,
        remarks=(*_overlap(rows), *_added(pair)),
    )


def _sensitivity_of_all(side: Resampled) -> Floats:
    """Over the whole grid, (R, I)."""
    cube = side.cube
    means = [mean(cube.loss_SIL[:, i], side.resamples) for i in range(len(cube.inits))]
    return np.stack([lr_sensitivity(m, cube.log_weights_L, cube.lrs_L) for m in means], axis=1)


def _expected(pair: Pair) -> Contrast | Remark:
    """Mean score within a decade of each one's default learning rate, as far as both grids go."""
    for which, side in enumerate(pair.sides):
        if math.isnan(side.default_lr):
            return Remark(Flag.NO_DEFAULT_LR, (which,))
    rows = pair.rows
    if isinstance(rows, Remark):
        return rows
    rows = [(_at_default(a), _at_default(b)) for a, b in rows]
    means = _means(rows, (pair.a.cube.score_SIL, pair.b.cube.score_SIL))
    a_RI, b_RI, resolution = _relative(pair, rows, means, _near)
    ranges = [_range_of_sample(both) for both in rows]
    covered = min(min(high, 1.0) - max(low, -1.0) for low, high in ranges) / 2
    remarks = [Remark(Flag.PRIOR_COVERAGE, (max(covered, 0.0),))] if covered < 0.999 else []
    return Contrast(
        unit=pair.a.unit, a_RI=a_RI, b_RI=b_RI, resolution=resolution, remarks=(*remarks, *_added(pair))
    )


def _at_default(row: Row) -> Row:
    return replace(row, centre_R=np.full(len(row.centre_R), math.log10(row.side.default_lr)))


def _score(pair: Pair) -> Contrast | Remark:
    """Mean test score at each one's tuned learning rate over the seeds that train there with both."""
    a, b = pair.sides
    columns: tuple[list[Floats], list[Floats]] = ([], [])
    dropped, tried = 0, 0
    for i in range(len(a.cube.inits)):
        lrs = len(b.cube.lrs_L)
        places, which_R = np.unique(a.tuned_RI[:, i] * lrs + b.tuned_RI[:, i], return_inverse=True)
        scores = [
            np.where(side.cube.trained_SIL[:, i, at_P] == 1, side.cube.score_SIL[:, i, at_P], math.nan)
            for side, at_P in ((a, places // lrs), (b, places % lrs))
        ]
        both_SP = ~np.isnan(scores[0]) & ~np.isnan(scores[1])
        for values_SP, column in zip(scores, columns, strict=True):
            mean_RP = mean(np.where(both_SP, values_SP, math.nan), pair.resamples)
            column.append(np.take_along_axis(mean_RP, which_R[:, None], axis=1)[:, 0])
        complete_S = np.logical_and(*(~np.isnan(side.tuned_failures(i)) for side in (a, b)))
        tried += int(complete_S.sum())
        dropped += int((complete_S & ~both_SP[:, which_R[0]]).sum())
    for which, side in enumerate(pair.sides):
        if not side.trains_I.all():
            return Remark(Flag.NOTHING_TRAINS, (which,))
    a_RI, b_RI = (np.stack(column, axis=1) for column in columns)
    remarks = [Remark(Flag.SOME_SEEDS_FAILED, (dropped, tried))] if dropped else []
    return Contrast(unit=a.unit, a_RI=a_RI, b_RI=b_RI, remarks=(*remarks, *_tuned_on(pair)))


def _tuned_on(pair: Pair) -> list[Remark]:
    return [Remark(Flag.SELECTED_ON_TEST)] if pair.a.constants.selection == "test" else []


def _skill(pair: Pair) -> Contrast:
    """Median skill over seeds at each one's tuned learning rate; failures count at chance."""
    a_RI, b_RI = (at(side.skill_RIL, side.tuned_RI) for side in pair.sides)
    return Contrast(unit="skill", a_RI=a_RI, b_RI=b_RI, remarks=tuple(_tuned_on(pair)))


def _window(pair: Pair) -> Contrast | Remark:
    """Width of the tolerance windows of median scores; 0 where most seeds do not train."""
    widths, at_edges, remarks = [], [], []
    for which, side in enumerate(pair.sides):
        if not side.trains_I.all():
            return Remark(Flag.NOTHING_TRAINS, (which,))
        first_RI, last_RI = window_ends(side.score_RIL, side.tuned_RI, pair.width)
        trains_I = side.trains_RI[0]
        if (is_open(side.score_RIL[:1], first_RI[:1], last_RI[:1])[0] & trains_I).any():
            return Remark(Flag.MISSING_SQUARE, (which,))
        widths.append(
            tolerance_window(
                side.score_RIL, side.tuned_RI, side.cube.lrs_L, pair.width, side.constants.chance
            )
        )
        if not trains_I.all():
            remarks.append(Remark(Flag.MOST_SEEDS_DO_NOT_TRAIN, (which,)))
        at_edge = ((first_RI[0] == 0) | (last_RI[0] == len(side.cube.lrs_L) - 1)) & trains_I
        at_edges.append(at_edge)
        remarks += [Remark(Flag.AT_GRID_EDGE, (which,))] if at_edge.any() else []
    if (at_edges[0] & at_edges[1]).any():
        return Remark(Flag.BOTH_CENSORED)
    return Contrast(
        unit="decades", a_RI=widths[0], b_RI=widths[1], resolution=pair.step, remarks=tuple(remarks)
    )


def _critical(pair: Pair) -> Contrast | Remark:
    """Mean over seeds of the first learning rate that does not train; the unit is its difference: it is nominal."""
    firsts, remarks = [], []
    for which, side in enumerate(pair.sides):
        first_SI = side.cube.critical.first_not_trained
        if np.isnan(first_SI).all():
            return Remark(Flag.NOTHING_TRAINS, (which,))
        censored, unknown = int(np.isinf(first_SI).sum()), int(np.isnan(first_SI).sum())
        remarks += [Remark(Flag.CENSORED_HIGH, (which, censored, first_SI.size))] if censored else []
        remarks += [Remark(Flag.END_NOT_KNOWN, (which, unknown, first_SI.size))] if unknown else []
        beyond = np.log10(side.cube.lrs_L[-1]) + pair.step
        firsts.append(np.where(np.isinf(first_SI), beyond, first_SI))
    both_SI = ~np.isnan(firsts[0]) & ~np.isnan(firsts[1])
    a_RI, b_RI = (mean(np.where(both_SI, first_SI, math.nan), pair.resamples) for first_SI in firsts)
    return Contrast(unit="log10 lr", a_RI=a_RI, b_RI=b_RI, remarks=tuple(remarks))


CONTRASTS: dict[str, Callable[[Pair], Contrast | Remark]] = {
    **{metric: partial(_rate, metric=metric) for metric in RATES},
    "score": _score,
    "skill": _skill,
    "tolerance_window": _window,
    "critical_lr": _critical,
    "lr_sensitivity": _sensitivity,
    "expected_score": _expected,
    "margin": _margin,
}
"""Of every metric that can be compared."""


def contrasted(metric: str, pair: Pair) -> tuple[Pair, Contrast | Remark]:
    """A metric's contrast, or why there is none, after the pair that it is read from."""
    pair = pair.scored if metric in _TUNED else pair
    return pair, CONTRASTS[metric](pair)
