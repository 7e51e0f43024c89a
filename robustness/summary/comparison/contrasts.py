"""What is compared for each metric: a value of both optimizers for each seed, and in every resample.

Values for each seed are made with the choices of the whole sample (tuned learning rates, windows), so that a test
over seeds has independent values; resamples make every choice anew.
"""

# R resamples, S seeds, I initializations, L learning rates, P pairs of learning rates

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from robustness.summary.comparison.pairing import Pair, matched, mean_where
from robustness.summary.cubes import Cube
from robustness.summary.metrics import lr_sensitivity, prior_weights, tolerance_window
from robustness.summary.resampled import Resampled, at
from robustness.summary.resampling import mean

__all__ = ["CONTRASTS", "RATES", "Contrast", "contrasted"]

Floats = npt.NDArray[np.float64]

RATES = ("divergence_rate", "nonfinite_rate", "not_trained_rate")
_TUNED = ("score", "skill")
"""Read from confirming seeds where there are some."""
_SAME = 1e-6  # decades: learning rates that are equal but for rounding


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A metric of both optimizers.

    Attributes:
        unit: of all values.
        a_R: of the first, in every resample.
        b_R: of the second.
        seeds_S: values of each seed, (first, second); None for a metric that no single seed has.
        notes: what a reader must know.
        points: pairs of learning rates behind a rate, at which any seed has both trials; else 0.
        relative: learning rates are measured from the middle of each one's window.
    """

    unit: str
    a_R: Floats
    b_R: Floats
    seeds_S: tuple[Floats, Floats] | None
    notes: tuple[str, ...] = ()
    points: int = 0
    relative: bool = False


Both = tuple[Contrast, Contrast | None]
"""The comparison, and the one at nominal learning rates that is shown beside it; None where they are the same."""


def _rate(metric: str) -> Callable[[Pair], Both]:
    def contrast(pair: Pair) -> Both:
        middle_a_R, middle_b_R = pair.middles_R
        nominal = _rate_at(metric, pair, np.zeros(len(middle_a_R)), _SAME)
        relative = _rate_at(metric, pair, middle_b_R - middle_a_R, pair.half_step, relative=True)
        if relative.points:
            return relative, nominal
        why = "no learning rates lie as far from the middle of each one's window"
        if np.isnan(middle_a_R[0]):
            why = "there is no window on which both train"
        why += ": compared at the same nominal learning rates"
        if not nominal.points:
            why = "no common learning rates, and no window on which both train"
        return replace(nominal, notes=(*nominal.notes, why)), None

    return contrast


def _rate_at(metric: str, pair: Pair, shift_R: Floats, within: float, *, relative: bool = False) -> Contrast:
    """Rates over the learning rates that lie together, which depend on the draw where the shift does."""
    cubes = pair.a.cube, pair.b.cube
    flags_a_SIL, flags_b_SIL = (cube.flags(metric)[:, :, cube.designed_L] for cube in cubes)
    logs_a, logs_b = (np.log10(cube.lrs_L[cube.designed_L]) for cube in cubes)
    weights_RS = pair.resamples.weights_RS
    found_RB, own_SB, points = np.full((len(shift_R), 2), math.nan), np.full((pair.seeds, 2), math.nan), 0
    shift_R = np.round(shift_R, 6)
    for shift in np.unique(shift_R[~np.isnan(shift_R)]):
        a_P, b_P = matched(logs_a, logs_b, float(shift), within)
        a_SIP, b_SIP = flags_a_SIL[:, :, a_P], flags_b_SIL[:, :, b_P]
        both_SIP = ~np.isnan(a_SIP) & ~np.isnan(b_SIP)
        values_SB = np.stack([mean_where(x, both_SIP, (1, 2)) for x in (a_SIP, b_SIP)], axis=1)
        present_SB = ~np.isnan(values_SB)
        rows = shift_R == shift
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = weights_RS[rows] @ np.where(present_SB, values_SB, 0.0)
            found_RB[rows] = sums / (weights_RS[rows] @ present_SB.astype(float))
        if rows[0]:
            own_SB, points = values_SB, int(both_SIP.any(axis=(0, 1)).sum())
    notes = [f"the window of {name} touches the grid's edge" for name in pair.at_edge] if relative else []
    notes += _without_added(cubes)
    return Contrast(
        unit="share",
        a_R=found_RB[:, 0],
        b_R=found_RB[:, 1],
        seeds_S=(own_SB[:, 0], own_SB[:, 1]),
        notes=tuple(notes),
        points=points,
        relative=relative,
    )


def _tuned(pair: Pair) -> Both:
    """Mean test score over seeds at each one's tuned learning rate, chosen by median selection score."""
    means = [at(side.mean_score_RIL, side.tuned_RI) for side in (pair.a, pair.b)]
    values = []
    for side in (pair.a, pair.b):
        places_I = side.tuned_RI[0]
        values.append(side.cube.score_SIL[:, np.arange(len(places_I)), places_I])
    notes = ("tuned on test data",) if pair.a.constants.selection == "test" else ()
    a_R, b_R = _over_inits(*means)
    return Contrast(unit=pair.a.unit, a_R=a_R, b_R=b_R, seeds_S=_over_inits(*values), notes=notes), None


