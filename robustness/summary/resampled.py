"""A cube in every resample: medians over seeds and what is tuned, computed once for all metrics."""

# R resamples, S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from robustness.summary.cubes import Cube
from robustness.summary.metrics import enough_runs, tuned_index
from robustness.summary.resampling import (
    DRAWS,
    Resamples,
    crossed_resamples,
    mean,
    quantile,
    study_resamples,
)
from robustness.summary.tasks import TaskConstants

__all__ = ["Resampled", "at"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """One optimizer on one task over resamples of its seeds.

    Attributes:
        cube: its numbers.
        constants: of the task.
        default_lr: of the optimizer's own documentation; NaN where there is none.
        draws: of the bootstrap; 0 for the sample itself, which is all that scores and warnings need.
        confirmed: fresh seeds at each initialization's tuned learning rate, its only place; None where there are none.
        parts: see `cut`.
    """

    cube: Cube
    constants: TaskConstants
    default_lr: float = math.nan
    draws: int = DRAWS
    confirmed: Self | None = None
    parts: dict[tuple[object, ...], Self] = field(default_factory=dict, repr=False)

    @property
    def scored(self) -> Self:
        """What scores at the tuned learning rate are reported by."""
        return self if self.confirmed is None else self.confirmed

    def cut(self, seeds_S: npt.NDArray[np.int64], inits: Sequence[str]) -> Self:
        """The part with these seeds and initializations, which it has; kept, as a table compares it with many."""
        name = (tuple(seeds_S), tuple(inits))
        if name not in self.parts:
            rows, places = (
                np.searchsorted(self.cube.seeds_S, seeds_S),
                [self.cube.inits.index(i) for i in inits],
            )
            numbers = {
                field.name: getattr(self.cube, field.name)[rows][:, places]
                for field in fields(self.cube)
                if field.name.endswith("_SIL")
            }
            cube = replace(self.cube, seeds_S=seeds_S, inits=tuple(inits), **numbers)
            fresh = self.confirmed and self.confirmed.cut(self.confirmed.cube.seeds_S, inits)
            self.parts[name] = replace(self, cube=cube, confirmed=fresh, parts={})
        return self.parts[name]

    @property
    def resamples(self) -> Resamples:
        """Shared by all that have as many seeds; without draws one row, the sample itself."""
        seeds = len(self.cube.seeds_S)
        if self.draws == 0 or self.cube.clustered:
            return Resamples.without_draws(seeds)
        if self.cube.orders > 1:
            return crossed_resamples(tuple(self.cube.seeds_S.tolist()), self.cube.orders, self.draws)
        return study_resamples(seeds, self.draws)

    @property
    def unit(self) -> str:
        """Of scores."""
        return "accuracy" if self.constants.score == "accuracy" else "minus loss"

    @property
    def span(self) -> float:
        """R - b: one unit of skill, in units of the score."""
        return self.constants.reference - self.constants.chance

    def _each_cell(self, values_SIL: Floats, statistic: str) -> Floats:
        seeds, inits, lrs = values_SIL.shape
        flat_SC = values_SIL.reshape(seeds, inits * lrs)
        found = (mean if statistic == "mean" else quantile)(flat_SC, self.resamples)
        return found.reshape(-1, inits, lrs)

    @cached_property
    def selection_RIL(self) -> Floats:
        """Median selection score; NaN where a bin of drawn learning rates has too few runs to be the tuned one."""
        if not self.cube.binned:
            return self._median_selection_RIL
        runs_IL = (~np.isnan(self.cube.selection_SIL)).sum(axis=0)
        return np.where(enough_runs(runs_IL), self._median_selection_RIL, math.nan)

    @property
    def _median_selection_RIL(self) -> Floats:
        if self.constants.selection == "test":
            same = np.array_equal(self.cube.selection_SIL, self.cube.score_SIL, equal_nan=True)
            if same:
                return self.score_RIL
        return self._each_cell(self.cube.selection_SIL, "median")

    @cached_property
    def score_RIL(self) -> Floats:
        """Median test score."""
        return self._each_cell(self.cube.score_SIL, "median")

    @cached_property
    def skill_RIL(self) -> Floats:
        """Median skill."""
        return (self.score_RIL - self.constants.chance) / self.span

    @cached_property
    def mean_score_RIL(self) -> Floats:
        """Mean test score."""
        return self._each_cell(self.cube.score_SIL, "mean")

    @cached_property
    def trained_score_RIL(self) -> Floats:
        """Mean test score of the seeds that trained; NaN where none did."""
        return self._each_cell(np.where(self.cube.trained_SIL == 1, self.cube.score_SIL, math.nan), "mean")

    @cached_property
    def tuned_RI(self) -> Places:
        """Place of each initialization's tuned learning rate."""
        return tuned_index(self.selection_RIL)

    @cached_property
    def tuned_lrs_I(self) -> Floats:
        """Each initialization's tuned learning rate; NaN where none trains."""
        return np.where(self.trains_I, self.cube.lrs_L[self.tuned_RI[0]], math.nan)

    @cached_property
    def tuned_score_RI(self) -> Floats:
        """Median test score there."""
        return at(self.score_RIL, self.tuned_RI)

    @cached_property
    def trains_RI(self) -> npt.NDArray[np.bool_]:
        """Whether most seeds train at the tuned learning rate."""
        return np.asarray(self.tuned_score_RI > self.constants.chance)

    @property
    def default_place(self) -> int | None:
        """Place of the learning rate nearest to the default; None where none is within half a step of the grid."""
        if math.isnan(self.default_lr):
            return None
        logs_L = np.log10(self.cube.lrs_L)
        away_L = np.abs(logs_L - math.log10(self.default_lr))
        nearest = int(away_L.argmin())
        step = float(np.diff(logs_L).max()) if len(logs_L) > 1 else 0.0
        return nearest if away_L[nearest] <= step / 2 + 1e-9 else None

    @cached_property
    def trains_I(self) -> npt.NDArray[np.bool_]:
        """Whether any trial of an initialization trained."""
        return np.asarray((self.cube.trained_SIL == 1).any(axis=(0, 2)))

    @cached_property
    def tuned_seeds_I(self) -> npt.NDArray[np.int64]:
        """Seeds with a complete trial at the tuned learning rate."""
        present_SIL = ~np.isnan(self.cube.score_SIL)
        return np.take_along_axis(present_SIL.sum(axis=0), self.tuned_RI[0][:, None], axis=1)[:, 0]

    def tuned_failures(self, i: int) -> Floats:
        """1 for each seed that does not train at an initialization's tuned learning rate, else 0; NaN where missing."""
        return np.asarray(1 - self.cube.trained_SIL[:, i, self.tuned_RI[0, i]], dtype=float)

    @cached_property
    def seeds_I(self) -> npt.NDArray[np.int64]:
        """Seeds with a complete trial."""
        return np.asarray((~np.isnan(self.cube.score_SIL)).any(axis=2).sum(axis=0), dtype=np.int64)


def at(values_RIL: Floats, place_RI: Places) -> Floats:
    """The values at a place of the last axis; one place for all may stand in the first."""
    return np.take_along_axis(values_RIL, place_RI[..., None], axis=-1)[..., 0]
