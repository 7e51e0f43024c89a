"""Two optimizers on one task, side by side: common seeds and initializations, learning rates in units of both.

A learning rate of one optimizer is not that of another: under lr -> c lr the same training stands elsewhere on the
grid. Each optimizer's learning rates are therefore measured from the middle of its own tolerance window.
"""

# R resamples, S seeds, I initializations, L learning rates, P pairs of learning rates

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from robustness.summary.metrics import window_ends
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import Resamples
from robustness.summary.rows import Delta

__all__ = ["Pair", "matched", "mean_where", "paired"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


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
    def resamples(self) -> Resamples:
        """The same draws for both."""
        return self.a.resamples

    @property
    def scored(self) -> Pair:
        """The pair of fresh seeds at their tuned learning rates; itself where there are none."""
        return replace(self, a=self.a.scored, b=self.b.scored)

    def by_weights(self, seeds_S: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """Values of each seed as values of independent units: means over the data orders of the same weights."""
        weights_S = self.a.cube.weights_S
        if self.a.cube.orders == 1:
            return seeds_S
        first, second = (
            np.array([_mean(values_S[weights_S == unit]) for unit in np.unique(weights_S)])
            for values_S in seeds_S
        )
        return first, second

    @property
    def seeds(self) -> int:
        """S."""
        return len(self.a.cube.seeds_S)

    @property
    def trains_RI(self) -> tuple[Flags, Flags]:
        """Whether most seeds train at the tuned learning rate, for each of the two."""
        return self.a.trains_RI, self.b.trains_RI

    @cached_property
    def ends_RI(self) -> tuple[tuple[Places, Places], tuple[Places, Places]]:
        """First and last place of the tolerance window, for each of the two."""
        a, b = (window_ends(side.score_RIL, side.tuned_RI, self.width) for side in (self.a, self.b))
        return a, b

    @cached_property
    def middles_R(self) -> tuple[Floats, Floats]:
        """The middle of each one's tolerance windows, log10 of the learning rate.

        Mean over the initializations on which both train; NaN where there is none. Found anew in every
        resample, so that an interval knows how far the middles can be trusted.
        """
        both_RI = self.trains_RI[0] & self.trains_RI[1]
        found = []
        for side, (first_RI, last_RI) in zip((self.a, self.b), self.ends_RI, strict=True):
            logs_L = np.log10(side.cube.lrs_L)
            found.append(mean_where((logs_L[first_RI] + logs_L[last_RI]) / 2, both_RI))
        return found[0], found[1]

    @cached_property
    def half_step(self) -> float:
        """Half of the coarser grid's median step in decades: what rounding to the grid may move.

        Learning rates that a sampler added would make the grid look finer than that which rates are paired on.
        """
        cubes = self.a.cube, self.b.cube
        steps = [np.diff(np.log10(cube.lrs_L[cube.designed_L])) for cube in cubes]
        return max((float(np.median(step)) for step in steps if len(step)), default=1.0) / 2

    @property
    def at_edge(self) -> list[str]:
        """Labels of those with a window that touches the grid's edge: its middle may lie elsewhere."""
        return [
            side.cube.optimizer
            for side, (first_RI, last_RI), trains_RI in zip(
                (self.a, self.b), self.ends_RI, self.trains_RI, strict=True
            )
            if (((first_RI == 0) | (last_RI == len(side.cube.lrs_L) - 1)) & trains_RI)[0].any()
        ]


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def paired(a: Resampled, b: Resampled, delta: Delta, init: str | None = None) -> Pair | str:
    """Cut two optimizers on one task to what both have, or say in a clause why they cannot be paired.

    Args:
        a: the first.
        b: the second.
        delta: of the tolerance windows.
        init: one initialization; else all that both have.
    """
    if a.cube.binned or b.cube.binned:
        return "learning rates were drawn at random: no two trials are a pair"
    inits = [name for name in a.cube.inits if name in b.cube.inits and init in (None, name)]
    if not inits:
        return "no common initialization"
    seeds_S = np.intersect1d(a.cube.seeds_S, b.cube.seeds_S)
    if not len(seeds_S):
        return "no common seeds"
    a, b = (side.cut(seeds_S, inits) for side in (a, b))
    width = delta.in_score(a.span, is_loss=a.constants.score == "loss")
    return Pair(a=a, b=b, width=width)


def matched(logs_a_L: Floats, logs_b_L: Floats, shift: float, within: float) -> tuple[Places, Places]:
    """Places of learning rates of two grids that lie together once the first is shifted, (P) each.

    Each is the other's nearest, and none has two partners.

    Args:
        logs_a_L: log10 of the first's learning rates.
        logs_b_L: of the second's.
        shift: what is added to the first's, in decades.
        within: how far apart a pair may be then.

    >>> a, b = matched(np.array([-3.0, -2.0, -1.0]), np.array([-2.0, -1.0, 0.0]), 0.9, 0.5)
    >>> a.tolist(), b.tolist()
    ([0, 1, 2], [0, 1, 2])
    >>> a, b = matched(np.array([-3.0, -2.0, -1.0]), np.array([-2.0, -1.0, 0.0]), 0.0, 1e-6)
    >>> a.tolist(), b.tolist()
    ([1, 2], [0, 1])
    """
    # Half a step is rounded towards no shift, the same way for all and with the two swapped.
    nudge = -math.copysign(1e-9, shift) if shift else 1e-9
    gap_LL = np.abs(logs_a_L[:, None] + (shift + nudge) - logs_b_L)
    place_L = np.arange(len(logs_a_L))
    nearest_L, back_L = gap_LL.argmin(axis=1), gap_LL.argmin(axis=0)
    kept = (back_L[nearest_L] == place_L) & (gap_LL[place_L, nearest_L] <= within + 2e-9)
    return place_L[kept], nearest_L[kept]


def mean_where(values: Floats, kept: Flags, axes: tuple[int, ...] = (-1,)) -> Floats:
    """The mean over axes of those kept; NaN where none is.

    >>> mean_where(np.array([[1.0, np.nan], [5.0, 6.0]]), np.array([[True, False], [False, False]])).tolist()
    [1.0, nan]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(kept, values, 0.0).sum(axis=axes) / kept.sum(axis=axes), dtype=float)
