"""Scores of fresh seeds at the tuned learning rates, where a study confirms them."""

# S seeds, I initializations

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.summary.cubes import dense_cube
from robustness.summary.resampled import Resampled

__all__ = ["are_confirmed", "with_confirmed"]


def are_confirmed(samples: Sequence[Resampled]) -> bool:
    """Whether their scores are those of fresh seeds: of all, or of none."""
    return any(sample.confirmed is not None for sample in samples)


def with_confirmed(
    samples: Sequence[Resampled], *, confirming: pd.DataFrame, confirmed: pd.DataFrame
) -> list[Resampled]:
    """Samples with their confirming seeds, once every row that trains has all of them at its tuned learning rate.

    Until then none has: optimizers are compared by one kind of seeds. A row in which nothing trains counts as
    confirmed, with the constant predictor's score.

    Args:
        samples: of every optimizer on every task.
        confirming: trials with fresh seeds.
        confirmed: the complete ones, classified.
    """
    seeds_S = np.sort(confirming["seed_index"].unique()).astype(np.int64)
    found = [_confirmed(sample, confirmed, seeds_S) for sample in samples] if len(seeds_S) else [None]
    if any(fresh is None for fresh in found):
        return list(samples)
    return [replace(sample, confirmed=fresh) for sample, fresh in zip(samples, found, strict=True)]


def _confirmed(
    sample: Resampled, confirmed: pd.DataFrame, seeds_S: npt.NDArray[np.int64]
) -> Resampled | None:
    cube, seeds = sample.cube, len(seeds_S)
    own = confirmed[(confirmed["task"] == cube.task) & (confirmed["optimizer"] == cube.optimizer)]
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
    fresh = dense_cube(
        own.assign(lr=1.0), sample.constants, task=cube.task, optimizer=cube.optimizer, inits=cube.inits
    )
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