def _skill(pair: Pair) -> Both:
    """Median skill over seeds at each one's tuned learning rate; the test is over the seeds' own skills."""
    found, _ = _tuned(pair)
    a_R, b_R = _over_inits(*(at(side.skill_RIL, side.tuned_RI) for side in (pair.a, pair.b)))

    def skill(score: Floats) -> Floats:
        return (score - pair.a.constants.chance) / pair.a.span

    a_S, b_S = found.seeds_S or (found.a_R, found.b_R)
    seeds_S = (skill(a_S), skill(b_S))
    return replace(found, unit="skill", a_R=a_R, b_R=b_R, seeds_S=seeds_S), None


def _window(pair: Pair) -> Both:
    """Width of the tolerance windows, mean over initializations; 0 where most seeds do not train.

    No single seed has a window (a median over one seed is noise), so there are no values for each seed.
    """
    widths, notes = [], []
    for side in (pair.a, pair.b):
        width_RI = tolerance_window(
            side.score_RIL, side.tuned_RI, side.cube.lrs_L, pair.width, side.constants.chance
        )
        widths.append(width_RI.mean(axis=1))
        dead = [name for name, trains in zip(side.cube.inits, side.trains_RI[0], strict=True) if not trains]
        if dead:
            notes.append(
                f"most seeds train at no learning rate of {side.cube.optimizer} on {', '.join(dead)}: a window of 0"
            )
    notes += [
        f"the window of {name} touches the grid's edge and is at least as wide" for name in pair.at_edge
    ]
    return Contrast(unit="decades", a_R=widths[0], b_R=widths[1], seeds_S=None, notes=tuple(notes)), None


def _critical(pair: Pair) -> Both:
    """Decades from the middle of the window to each seed's first learning rate that does not train."""
    firsts, notes = [], []
    for side in (pair.a, pair.b):
        logs_L = np.log10(side.cube.lrs_L)
        first_SI = side.cube.critical.first_not_trained
        censored, dead = int(np.isinf(first_SI).sum()), int(np.isnan(first_SI).sum())
        if censored:
            notes.append(
                f"{censored} of {first_SI.size} rows of {side.cube.optimizer} train up to the grid's edge and "
                "count as failing one step beyond it"
            )
        if dead:
            notes.append(
                f"{dead} rows of {side.cube.optimizer} train nowhere, or lack most learning rates, and are left out"
            )
        firsts.append(np.where(np.isinf(first_SI), logs_L[-1] + 2 * pair.half_step, first_SI))
    a_S, b_S = _over_inits(*firsts)
    a_R, b_R = (mean(x[:, None], pair.resamples)[:, 0] for x in (a_S, b_S))
    nominal = Contrast(unit="log10 lr", a_R=a_R, b_R=b_R, seeds_S=(a_S, b_S), notes=tuple(notes))
    if any(side.cube.chosen is not None for side in (pair.a, pair.b)):
        why = "the trials of edge show no window to measure from: compared at nominal learning rates"
        return replace(nominal, notes=(*nominal.notes, why)), None
    middle_a_R, middle_b_R = pair.middles_R
    if math.isnan(middle_a_R[0]):
        why = "there is no window on which both train: compared at nominal learning rates"
        return replace(nominal, notes=(*nominal.notes, why)), None
    relative = replace(
        nominal,
        unit="decades",
        a_R=a_R - middle_a_R,
        b_R=b_R - middle_b_R,
        seeds_S=(a_S - middle_a_R[0], b_S - middle_b_R[0]),
        relative=True,
    )
    return relative, nominal


