"""Scores of fresh seeds at the tuned learning rates, where a study confirms them."""

# S seeds, I initializations

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from robustness.summary.cubes import dense_cube
from robustness.summary.frame import Study
from robustness.summary.resampled import Resampled

__all__ = ["are_confirmed", "with_confirmed"]


def are_confirmed(samples: Sequence[Resampled]) -> bool:
    """Whether their scores are those of fresh seeds: of all, or of none."""
    return any(sample.confirmed is not None for sample in samples)


def with_confirmed(study: Study, samples: Sequence[Resampled]) -> list[Resampled]:
    """Samples with their confirming seeds, once every row that trains has all of them at its tuned learning rate.

    Until then none has: optimizers are compared by one kind of seeds. A row in which nothing trains counts as
    confirmed, with the constant predictor's score.
    """
    seeds = study.confirming["seed_index"].nunique()
    found = [_confirmed(study, sample, seeds) for sample in samples] if seeds else [None]
    if any(fresh is None for fresh in found):
        return list(samples)
    return [replace(sample, confirmed=fresh) for sample, fresh in zip(samples, found, strict=True)]


def _confirmed(study: Study, sample: Resampled, seeds: int) -> Resampled | None:
    cube = sample.cube
    own = study.confirmed
    own = own[(own["task"] == cube.task) & (own["optimizer"] == cube.optimizer)]
    tuned = dict(zip(cube.inits, cube.lrs_L[sample.tuned_RI[0]], strict=True))
    own = own[own["lr"] == own["init"].map(tuned)]
    sizes = own["init"].value_counts()
    lacking = [
        init
        for init, trains in zip(cube.inits, sample.trains_I, strict=True)
        if trains and sizes.get(init, 0) < seeds
    ]
    if lacking or cube.binned:
        return None
    # Each initialization has a learning rate of its own: the place of them all is "the tuned one".
    fresh = dense_cube(study, cube.task, cube.optimizer, cube.inits, own.assign(lr=1.0))
    seeds_S = np.sort(study.confirming["seed_index"].unique()).astype(np.int64)
    dead_I = ~sample.trains_I
    numbers: dict[str, Any] = {}
    for field in fields(fresh):
        if field.name.endswith("_SIL"):
            values_SI1 = np.full((seeds, len(cube.inits), 1), np.nan)
            if len(own):
                values_SI1[:, ~dead_I] = getattr(fresh, field.name)[:, ~dead_I]
            numbers[field.name] = values_SI1
    for name, value in (
        ("score_SIL", sample.constants.chance),
        ("selection_SIL", sample.constants.chance),
        ("skill_SIL", 0.0),
        ("trained_SIL", 0.0),
    ):
        numbers[name][:, dead_I] = value
    made = replace(
        fresh,
        lrs_L=np.ones(1),
        seeds_S=seeds_S,
        designed_L=np.ones(1, dtype=np.bool_),
        orders=1,
        **numbers,
    )
    return replace(sample, cube=made, confirmed=None, parts={})
