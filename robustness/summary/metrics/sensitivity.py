"""How much depends on the learning rate."""

# R resamples, E environments, L learning rates or settings

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

__all__ = ["effective_dimension", "hyperparameter_sensitivity", "lr_sensitivity"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


def lr_sensitivity(
    loss_RL: Floats, weights_L: Floats, lrs_L: Floats, around_R: Places | None = None, decades: float = 1.0
) -> Floats:
    """Mean loss over learning rates above that of the best one, (R), in the loss's unit.

    Args:
        loss_RL: mean over seeds of min(l, L_b); NaN where missing (its weight goes to the rest).
        weights_L: of `log_weights`.
        lrs_L: ascending.
        around_R: the tuned places, for the mean over `decades` on each side of them; else the whole range.
        decades: on each side.

    Source: Wortsman et al. 2023 (arXiv 2309.14322), who cap at l0: with l0 a scaled initialization looks twice
    as sensitive.
    """
    logs_L = np.log10(lrs_L)
    weights_RL = np.where(np.isnan(loss_RL), 0.0, weights_L)
    if around_R is not None:
        near_RL = np.abs(logs_L - logs_L[around_R][:, None]) <= decades + 1e-9
        weights_RL = weights_RL * near_RL
    least_R = np.where(np.isnan(loss_RL), np.inf, loss_RL).min(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        above_RL = np.where(weights_RL > 0, loss_RL - least_R[:, None], 0.0)
        return np.asarray((above_RL * weights_RL).sum(axis=1) / weights_RL.sum(axis=1), dtype=float)


def hyperparameter_sensitivity(skill_REL: Floats) -> Floats:
    """Skill that tuning for each environment gains over one setting for all, (R).

    Args:
        skill_REL: median skill in each environment (task and initialization) at each setting.

    Source: Adkins et al. 2024 (arXiv 2412.07165), with skill as the normalized performance.

    >>> hyperparameter_sensitivity(np.array([[[1.0, 0.0], [0.0, 1.0]]])).tolist()
    [0.5]
    """
    each_R = skill_REL.max(axis=2).mean(axis=1)
    return np.asarray(each_R - skill_REL.mean(axis=1).max(axis=1), dtype=float)


def effective_dimension(skill_ED: Floats, axes: tuple[int, ...], enough: float = 0.95) -> int:
    """The fewest hyperparameters that must be tuned for each environment, the others at one setting for all.

    Args:
        skill_ED: (E, prod(axes)): median skill at each setting of a full grid, last axis fastest.
        axes: points of each hyperparameter.
        enough: share of the skill of tuning all of them that must be reached.

    Source: Adkins et al. 2024 (arXiv 2412.07165).

    >>> effective_dimension(np.array([[1.0, 0.0], [0.0, 1.0]]), (2,)), effective_dimension(np.eye(1), (1,))
    (1, 0)
    """
    environments, places = len(skill_ED), range(len(axes))
    grid = skill_ED.reshape(environments, *axes)
    goal = enough * skill_ED.max(axis=1).mean()
    fixed = np.unravel_index(int(skill_ED.mean(axis=0).argmax()), axes)
    for size in places:
        for tuned in combinations(places, size):
            part = grid[(slice(None), *(slice(None) if a in tuned else fixed[a] for a in places))]
            if part.reshape(environments, -1).max(axis=1).mean() >= goal:
                return size
    return len(axes)
