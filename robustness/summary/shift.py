"""Is it just a learning rate? The best shift in log learning rate of one optimizer onto another, and what remains.

The shift is one for all initializations: they share the optimizer's step, and one initialization alone has few
learning rates in which its curve moves. It minimizes the mean absolute difference of the curves of median scores,
interpolated linearly in log10 of the learning rate, over their overlap. The overlap must be at least half of the
shorter range, and must hold both optimizers' best learning rates: two tails at chance agree at any shift. Of equally
good shifts the smallest counts.
"""

# R resamples, S seeds, I initializations, L learning rates, Z shifts, P points of the overlap

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.errors import SpecError, nearest
from robustness.summary.cubes import Cube
from robustness.summary.metrics import tolerance_window, tuned_index
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import Estimate, Resamples, estimates, quantile
from robustness.summary.rows import DEFAULT_DELTA
from robustness.summary.study import Study

__all__ = ["DRAWS", "ShiftInfo", "best_shifts", "shift_info", "signed", "verdict"]

Floats = npt.NDArray[np.float64]

DRAWS = 500
LIMIT = 4.0
"""Decades on each side."""
STEP = 0.02
"""Decades between the shifts that are tried: a fifteenth of a usual grid's step."""
POINTS = 48
_ANY = (-math.inf, math.inf)
_BOUNDS = (_ANY, (0.0, math.inf), (0.0, math.inf), _ANY, _ANY)
"""Of the five estimates of `ShiftInfo`, in order."""
_NONE = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True, kw_only=True)
class ShiftInfo:
    """What one shift explains of the difference between two optimizers on a task.

    Attributes:
        task: its label.
        a: an optimizer's label; it stays.
        b: another's; it is shifted.
        inits: initializations that both have (I).
        lrs_a: A's learning rates.
        lrs_b: B's.
        median_a_IL: A's median scores.
        median_b_IL: B's.
        paired: of two grids, seeds are pairs; where learning rates were drawn at random nothing is.
        seeds: whole seeds that both have, the units of the intervals; unpaired, trials of the one that has fewer.
        score_name: as the task's score is called.
        shift: to be added to log10 of B's learning rates, decades.
        before: mean absolute difference of the curves at the same nominal learning rates, in score.
        remaining: the same after the shift; noise between seeds keeps it above 0.
        window: tolerance window of A minus that of B, decades, mean over initializations; no shift changes it.
        tuned: score of A minus that of B, each at its tuned learning rates.
        note: why there is no shift; empty where there is.
    """

    task: str
    a: str
    b: str
    inits: tuple[str, ...]
    lrs_a: tuple[float, ...]
    lrs_b: tuple[float, ...]
    median_a_IL: Floats
    median_b_IL: Floats
    paired: bool
    seeds: int
    score_name: str
    shift: Estimate
    before: Estimate
    remaining: Estimate
    window: Estimate
    tuned: Estimate
    note: str = ""

    def frame(self) -> pd.DataFrame:
        """One row a point of the curves: init, optimizer, lr, the shifted lr, median score."""
        shift = 0.0 if math.isnan(self.shift.value) else self.shift.value
        return pd.DataFrame(
            [
                {
                    "init": init,
                    "optimizer": optimizer,
                    "lr": lr,
                    "shifted_lr": lr * 10**moved,
                    "median": float(median_IL[i, place]),
                }
                for i, init in enumerate(self.inits if self.lrs_a else ())
                for optimizer, lrs, median_IL, moved in (
                    (self.a, self.lrs_a, self.median_a_IL, 0.0),
                    (self.b, self.lrs_b, self.median_b_IL, shift),
                )
                for place, lr in enumerate(lrs)
            ],
            columns=["init", "optimizer", "lr", "shifted_lr", "median"],
        )


def shift_info(
    study: Study,
    a: str,
    b: str,
    task: str,
) -> ShiftInfo:
    """The best shift of B onto A, with intervals by the same draws of whole seeds for both.

    Args:
        study: for the task's constants.
        a: an optimizer's label.
        b: another's.
        task: its label.

    Raises:
        SpecError: an optimizer has nothing complete on this task.
    """
    samples = [_sample(study, task, name) for name in (a, b)]
    first, second = (sample.cube for sample in samples)
    facts = study.facts[task]
    inits = tuple(init for init in first.inits if init in second.inits)
    # Drawn at random, no seed has two learning rates: nothing is paired, and trials are resampled.
    paired = not (first.binned or second.binned)
    shared = np.intersect1d(first.seeds_S, second.seeds_S) if paired else np.zeros(0, dtype=np.int64)
    parts = [_part(cube, inits, shared if paired else cube.seeds_S) for cube in (first, second)]
    note = _impossible(inits, parts, paired=paired, shared=len(shared)) or _dead((a, b), parts, facts.chance)
    sides: list[_Side] = []
    if not note:
        draws = [sample.cut(shared, inits).resamples if paired else sample.resamples for sample in samples]
        window = DEFAULT_DELTA.in_score(facts.reference - facts.chance, is_loss=facts.score == "loss")
        sides = [
            _side(part, resamples.fewer(DRAWS), window, facts.chance)
            for part, resamples in zip(parts, draws, strict=True)
        ]
    found = [_NONE] * 5
    if sides:
        statistics = _statistics(*sides)
        note = "" if np.isfinite(statistics[0][0]) else "their learning rates overlap too little"
        if paired:
            found = estimates(statistics, draws[0].levels, bounds=_BOUNDS)
        else:
            found = [Estimate(float(s[0]), math.nan, math.nan) for s in statistics]
    none_IL = np.zeros((0, 0))
    return ShiftInfo(
        task=task,
        a=a,
        b=b,
        inits=inits,
        lrs_a=tuple((10 ** sides[0].logs_L).tolist()) if sides else (),
        lrs_b=tuple((10 ** sides[1].logs_L).tolist()) if sides else (),
        median_a_IL=sides[0].score_RIL[0] if sides else none_IL,
        median_b_IL=sides[1].score_RIL[0] if sides else none_IL,
        paired=paired,
        seeds=len(shared) if paired else min(len(part.score_SIL) for part in parts),
        score_name=facts.score_name,
        shift=found[0],
        before=found[1],
        remaining=found[2],
        window=found[3],
        tuned=found[4],
        note=note,
    )