def _sensitivity(pair: Pair) -> Both:
    """Mean capped loss above the best one: a decade each side of the tuned learning rate; nominal: everywhere."""
    near, whole = (
        [_sensitivity_of(side, around=around) for side in (pair.a, pair.b)] for around in (True, False)
    )
    notes = _without_added((pair.a.cube, pair.b.cube))
    found = []
    for (a_RI, a_SI), (b_RI, b_SI) in (near, whole):
        a_R, b_R = _over_inits(a_RI, b_RI)
        found.append(
            Contrast(unit="loss", a_R=a_R, b_R=b_R, seeds_S=_over_inits(a_SI, b_SI), notes=tuple(notes))
        )
    return replace(found[0], relative=True), found[1]


def _sensitivity_of(side: Resampled, *, around: bool) -> tuple[Floats, Floats]:
    """(R, I), and (S, I) with the whole sample's best and tuned learning rates."""
    lrs_L, loss_SIL = side.cube.lrs_L, side.cube.loss_SIL
    weights_L, logs_L = side.cube.log_weights_L, np.log10(lrs_L)
    resampled, own = [], []
    for i in range(loss_SIL.shape[1]):
        loss_RL = mean(loss_SIL[:, i], side.resamples)
        tuned_R = side.tuned_RI[:, i]
        resampled.append(lr_sensitivity(loss_RL, weights_L, lrs_L, tuned_R if around else None))
        near_L = np.abs(logs_L - logs_L[tuned_R[0]]) <= 1 + 1e-9 if around else np.ones(len(lrs_L), bool)
        best = int(np.argmin(np.where(np.isnan(loss_RL[0]), np.inf, loss_RL[0])))
        above_SL = loss_SIL[:, i] - loss_SIL[:, i, best][:, None]
        weights_SL = np.where(np.isnan(above_SL), 0.0, weights_L * near_L)
        with np.errstate(invalid="ignore", divide="ignore"):
            own.append(np.nansum(above_SL * weights_SL, axis=1) / weights_SL.sum(axis=1))
    return np.stack(resampled, axis=1), np.stack(own, axis=1)


def _expected(pair: Pair) -> Both:
    """Mean score under a log-uniform prior of one decade each side of each one's default learning rate."""
    values, notes = [], []
    for side in (pair.a, pair.b):
        name = side.cube.optimizer
        if math.isnan(side.default_lr):
            notes.append(f"the default learning rate of {name} is not known")
            values.append(np.full(side.cube.shape[:2], math.nan))
            continue
        weights_L, covered = prior_weights(side.cube.lrs_L, side.default_lr)
        if covered < 1 - 1e-9:
            notes.append(f"the grid covers {100 * covered:.0f} % of the prior of {name}")
        weights_L = np.nan_to_num(weights_L)
        present_SIL = ~np.isnan(side.cube.score_SIL)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums_SI = (np.where(present_SIL, side.cube.score_SIL, 0.0) * weights_L).sum(axis=2)
            values.append(sums_SI / (present_SIL * weights_L).sum(axis=2))
    a_S, b_S = _over_inits(*values)
    a_R, b_R = (mean(x[:, None], pair.resamples)[:, 0] for x in (a_S, b_S))
    return Contrast(unit=pair.a.unit, a_R=a_R, b_R=b_R, seeds_S=(a_S, b_S), notes=tuple(notes)), None


def _without_added(cubes: Iterable[Cube]) -> list[str]:
    return [f"{c.optimizer} without the {c.added} learning rates that were added" for c in cubes if c.added]


def _over_inits(a_RI: Floats, b_RI: Floats) -> tuple[Floats, Floats]:
    """Means over the initializations for which both have a value."""
    both = ~np.isnan(a_RI) & ~np.isnan(b_RI)
    return mean_where(a_RI, both), mean_where(b_RI, both)


CONTRASTS: dict[str, Callable[[Pair], Both]] = {
    **{metric: _rate(metric) for metric in RATES},
    "score": _tuned,
    "skill": _skill,
    "tolerance_window": _window,
    "critical_lr": _critical,
    "lr_sensitivity": _sensitivity,
    "expected_score": _expected,
}
"""Of every metric that can be compared."""


def contrasted(metric: str, pair: Pair) -> tuple[Pair, Contrast, Contrast | None]:
    """A metric's contrast and the nominal one beside it, after the pair that they are read from."""
    pair = pair.scored if metric in _TUNED else pair
    return (pair, *CONTRASTS[metric](pair))
