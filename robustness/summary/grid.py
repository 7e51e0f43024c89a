"""The squares of a study: one setting of task, optimizer, learning rate and initialization each."""

# S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.errors import SpecError
from robustness.spec import MAX_TRIALS, StudySpec, expand
from robustness.spec.sampling import DRAWING, EDGE_RESOLUTION
from robustness.spec.space import lattice_top
from robustness.summary.cubes import Cube, dense_cube
from robustness.summary.intervals import wilson
from robustness.summary.metrics import Chosen
from robustness.summary.sampler_limits import not_independent, orders_of, sampler_of
from robustness.summary.tasks import TaskConstants

__all__ = ["BINS_PER_DECADE", "SQUARE_COLUMNS", "Grid"]

Floats = npt.NDArray[np.float64]

BINS_PER_DECADE = 4
"""Of learning rates that were drawn at random instead of taken from a grid."""
_DRAWN_ABOVE = 40
"""A row of more learning rates than this, most of them with a single trial, was drawn at random."""
OUTCOMES = ("trained", "untrained", "nonfinite", "blowup")
_KEYS = ["task", "optimizer", "lr", "init"]
_COUNTS = ["n", *OUTCOMES, "diverged", "stalled", "unresolved"]
SQUARE_COLUMNS = (
    *_KEYS,
    "n",
    *OUTCOMES,
    "diverged",
    "divergence_rate",
    "low",
    "high",
    "score_mean",
    "score_sd",
    "score_median",
    "stalled",
    "unresolved",
    "validation_median",
)
"""Of `Grid.squares`."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Every square of a study, as a table and as dense arrays. Both count the same trials.

    Of two complete trials of one square and seed, which only imports have, the first counts.

    Attributes:
        trials: every trial of the study, in its order.
        complete: the complete ones, classified.
        settings: what was drawn beside the learning rate.
        facts: of each task label.
        spec: of the study; empty where imported.
        optimizers: labels.
    """

    trials: pd.DataFrame
    complete: pd.DataFrame
    settings: pd.DataFrame
    facts: Mapping[str, TaskConstants]
    spec: Mapping[str, Any]
    optimizers: tuple[str, ...]

    @cached_property
    def cubes(self) -> tuple[Cube, ...]:
        """Of every optimizer on every task, in the study's order; those with nothing complete are left out."""
        lattices = self._lattices()
        complete = dict(iter(self.complete.groupby(["task", "optimizer"], sort=False)))
        return tuple(
            dense_cube(
                complete[task, optimizer].assign(lr=self.square_lr(complete[task, optimizer])),
                self.facts[str(task)],
                task=str(task),
                optimizer=str(optimizer),
                inits=list(trials["init"].unique()),
                orders=orders_of(self.spec),
                refined=sampler_of(self.spec) == "refine",
                chosen=lattices.get(str(optimizer)),
                binned=(task, optimizer) in self.binned,
                clustered=self.is_clustered,
            )
            for (task, optimizer), trials in self.trials.groupby(["task", "optimizer"], sort=False)
            if (task, optimizer) in complete
        )

    def of_task(self, task: str) -> list[Cube]:
        """The cubes of one task."""
        return [cube for cube in self.cubes if cube.task == task]

    def cube(self, task: str, optimizer: str) -> Cube | None:
        """The cube of one optimizer on one task; None where nothing of it is complete."""
        return next((c for c in self.cubes if (c.task, c.optimizer) == (task, optimizer)), None)

    # -- bins --------------------------------------------------------------------------------------

    @cached_property
    def binned(self) -> frozenset[tuple[str, str]]:
        """Tasks with optimizers whose learning rates were drawn at random: their squares are bins."""
        return frozenset(
            (str(task), str(optimizer))
            for (task, optimizer), lrs in self.trials.groupby(["task", "optimizer"], sort=False)["lr"]
            if self._drawn_together or self._drawn_at_random(lrs)
        )

    def _drawn_at_random(self, lrs: pd.Series[float]) -> bool:
        """Whether these were drawn: many, most of a single trial."""
        if not_independent(sampler_of(self.spec)):  # it chose each learning rate for a reason
            return False
        sizes = lrs.value_counts()
        return len(sizes) > _DRAWN_ABOVE and bool((sizes == 1).mean() > 0.5)

    @property
    def _drawn_together(self) -> bool:
        """Whether other numbers were drawn beside the learning rates."""
        sampler = sampler_of(self.spec)
        return not self.settings.empty and sampler in DRAWING and not not_independent(sampler)

    @property
    def is_clustered(self) -> bool:
        """Whether several seeds have the same drawn setting: trials that stand in bins are not independent."""
        return self._drawn_together and self.trials["seed_index"].nunique() > 1

    def square_lr(self, trials: pd.DataFrame) -> Floats:
        """The learning rate of each trial's square: its own, or the centre of its bin."""
        lrs = trials["lr"].to_numpy(dtype=float)
        if not self.binned:
            return lrs
        pairs = pd.MultiIndex.from_frame(trials[["task", "optimizer"]])
        centres = 10 ** ((np.floor(np.log10(lrs) * BINS_PER_DECADE) + 0.5) / BINS_PER_DECADE)
        return np.where(pairs.isin(list(self.binned)), centres, lrs)

    # -- squares -----------------------------------------------------------------------------------

    @cached_property
    def squares(self) -> pd.DataFrame:
        """One row a square, in the study's order; those with nothing complete yet have n = 0 and NaN.

        Returns:
            `SQUARE_COLUMNS`: `n` complete trials by outcome and side, the divergence rate with Wilson's interval; the
            test score: mean and sd (n - 1) over the trials that trained, the median over all, with chance for one that
            did not; the median selection score, by which a learning rate is tuned.
        """
        order = self.trials[_KEYS].assign(lr=self.square_lr(self.trials)).drop_duplicates()
        known = pd.concat([_squares(cube) for cube in self.cubes]) if self.cubes else None
        if known is None:
            found = order.reindex(columns=[*_KEYS, *_COUNTS, *_SCORES])
        else:
            found = order.merge(known, how="left", on=_KEYS)
        found[_COUNTS] = found[_COUNTS].astype(float).fillna(0).astype(int)
        rates = [wilson(int(k), int(n)) for k, n in zip(found["diverged"], found["n"], strict=True)]
        found["divergence_rate"] = [rate.value for rate in rates]
        found["low"] = [rate.low for rate in rates]
        found["high"] = [rate.high for rate in rates]
        return found[list(SQUARE_COLUMNS)].reset_index(drop=True)

    def _lattices(self) -> dict[str, Chosen]:
        """Of a study by edge, how the learning rates of each optimizer were chosen."""
        if sampler_of(self.spec) != "edge":
            return {}
        resolution = float(self.spec["search"]["resolution"] or EDGE_RESOLUTION)
        try:
            space = expand(StudySpec.model_validate(self.spec), max_cells=MAX_TRIALS)
        except SpecError:  # it was stored by an installation that knows more names
            tops = dict.fromkeys(self.optimizers, math.nan)
        else:
            tops = {
                optimizer.label: lattice_top(lrs, space.resolution) for optimizer, lrs in space.optimizers
            }
        return {label: Chosen(resolution=resolution, top=top) for label, top in tops.items()}


