"""Dense arrays of one optimizer on one task: what every metric is computed from."""

# S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.summary.metrics import Chosen, CriticalLrs, critical_lrs, log_weights, lowest_first_failure
from robustness.summary.tasks import TaskConstants

__all__ = ["Cube", "dense_cube"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cube:
    """One optimizer on one task; NaN where a trial is missing.

    Attributes:
        task: its label.
        optimizer: its label.
        inits: labels (I), in the study's order.
        lrs_L: learning rates, ascending; centres of bins where `binned`.
        seeds_S: seed indices; where `binned`, each trial is its own.
        orders: data orders that weights are crossed with; seed indices count both.
        binned: learning rates were drawn, at random or together with other numbers, and stand in bins.
        clustered: of these, several seeds have the same setting: trials are not independent.
        score_SIL: S; b where the trial did not train.
        selection_SIL: the score by which a learning rate is tuned.
        skill_SIL: (score - b) / (r - b).
        loss_SIL: min(l, L_b), l the final training loss; L_b where it is not finite.
        trained_SIL: 1 where trained, else 0.
        diverged_SIL: the same of the side `diverged`.
        nonfinite_SIL: the same of the outcome `nonfinite`.
        blowup_SIL: the same of the outcome `blowup`.
        stalled_SIL: the same of the side `stalled`.
        designed_L: learning rates of the study's design; the others were added by a sampler.
        chosen: how learning rates were chosen around where training ends; None of all others.
    """

    task: str
    optimizer: str
    inits: tuple[str, ...]
    lrs_L: Floats
    seeds_S: npt.NDArray[np.int64]
    binned: bool
    score_SIL: Floats
    selection_SIL: Floats
    skill_SIL: Floats
    loss_SIL: Floats
    trained_SIL: Floats
    diverged_SIL: Floats
    nonfinite_SIL: Floats
    blowup_SIL: Floats
    stalled_SIL: Floats
    designed_L: npt.NDArray[np.bool_]
    chosen: Chosen | None = None
    clustered: bool = False
    orders: int = 1

    @property
    def weights_S(self) -> npt.NDArray[np.int64]:
        """The starting weights of each seed index: the independent units."""
        return self.seeds_S // self.orders

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, I, L)."""
        seeds, inits, lrs = self.score_SIL.shape
        return seeds, inits, lrs

    def flags(self, rate: str) -> Floats:
        """1 for each trial that counts for a rate, 0 for the others, NaN where missing, (S, I, L).

        Learning rates that a sampler added lie where training changes: they are missing here.

        Args:
            rate: divergence_rate, nonfinite_rate or not_trained_rate.
        """
        flags = {"not_trained_rate": 1 - self.trained_SIL, "divergence_rate": self.diverged_SIL}
        return np.where(self.designed_L, flags.get(rate, self.nonfinite_SIL), math.nan)

    @property
    def log_weights_L(self) -> Floats:
        """The share of the logarithmic range that each learning rate of the design stands for.

        Those that a sampler added have none: they would count twice what it found interesting.
        """
        weights_L = np.zeros(len(self.lrs_L))
        weights_L[self.designed_L] = log_weights(self.lrs_L[self.designed_L])
        return weights_L

    @property
    def added(self) -> int:
        """Learning rates that a sampler added: rates and `log_weights_L` leave them out."""
        return int((~self.designed_L).sum())

    @cached_property
    def critical(self) -> CriticalLrs:
        """Where training ends, (S, I)."""
        return critical_lrs(self.trained_SIL, self.lrs_L, self.chosen)

    @cached_property
    def lowest_first_failure_SI(self) -> Floats:
        """The low end of each first failure, (S, I); of a grid the first failure itself."""
        return lowest_first_failure(self.trained_SIL, self.lrs_L, self.critical, self.chosen)

    @property
    def missing(self) -> int:
        """Squares of seeds without a complete trial."""
        return int(np.isnan(self.score_SIL).sum())


def dense_cube(
    complete: pd.DataFrame,
    constants: TaskConstants,
    *,
    task: str,
    optimizer: str,
    inits: Sequence[str],
    orders: int = 1,
    refined: bool = False,
    chosen: Chosen | None = None,
    binned: bool = False,
    clustered: bool = False,
) -> Cube:
    """The arrays of these complete trials of one optimizer on one task.

    Args:
        complete: the trials, classified; `lr` is that of their square.
        constants: of the task.
        task: label.
        optimizer: label.
        inits: labels, in the study's order.
        orders: data orders that weights are crossed with.
        refined: a sampler added learning rates to a design.
        chosen: how learning rates were chosen around where training ends.
        binned: learning rates are centres of bins, and each trial is a seed of its own.
        clustered: of binned ones, several seeds have the same setting.
    """
    lrs_L, l_T = np.unique(complete["lr"].to_numpy(dtype=float), return_inverse=True)
    seed_T = np.arange(len(complete)) if binned else complete["seed_index"]
    seeds_S, s_T = np.unique(seed_T, return_inverse=True)
    i_T = pd.Categorical(complete["init"], categories=list(inits)).codes.astype(np.intp)
    # Of two trials of one square and seed, which only imports have, the first counts.
    places = (s_T[::-1], i_T[::-1], l_T[::-1])

    def dense(values: npt.ArrayLike) -> Floats:
        array = np.full((len(seeds_S), len(inits), len(lrs_L)), math.nan)
        array[places] = np.asarray(values, dtype=float)[::-1]
        return array

    score = complete["score"].to_numpy()
    return Cube(
        task=task,
        optimizer=optimizer,
        inits=tuple(inits),
        lrs_L=lrs_L,
        seeds_S=seeds_S.astype(np.int64),
        binned=binned,
        score_SIL=dense(score),
        selection_SIL=dense(complete["selection"]),
        skill_SIL=dense((score - constants.chance) / (constants.reference - constants.chance)),
        loss_SIL=dense(_capped_loss(complete, constants.constant_loss)),
        trained_SIL=dense(complete["outcome"] == "trained"),
        diverged_SIL=dense(complete["side"] == "diverged"),
        nonfinite_SIL=dense(complete["outcome"] == "nonfinite"),
        blowup_SIL=dense(complete["outcome"] == "blowup"),
        stalled_SIL=dense(complete["side"] == "stalled"),
        clustered=binned and clustered,
        designed_L=_designed(complete, l_T, len(lrs_L), refined=refined),
        chosen=chosen,
        orders=1 if binned else orders,
    )


def _designed(
    part: pd.DataFrame, l_T: npt.NDArray[np.intp], lrs: int, *, refined: bool
) -> npt.NDArray[np.bool_]:
    """Which learning rates have a trial that no sampler added."""
    if not refined:
        return np.ones(lrs, dtype=np.bool_)
    found = np.zeros(lrs, dtype=np.bool_)
    found[l_T[(part["reason"] == "").to_numpy()]] = True
    return found


def _capped_loss(part: pd.DataFrame, constant_loss: float) -> Floats:
    loss = part["train_loss"].to_numpy()
    dead = (part["outcome"] == "nonfinite").to_numpy() | ~np.isfinite(loss)
    nothing = np.full(len(loss), math.nan)
    # Without a constant predictor's loss there is nothing to cap a divergence at, and it must not be left out.
    if math.isnan(constant_loss) and dead.any():
        return nothing
    # A log without training losses has none to cap: they stay missing.
    unknown = ~dead.all() and np.isnan(loss[~(part["outcome"] == "nonfinite")]).all()
    return nothing if unknown else np.where(dead, constant_loss, np.fmin(loss, constant_loss))
