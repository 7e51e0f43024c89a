"""A grid, then learning rates where it does not yet tell: beside an edge that it touches, and where it jumps.

Each addition is a learning rate for every initialization and seed of an optimizer on a task, so that rows stay
comparable; every optimizer gets the same number of them.
"""

# I initializations, L learning rates, S seeds

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from robustness.spec import Row, Space
from robustness.store import StudyTrial
from robustness.summary.metrics import tuned_index, window_ends
from robustness.summary.rows import DEFAULT_DELTA
from robustness.sweep.samplers.asking import Line
from robustness.sweep.samplers.confirming import confirmed
from robustness.sweep.samplers.observation import Observation
from robustness.trial import round_lr

__all__ = ["addition", "lines"]

Floats = npt.NDArray[np.float64]
_LEAST, _MOST = 1e-12, 1e12
"""Learning rates beyond which no grid is extended."""


def lines(space: Space) -> Iterator[Line]:
    """A line for each task and optimizer."""
    for _, rows in groupby(space.rows(), key=lambda row: row.labels[:2]):
        own = list(rows)
        yield confirmed(_line(space, own), space, own)


def _line(space: Space, rows: list[Row]) -> Line:
    assert isinstance(rows[0].lrs, tuple)
    lrs = list(rows[0].lrs)
    step = _grid_step(lrs)
    found: dict[float, tuple[Floats, Floats]] = {}
    asked, why = lrs, ""
    for added in range(space.budget + 1):
        answers = yield [
            StudyTrial(trial, *row.labels, reason=why)
            for lr in asked
            for row in rows
            for trial in space.seeded(row.cell(lr))
        ]
        for place, lr in enumerate(asked):
            size = len(rows) * space.repeats
            found[lr] = _medians(answers[place * size : (place + 1) * size], space.repeats)
        if added < space.budget:
            lrs = sorted(found)
            skill_IL, selection_IL = (np.stack([found[lr][part] for lr in lrs], axis=1) for part in (0, 1))
            inits = [row.init.label for row in rows]
            lr, why = addition(np.array(lrs), skill_IL, selection_IL, inits, step)
            asked = [lr]


def _medians(answers: Sequence[Observation | None], seeds: int) -> tuple[Floats, Floats]:
    """Median skill over seeds of each initialization, of test and of selection scores; NaN where all failed."""
    parts = []
    for name in ("skill", "selection"):
        values = [math.nan if answer is None else getattr(answer, name) for answer in answers]
        values_IS = np.array(values).reshape(-1, seeds)
        known_I = ~np.isnan(values_IS).all(axis=1)
        medians_I = np.full(len(values_IS), math.nan)
        medians_I[known_I] = np.nanmedian(values_IS[known_I], axis=1)
        parts.append(medians_I)
    return parts[0], parts[1]


def _grid_step(lrs: Sequence[float]) -> float:
    """The grid's widest step in decades; half a decade of a single learning rate."""
    return float(np.diff(np.log10(lrs)).max()) if len(lrs) > 1 else 0.5


def addition(
    lrs_L: Floats, skill_IL: Floats, selection_IL: Floats, inits: Sequence[str], step: float
) -> tuple[float, str]:
    """The learning rate to add next, and why.

    An edge that the optimum or the window touches comes first; then the middle of the gap with the largest product
    of its width and the difference in skill across it; where nothing differs, of the widest gap.

    Args:
        lrs_L: tried so far, ascending.
        skill_IL: median skill over seeds; NaN where unknown.
        selection_IL: the same of the score that settings are tuned by.
        inits: labels.
        step: decades by which an edge is moved.

    >>> lr, why = addition(np.array([0.01, 0.1, 1.0]), np.array([[0.2, 0.6, 0.9]]), np.array([[0.2, 0.6, 0.9]]), ["default"], 1.0)
    >>> lr, why
    (10.0, 'optimum at the upper edge: default')
    """
    logs_L = np.log10(lrs_L)
    tuned_I = tuned_index(selection_IL)
    first_I, last_I = window_ends(skill_IL, tuned_I, DEFAULT_DELTA.value)
    best_I = skill_IL[np.arange(len(inits)), tuned_I]
    for i in np.argsort(-np.nan_to_num(best_I), kind="stable"):
        if not best_I[i] > 0:
            continue
        for what, low, high in (("optimum at", tuned_I, tuned_I), ("window reaches", first_I, last_I)):
            if low[i] == 0 and lrs_L[0] > _LEAST:
                return round_lr(10 ** (logs_L[0] - step)), f"{what} the lower edge: {inits[i]}"
            if high[i] == len(lrs_L) - 1 and lrs_L[-1] < _MOST:
                return round_lr(10 ** (logs_L[-1] + step)), f"{what} the upper edge: {inits[i]}"
    if not (best_I > 0).any() and lrs_L[0] > _LEAST:
        return round_lr(10 ** (logs_L[0] - step)), "nothing trains"
    jumps_IL = np.abs(np.diff(np.nan_to_num(skill_IL), axis=1))
    width_L = np.diff(logs_L)
    weight_L = jumps_IL.max(axis=0) * width_L
    place = int(weight_L.argmax() if weight_L.max() > 0 else width_L.argmax())
    low, high = lrs_L[place], lrs_L[place + 1]
    jump, i = float(jumps_IL[:, place].max()), int(jumps_IL[:, place].argmax())
    where = f": {inits[i]}" if jump > 0 else ""
    return round_lr(math.sqrt(low * high)), f"{low:.3g} and {high:.3g} differ by {jump:.2g} in skill{where}"
