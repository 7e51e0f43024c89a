"""Draws through Optuna, with generators of their own."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler

from robustness.trial import canonical_json

__all__ = ["Point", "quiet", "seed_of", "unit_points", "unit_space"]

Point = dict[str, float]
"""A place in the unit cube, by the names of axes."""


def quiet() -> None:
    """Optuna says each trial on stderr, and warns of what it calls experimental."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def seed_of(*parts: object) -> int:
    """A seed for Optuna that depends on the parts alone: plain JSON data."""
    return int.from_bytes(hashlib.sha256(canonical_json(list(parts)).encode()).digest()[:4])


def unit_space(names: Sequence[str]) -> dict[str, BaseDistribution]:
    """The unit cube; each axis places its draws in its own range."""
    return {name: FloatDistribution(0.0, 1.0) for name in names}


def unit_points(kind: Literal["qmc", "random"], names: Sequence[str], count: int, seed: int) -> list[Point]:
    """Points of the unit cube, over all axes together, so that axes that variants share agree.

    Args:
        kind: scrambled Sobol points, or independent uniform ones.
        names: of the axes.
        count: how many.
        seed: of the draws.
    """
    quiet()
    space = unit_space(names)
    sampler: BaseSampler = RandomSampler(seed=seed)
    if kind == "qmc":
        sampler = QMCSampler(qmc_type="sobol", scramble=True, seed=seed)
    study = optuna.create_study(sampler=sampler)
    # The sampler takes its space from the first trial, which it does not draw itself.
    centre = dict.fromkeys(names, 0.5)
    study.add_trial(optuna.trial.create_trial(params=centre, distributions=space, value=0.0))
    return [dict(study.ask(space).params) for _ in range(count)]