def _sample(study: Study, task: str, optimizer: str) -> Resampled:
    of_task = {sample.cube.optimizer: sample for sample in study.resamples if sample.cube.task == task}
    if optimizer not in of_task:
        names = list(of_task)
        raise SpecError.of(
            "optimizer",
            f"{optimizer!r:.80} has nothing complete on {task!r:.80}; {nearest(optimizer, names)}",
        )
    return of_task[optimizer]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Of one cube: the shared seeds and initializations, and the learning rates at which all of these have trials."""

    logs_L: Floats
    score_SIL: Floats
    selection_SIL: Floats


def _part(cube: Cube, inits: tuple[str, ...], seeds: npt.NDArray[np.int64]) -> _Part:
    rows = np.flatnonzero(np.isin(cube.seeds_S, seeds))
    places = [cube.inits.index(init) for init in inits]
    score_SIL = cube.score_SIL[rows][:, places]
    usable_L = (~np.isnan(score_SIL)).any(axis=0).all(axis=0)
    return _Part(
        logs_L=np.log10(cube.lrs_L[usable_L]),
        score_SIL=score_SIL[:, :, usable_L],
        selection_SIL=cube.selection_SIL[rows][:, places][:, :, usable_L],
    )


def _impossible(inits: tuple[str, ...], parts: list[_Part], *, paired: bool, shared: int) -> str:
    if not inits:
        return "they share no initialization"
    if paired and not shared:
        return "they share no seed"
    if any(len(part.logs_L) < 2 for part in parts):
        return "one of them has fewer than two learning rates that all initializations have"
    return ""


def _dead(names: tuple[str, str], parts: list[_Part], chance: float) -> str:
    """Two flat lines at chance agree whatever the learning rate."""
    dead = [name for name, part in zip(names, parts, strict=True) if not (part.score_SIL > chance).any()]
    if dead:
        return f"no learning rate of {' or '.join(dead)} trains"
    if not any((np.nanmedian(part.score_SIL, axis=0) > chance).any() for part in parts):
        return f"most seeds train at no learning rate of {' or '.join(names)}"
    return ""


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One optimizer's medians in every resample."""

    logs_L: Floats
    score_RIL: Floats
    window_R: Floats
    tuned_R: Floats


def _side(part: _Part, resamples: Resamples, delta: float, chance: float) -> _Side:
    seeds, inits, lrs = part.score_SIL.shape
    score_RIL, selection_RIL = (
        quantile(values.reshape(seeds, inits * lrs), resamples).reshape(-1, inits, lrs)
        for values in (part.score_SIL, part.selection_SIL)
    )
    tuned_RI = tuned_index(selection_RIL)
    window_RI = tolerance_window(score_RIL, tuned_RI, 10**part.logs_L, delta, chance)
    best_RI = np.take_along_axis(score_RIL, tuned_RI[..., None], axis=-1)[..., 0]
    return _Side(
        logs_L=part.logs_L,
        score_RIL=score_RIL,
        # Sums of logarithms: equal windows must be equal.
        window_R=window_RI.mean(axis=1).round(9),
        tuned_R=best_RI.mean(axis=1).round(12),
    )