_SCORES = ("score_mean", "score_sd", "score_median", "validation_median")


def _squares(cube: Cube) -> pd.DataFrame:
    """The squares of one cube that have a complete trial."""
    present_SIL = ~np.isnan(cube.score_SIL)
    n_IL = present_SIL.sum(axis=0)
    i_N, l_N = np.nonzero(n_IL)
    score_SN, selection_SN = cube.score_SIL[:, i_N, l_N], cube.selection_SIL[:, i_N, l_N]
    n_N = n_IL[i_N, l_N]
    counts = {
        name: (getattr(cube, f"{name}_SIL")[:, i_N, l_N] == 1).sum(axis=0)
        for name in ("trained", "nonfinite", "blowup", "diverged", "stalled")
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        trained_SN = cube.trained_SIL[:, i_N, l_N] == 1
        mean_N = np.where(trained_SN, score_SN, 0.0).sum(axis=0) / counts["trained"]
        squares_N = np.where(trained_SN, (score_SN - mean_N) ** 2, 0.0).sum(axis=0)
        sd_N = np.sqrt(squares_N / (counts["trained"] - 1))
    return pd.DataFrame(
        {
            "task": cube.task,
            "optimizer": cube.optimizer,
            "lr": cube.lrs_L[l_N],
            "init": np.array(cube.inits, dtype=object)[i_N],
            "n": n_N,
            **counts,
            "untrained": n_N - counts["trained"] - counts["nonfinite"] - counts["blowup"],
            "unresolved": n_N - counts["trained"] - counts["diverged"] - counts["stalled"],
            "score_mean": mean_N,
            "score_sd": np.where(counts["trained"] > 1, sd_N, math.nan),
            "score_median": np.nanmedian(score_SN, axis=0),
            "validation_median": np.nanmedian(selection_SN, axis=0),
        }
    )
