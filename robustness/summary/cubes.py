"""Dense arrays of one optimizer on one task: what every metric is computed from."""

# S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.errors import SpecError
from robustness.spec import MAX_TRIALS, StudySpec, expand
from robustness.spec.sampling import DRAWING, EDGE_RESOLUTION
from robustness.spec.space import lattice_top
from robustness.summary.chosen import not_independent, orders_of, sampler_of
from robustness.summary.frame import Study
from robustness.summary.metrics import Chosen, CriticalLrs, critical_lrs, log_weights, lowest_first_failure

__all__ = [
    "BINS_PER_DECADE",
    "Cube",
    "are_clustered",
    "by_bins",
    "cube_of",
    "cubes",
    "dense_cube",
    "drawn_at_random",
    "is_binned",
    "lr_bins",
    "without_added",
]

Floats = npt.NDArray[np.float64]

BINS_PER_DECADE = 4
"""Of learning rates that were drawn at random instead of taken from a grid."""
_DRAWN_ABOVE = 40
"""A row of more learning rates than this, most of them with a single trial, was drawn at random."""


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
    def added_lrs(self) -> str:
        """A note of how many learning rates `log_weights_L` leaves out; empty where none."""
        added = int((~self.designed_L).sum())
        return f"without the {added} learning rates that were added" if added else ""

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


def cubes(study: Study) -> list[Cube]:
    """Of every optimizer on every task of a study, in its order; those with nothing complete left out."""
    return list(_cubes(study))


def cube_of(found: Sequence[Cube], task: str, optimizer: str) -> Cube | None:
    """The one of this optimizer on this task; None where nothing of it is complete."""
    return next((cube for cube in found if (cube.task, cube.optimizer) == (task, optimizer)), None)


def without_added(found: Iterable[Cube]) -> list[str]:
    """A note of each optimizer whose added learning rates do not count."""
    return [f"{cube.optimizer} {cube.added_lrs}" for cube in found if cube.added_lrs]


def _cubes(study: Study) -> Iterator[Cube]:
    chosen = _chosen(study)
    by_pair = dict(iter(study.complete.groupby(["task", "optimizer"], sort=False)))
    for (task, optimizer), part in study.trials.groupby(["task", "optimizer"], sort=False)["init"]:
        if (task, optimizer) in by_pair:
            own = by_pair[task, optimizer]
            yield dense_cube(
                study, str(task), str(optimizer), list(part.unique()), own, chosen.get(str(optimizer))
            )


def _chosen(study: Study) -> dict[str, Chosen]:
    """Of a study by edge, how the learning rates of each optimizer were chosen."""
    if sampler_of(study.spec) != "edge":
        return {}
    resolution = float(study.spec["search"]["resolution"] or EDGE_RESOLUTION)
    try:
        space = expand(StudySpec.model_validate(study.spec), max_cells=MAX_TRIALS)
    except SpecError:  # it was stored by an installation that knows more names
        tops = dict.fromkeys(map(str, study.optimizers), math.nan)
    else:
        tops = {optimizer.label: lattice_top(lrs, space.resolution) for optimizer, lrs in space.optimizers}
    return {label: Chosen(resolution=resolution, top=top) for label, top in tops.items()}


def dense_cube(
    study: Study,
    task: str,
    optimizer: str,
    inits: Sequence[str],
    part: pd.DataFrame,
    chosen: Chosen | None = None,
) -> Cube:
    """The arrays of these trials of one optimizer on one task."""
    constants = study.facts[task]
    binned = is_binned(study, part)
    lr = lr_bins(part["lr"].to_numpy()) if binned else part["lr"].to_numpy()
    lrs_L, l_T = np.unique(lr, return_inverse=True)
    seeds_S, s_T = np.unique(np.arange(len(part)) if binned else part["seed_index"], return_inverse=True)
    i_T = pd.Categorical(part["init"], categories=list(inits)).codes.astype(np.intp)
    # Of two trials of one square and seed, which only imports have, the first counts.
    places = (s_T[::-1], i_T[::-1], l_T[::-1])

    def dense(values: npt.ArrayLike) -> Floats:
        found = np.full((len(seeds_S), len(inits), len(lrs_L)), math.nan)
        found[places] = np.asarray(values, dtype=float)[::-1]
        return found

    score = part["score"].to_numpy()
    return Cube(
        task=task,
        optimizer=optimizer,
        inits=tuple(inits),
        lrs_L=lrs_L,
        seeds_S=seeds_S.astype(np.int64),
        binned=binned,
        score_SIL=dense(score),
        selection_SIL=dense(part["selection"]),
        skill_SIL=dense((score - constants.chance) / (constants.reference - constants.chance)),
        loss_SIL=dense(_capped_loss(part, constants.constant_loss)),
        trained_SIL=dense(part["outcome"] == "trained"),
        diverged_SIL=dense(part["side"] == "diverged"),
        nonfinite_SIL=dense(part["outcome"] == "nonfinite"),
        clustered=binned and are_clustered(study),
        designed_L=_designed(part, l_T, len(lrs_L), refined=sampler_of(study.spec) == "refine"),
        chosen=chosen,
        orders=1 if binned else orders_of(study.spec),
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


def drawn_at_random(part: pd.DataFrame, sampler: str) -> bool:
    """Whether the learning rates of these trials of one optimizer were drawn: many, most of a single trial.

    Args:
        part: the trials.
        sampler: of the study; adaptive ones choose each learning rate for a reason.
    """
    if not_independent(sampler):
        return False
    sizes = part["lr"].value_counts()
    return len(sizes) > _DRAWN_ABOVE and bool((sizes == 1).mean() > 0.5)


def _drawn_together(study: Study) -> bool:
    """Whether other numbers were drawn beside the learning rates."""
    sampler = sampler_of(study.spec)
    return not study.settings.empty and sampler in DRAWING and not not_independent(sampler)


def is_binned(study: Study, part: pd.DataFrame) -> bool:
    """Whether the learning rates of these complete trials of one optimizer on one task stand in bins."""
    return drawn_at_random(part, sampler_of(study.spec)) or _drawn_together(study)


def are_clustered(study: Study) -> bool:
    """Whether several seeds have the same drawn setting: trials that stand in bins are not independent."""
    return _drawn_together(study) and study.trials["seed_index"].nunique() > 1


def by_bins(study: Study, trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with the learning rates and seeds that cubes give them: bins, and each trial there its own seed.

    Where they are clustered they keep their seeds.
    """
    found = trials.copy()
    for (task, optimizer), part in study.complete.groupby(["task", "optimizer"], sort=False):
        if is_binned(study, part):
            own = (trials["task"] == task) & (trials["optimizer"] == optimizer)
            found.loc[own, "lr"] = lr_bins(trials.loc[own, "lr"].to_numpy())
            if not are_clustered(study):
                found.loc[own, "seed_index"] = np.flatnonzero(own)
    return found


def lr_bins(lrs_T: npt.NDArray[np.float64]) -> Floats:
    """The centre of each learning rate's bin, a quarter of a decade wide."""
    places = np.floor(np.log10(lrs_T) * BINS_PER_DECADE)
    return np.asarray(10 ** ((places + 0.5) / BINS_PER_DECADE), dtype=float)
