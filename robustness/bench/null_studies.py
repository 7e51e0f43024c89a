"""Simulated pairs of optimizers whose difference is known, as arrays: no store, no frames."""

# S seeds, I initializations, L learning rates

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robustness.summary.cubes import Cube
from robustness.summary.resampled import Resampled
from robustness.summary.tasks import TaskConstants

__all__ = ["simulated_pair"]

Floats = npt.NDArray[np.float64]

_LOGS_L = np.arange(-3.0, 2.01, 0.25)
_INITS = ("i0", "i1")
_CHANCE, _REFERENCE, _CONSTANT_LOSS, _DEFAULT_LOG = 0.1, 0.97, 2.302585, -0.7
_FACTS = TaskConstants(
    chance=_CHANCE, constant_loss=_CONSTANT_LOSS, reference=_REFERENCE, test_size=360, score="accuracy"
)


def simulated_pair(
    rng: np.random.Generator, seeds: int, *, unit: float = 0.0, critical: float = 0.0, draws: int
) -> tuple[Resampled, Resampled]:
    """Optimizers a and b on a grid of quarter decades and two initializations, seeds shared.

    Training ends at a learning rate of 10^0.3 (sd 0.12 over seeds, shared by both; 0.08 by optimizer, seed and
    initialization; 0.06 by square) and begins at 10^-2.7 (0.1); scores are a parabola around 10^-0.7 with noise.

    Args:
        rng: for the studies.
        seeds: S.
        unit: b has its learning rates multiplied by 10^unit: it is the same optimizer.
        critical: decades by which training with b ends later, all else where it was.
        draws: of the bootstrap.

    Source: data/statistics of the design.
    """
    seed_S11 = rng.normal(0, 0.12, (seeds, 1, 1))
    a, b = (
        _side(rng, name, seed_S11 + more, shift, draws)
        for name, more, shift in (("a", 0.0, 0.0), ("b", critical, unit))
    )
    return a, b


def _side(rng: np.random.Generator, name: str, seed_S11: Floats, unit: float, draws: int) -> Resampled:
    seeds, inits, lrs = len(seed_S11), len(_INITS), len(_LOGS_L)
    own_L = _LOGS_L - unit
    shape_SI1, shape_SIL = (seeds, inits, 1), (seeds, inits, lrs)
    critical_SIL = 0.3 + seed_S11 + rng.normal(0, 0.08, shape_SI1) + rng.normal(0, 0.06, shape_SIL)
    diverged_SIL = own_L > critical_SIL
    untrained_SIL = own_L < -2.7 + rng.normal(0, 0.1, shape_SIL)
    away_L = np.abs(own_L - _DEFAULT_LOG)
    score_SIL = 0.965 - 0.012 * away_L**2 - 0.02 * np.maximum(0.0, away_L - 1) ** 2
    score_SIL = score_SIL + rng.normal(0, 0.006, shape_SI1) + rng.normal(0, 0.004, shape_SIL)
    validation_SIL = score_SIL + rng.normal(0, 0.008, shape_SIL)
    failed_SIL = diverged_SIL | untrained_SIL
    score_SIL, validation_SIL = (
        np.where(failed_SIL, _CHANCE, np.clip(values_SIL, 0.0, 1.0))
        for values_SIL in (score_SIL, validation_SIL)
    )
    cube = Cube(
        task="t",
        optimizer=name,
        inits=_INITS,
        lrs_L=10.0**_LOGS_L,
        seeds_S=np.arange(seeds),
        binned=False,
        score_SIL=score_SIL,
        selection_SIL=validation_SIL,
        skill_SIL=(score_SIL - _CHANCE) / (_REFERENCE - _CHANCE),
        loss_SIL=np.where(failed_SIL, np.where(diverged_SIL, _CONSTANT_LOSS, 2.3), 0.2),
        trained_SIL=(~failed_SIL).astype(float),
        diverged_SIL=(diverged_SIL & ~untrained_SIL).astype(float),
        nonfinite_SIL=(own_L > critical_SIL + 0.5).astype(float),
        designed_L=np.ones(lrs, dtype=np.bool_),
    )
    return Resampled(cube=cube, constants=_FACTS, default_lr=10.0 ** (_DEFAULT_LOG + unit), draws=draws)