def _statistics(a: _Side, b: _Side) -> list[Floats]:
    """Shift, difference before and after it, of windows and of tuned scores: each (R)."""
    shifts_Z, gaps_RZ = best_shifts(a.logs_L, a.score_RIL, b.logs_L, b.score_RIL)
    rows = min(len(a.score_RIL), len(b.score_RIL))  # unpaired, one of them can have a single trial
    nominal = np.full(rows, math.nan)
    if 0.0 in shifts_Z:
        nominal = gaps_RZ[:, int(np.flatnonzero(shifts_Z == 0.0)[0])]
    if not len(shifts_Z):
        shift, least = np.full(rows, math.nan), np.full(rows, math.nan)
    else:
        # Rounded, so that equal shifts tie; they are ordered by size, and the first of equals counts.
        known = ~np.isnan(gaps_RZ).any(axis=1)
        place_R = np.where(np.isnan(gaps_RZ), np.inf, gaps_RZ).round(9).argmin(axis=1)
        shift = np.where(known, shifts_Z[place_R], math.nan)
        least = np.where(known, np.take_along_axis(gaps_RZ, place_R[:, None], axis=1)[:, 0], math.nan)
    return [
        shift,
        nominal,
        least,
        a.window_R[:rows] - b.window_R[:rows],
        a.tuned_R[:rows] - b.tuned_R[:rows],
    ]


def best_shifts(logs_a_L: Floats, a_RIL: Floats, logs_b_L: Floats, b_RIL: Floats) -> tuple[Floats, Floats]:
    """The shifts that may be tried, smallest first, (Z), and the mean absolute difference at each, (R, Z).

    Args:
        logs_a_L: log10 of A's learning rates, ascending, two at least.
        a_RIL: A's medians in each resample.
        logs_b_L: of B.
        b_RIL: of B, the same initializations.

    >>> logs = np.arange(5.0)
    >>> bump = np.array([[[0.1, 0.5, 0.9, 0.5, 0.1]]])
    >>> shifts, gaps = best_shifts(logs, bump, logs - 1, bump)
    >>> float(shifts[gaps[0].argmin()])
    1.0
    """
    rows = min(len(a_RIL), len(b_RIL))
    count = round(LIMIT / STEP)
    whole = np.arange(1, count + 1) * STEP
    every = np.concatenate([[0.0], np.stack([-whole, whole], axis=1).ravel()]).round(6)
    shorter = min(np.ptp(logs_a_L), np.ptp(logs_b_L))
    # The sample's own best places, so that every draw tries the same shifts.
    best_a = logs_a_L[int(a_RIL[0].mean(axis=0).argmax())]
    best_b = logs_b_L[int(b_RIL[0].mean(axis=0).argmax())]
    shifts, gaps = [], []
    for shift in every.tolist():
        low = max(logs_a_L[0], logs_b_L[0] + shift)
        high = min(logs_a_L[-1], logs_b_L[-1] + shift)
        bests = (best_a, best_b + shift)
        if high - low < 0.5 * shorter - 1e-9 or min(bests) < low - 1e-9 or max(bests) > high + 1e-9:
            continue
        points_P = np.linspace(low, high, POINTS)
        gap_RIP = a_RIL[:rows] @ _weights(logs_a_L, points_P)
        gap_RIP -= b_RIL[:rows] @ _weights(logs_b_L, points_P - shift)
        shifts.append(shift)
        gaps.append(np.abs(gap_RIP, out=gap_RIP).mean(axis=(1, 2)))
    return np.array(shifts), np.stack(gaps, axis=1) if gaps else np.zeros((rows, 0))


def _weights(logs_L: Floats, points_P: Floats) -> Floats:
    """(L, P): what each learning rate counts in linear interpolation at each point."""
    place_P = np.clip(np.searchsorted(logs_L, points_P, side="right") - 1, 0, len(logs_L) - 2)
    share_P = np.clip((points_P - logs_L[place_P]) / (logs_L[place_P + 1] - logs_L[place_P]), 0.0, 1.0)
    found = np.zeros((len(logs_L), len(points_P)))
    columns = np.arange(len(points_P))
    found[place_P, columns] = 1 - share_P
    found[place_P + 1, columns] = share_P
    return found


def signed(value: float, digits: int) -> str:
    """A number with its sign, and a minus that is as wide as a plus.

    >>> signed(-0.256, 2), signed(0.0, 1)
    ('−0.26', '+0.0')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def verdict(info: ShiftInfo) -> str:
    """One sentence: is it just a learning rate?"""
    if info.note:
        return (
            f"It cannot be told whether {info.a} and {info.b} differ by a learning rate alone: {info.note}."
        )
    shift, remaining = info.shift.value, info.remaining.value
    left = remaining / info.before.value if info.before.value > 0 else math.nan
    what = f"a shift of {signed(shift, 2)} decades" if shift else "no shift"
    if math.isnan(left):
        change = f"the curves differ by {remaining:.3f} on average after {what} of {info.b}"
    else:
        change = f"{what} of {info.b} leaves {100 * left:.0f} % of its difference from {info.a}"
    told = [
        f"{name} differ by {signed(estimate.value, 2)}{unit}"
        for name, estimate, unit in (("windows", info.window, " decades"), ("tuned scores", info.tuned, ""))
        if estimate.low > 0 or estimate.high < 0
    ]
    if told:
        return f"Not just a learning rate: {change}, and {' and '.join(told)}."
    if math.isnan(info.window.low):
        return f"Without intervals it cannot be told: {change}."
    if left > 0.5:
        return f"A learning rate explains little: {change}, though neither windows nor tuned scores are shown to differ."
    return f"Mostly a learning rate: {change}, and neither windows nor tuned scores are shown to differ."
