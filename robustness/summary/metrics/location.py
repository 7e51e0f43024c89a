"""Where on the axis of learning rates an optimizer stands, and means over ranges that need not end on the grid."""

# R resamples, L learning rates

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["integral_weights", "margin", "skill_centre"]

Floats = npt.NDArray[np.float64]


def integral_weights(logs_L: Floats, low_R: Floats, high_R: Floats) -> Floats:
    """Weights with which values on a grid make the integral of their linear interpolation, (R, L).

    Args:
        logs_L: ascending, two at least.
        low_R: where the integral begins; what lies outside the grid counts for nothing.
        high_R: where it ends, not below `low_R`.

    >>> integral_weights(np.array([0.0, 1.0, 2.0]), np.array([0.0]), np.array([1.5])).tolist()
    [[0.5, 0.875, 0.125]]
    """
    return _up_to(logs_L, high_R) - _up_to(logs_L, low_R)


def _up_to(logs_L: Floats, end_R: Floats) -> Floats:
    steps = np.diff(logs_L)
    share_RL = np.clip((np.asarray(end_R)[..., None] - logs_L[:-1]) / steps, 0.0, 1.0)
    weights_RL = np.zeros((*share_RL.shape[:-1], len(logs_L)))
    weights_RL[..., 1:] += steps * share_RL**2 / 2
    weights_RL[..., :-1] += steps * (share_RL - share_RL**2 / 2)
    return weights_RL


def skill_centre(skill_RL: Floats, logs_L: Floats) -> Floats:
    """The centre of mass of skill over the logarithm of the learning rate, (R): one place, on a continuous scale.

    It moves with the unit of the learning rate by exactly as much, wherever the grid's points lie, and by half as
    much as one end of the learning rates that train. NaN where nothing has skill.

    Args:
        skill_RL: mean over seeds, by validation scores; below 0 it counts as 0.
        logs_L: ascending, two at least.

    Source: METRICS, "Units of the learning rate": of the locations tried, the steadiest.

    >>> skill_centre(np.array([[0.0, 1.0, 1.0, 0.0, 0.0]]), np.arange(-3.0, 2.0)).tolist()
    [-1.5]
    """
    ends = np.array(logs_L[0]), np.array(logs_L[-1])
    mass_RL = np.maximum(skill_RL, 0.0) * integral_weights(logs_L, *ends)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((mass_RL @ logs_L) / mass_RL.sum(axis=-1), dtype=float)


def margin(failed_RL: Floats, logs_L: Floats, centre_R: Floats, top_R: Floats) -> Floats:
    """Decades above the centre that train, (R): where the first failure lies, without the noise of single trials.

    Args:
        failed_RL: share of seeds that do not train.
        logs_L: ascending, two at least.
        centre_R: of `skill_centre`.
        top_R: decades above the centre up to which failures count.

    >>> margin(np.array([[0.0, 0.0, 0.0, 1.0]]), np.arange(4.0), np.array([1.0]), np.array([2.0])).tolist()
    [1.5]
    """
    lost_R = (integral_weights(logs_L, centre_R, centre_R + top_R) * failed_RL).sum(axis=-1)
    return np.asarray(top_R - lost_R, dtype=float)
