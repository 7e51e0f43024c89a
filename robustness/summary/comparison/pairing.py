"""Two optimizers on one task, side by side: common seeds and initializations, learning rates in units of both.

A learning rate of one optimizer is not that of another: under lr -> c lr the same training stands elsewhere on the
grid. Each optimizer's learning rates are therefore measured, on each initialization, from the centre of its skill.
"""

# R resamples, S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from robustness.summary.flags import Flag, Remark
from robustness.summary.metrics import skill_centre
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import Resamples, mean
from robustness.summary.rows import Delta

__all__ = ["Pair", "Row", "paired", "row_of"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One optimizer on one initialization, over the learning rates of the design at which a seed is complete.

    Attributes:
        side: the optimizer.
        init: place of the initialization.
        places_L: places of these learning rates.
        logs_L: log10 of them.
        centre_R: of its skill by validation scores, log10.
    """

    side: Resampled
    init: int
    places_L: Places
    logs_L: Floats
    centre_R: Floats

    def mean_over_seeds(self, values_SIL: Floats) -> Floats:
        """The mean over seeds at each learning rate, (R, L)."""
        return mean(values_SIL[:, self.init, self.places_L], self.side.resamples)


def row_of(side: Resampled, init: int) -> Row | Flag:
    """A row with its centre, or the flag that says why it has none: nothing trains, a hole, a single learning rate."""
    cube = side.cube
    if not side.trains_I[init]:
        return Flag.NOTHING_TRAINS
    present_L = np.asarray(~np.isnan(cube.score_SIL[:, init]).all(axis=0))
    designed = np.flatnonzero(cube.designed_L)
    complete = designed[present_L[designed]]
    if len(complete) < 2:
        return Flag.NO_COMMON_LR
    between = (designed > complete[0]) & (designed < complete[-1])
    if not present_L[designed[between]].all():
        return Flag.MISSING_SQUARE
    logs_L = np.log10(cube.lrs_L[complete])
    score_RL = mean(cube.selection_SIL[:, init, complete], side.resamples)
    centre_R = skill_centre((score_RL - side.constants.chance) / side.span, logs_L)
    if math.isnan(centre_R[0]):
        return Flag.NOTHING_TRAINS
    return Row(side=side, init=init, places_L=complete, logs_L=logs_L, centre_R=centre_R)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two optimizers on one task, cut to the seeds and initializations that both have.

    Attributes:
        a: the first.
        b: the second.
        width: by how much a score may miss the tuned one within a tolerance window, in units of the score.
    """

    a: Resampled
    b: Resampled
    width: float

    @property
    def sides(self) -> tuple[Resampled, Resampled]:
        """Both."""
        return self.a, self.b

    @property
    def resamples(self) -> Resamples:
        """The same draws for both."""
        return self.a.resamples

    @property
    def scored(self) -> Pair:
        """The pair of fresh seeds at their tuned learning rates; itself where there are none."""
        return replace(self, a=self.a.scored, b=self.b.scored)

    @cached_property
    def rows(self) -> list[tuple[Row, Row]] | Remark:
        """The rows of each initialization, or why learning rates cannot be aligned on all of them."""
        found = []
        for init in range(len(self.a.cube.inits)):
            rows = [row_of(side, init) for side in self.sides]
            for which, row in enumerate(rows):
                if isinstance(row, Flag):
                    return Remark(row, (which,))
            found.append((rows[0], rows[1]))
        return [(a, b) for a, b in found if isinstance(a, Row) and isinstance(b, Row)]

    @cached_property
    def step(self) -> float:
        """The largest step of both grids in decades, without what samplers added; 1 of single learning rates.

        A gap, where nothing is complete on any initialization, is a large step: what lies in it is not known.
        """
        steps = [np.diff(np.log10(side.cube.lrs_L[side.cube.designed_L])) for side in self.sides]
        return max((float(step.max()) for step in steps if len(step)), default=1.0)


def paired(a: Resampled, b: Resampled, delta: Delta, init: str | None = None) -> Pair | Flag:
    """Cut two optimizers on one task to what both have, or say by a flag why they cannot be paired.

    Args:
        a: the first.
        b: the second.
        delta: of the tolerance windows.
        init: one initialization; else all that both have.
    """
    if a.cube.binned or b.cube.binned:
        return Flag.DRAWN_LRS
    inits = [name for name in a.cube.inits if name in b.cube.inits and init in (None, name)]
    if not inits:
        return Flag.NO_COMMON_INIT
    seeds_S = np.intersect1d(a.cube.seeds_S, b.cube.seeds_S)
    if not len(seeds_S):
        return Flag.NO_COMMON_SEED
    a, b = (side.cut(seeds_S, inits) for side in (a, b))
    width = delta.in_score(a.span, is_loss=a.constants.score == "loss")
    return Pair(a=a, b=b, width=width)
