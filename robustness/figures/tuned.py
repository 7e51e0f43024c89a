"""Scores at each row's tuned learning rate: what the spread and the profile show."""

# S seeds, I initializations

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robustness.summary.cubes import Cube
from robustness.summary.metrics import tuned_index
from robustness.summary.resampling import Resamples, quantile

__all__ = ["at_tuned", "tuned_places"]

Floats = npt.NDArray[np.float64]


def tuned_places(cube: Cube) -> npt.NDArray[np.intp]:
    """The place of each initialization's tuned learning rate (I), by the median selection score."""
    seeds, inits, lrs = cube.shape
    itself = Resamples(counts_RS=np.ones((1, seeds), dtype=np.int16))
    median_IL = quantile(cube.selection_SIL.reshape(seeds, inits * lrs), itself)[0].reshape(inits, lrs)
    return tuned_index(median_IL)


def at_tuned(cube: Cube, values_SIL: Floats) -> Floats:
    """The values at each row's tuned learning rate, (S, I)."""
    return np.take_along_axis(values_SIL, tuned_places(cube)[None, :, None], axis=2)[..., 0]
