"""Outcomes: what happened to the *optimization* of a complete trial.

- `nonfinite`: a loss or a parameter norm was not finite.
- not trained, if skill s = (S - b) / (r - b) <= max(floor, z SE / (r - b)), SE the binomial standard
  error at b over the test set: `blowup` if the final training loss > 1.05 max(l0, L_b), else `untrained`.
  A trial that its study's `stop_above` ended is a `blowup`.
- `trained` otherwise.

S is the final test score (accuracy, or minus the loss), b that of the best constant predictor, r the
reference score, l0 the training loss before the first step, L_b the constant predictor's. A bare chance threshold is too low:
many networks that were never trained exceed it.

Sides: `diverged` is nonfinite, blowup, or untrained with evidence; `stalled` is untrained while a larger
learning rate of the row trains; `unresolved` is the rest. Source: METRICS of the design.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.summary.tasks import ROW, TaskConstants, raw_score

__all__ = ["RESTING", "ROW", "Thresholds", "classify", "outcomes"]

Array = npt.NDArray[Any]

RESTING = ("smaller-lr-trains", "larger-lr-trains")
"""Evidence that lies in other learning rates of the row, and can change when trials are added."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """The constants of the rule. Raise `version` when a default changes.

    Attributes:
        skill_floor: skill that a trained trial must exceed.
        chance_z: standard errors above chance that it must exceed too.
        blowup: a final loss beyond this multiple of max(l0, L_b) is a blow-up.
        loss_rise: share of L_b by which the loss must end above its minimum to count as evidence.
        chaotic_rise: a training loss that ever rose in one step by more than this share of max(l0, L_b) marks a trial
            in which rounding can decide how it ends.
        chaos: the sign where losses of single steps were not recorded (trials of older stores): a loss that was ever
            beyond this multiple of max(l0, L_b). It misses trials that jump about below it.
        version: of the defaults.
    """

    skill_floor: float = 0.1
    chance_z: float = 3.09
    blowup: float = 1.05
    loss_rise: float = 0.003
    chaotic_rise: float = 0.22
    chaos: float = 1.5
    version: int = 2


def outcomes(
    *,
    nonfinite_T: Array,
    stopped_T: Array,
    score_T: Array,
    train_loss_T: Array,
    l0_T: Array,
    constants: TaskConstants,
    thresholds: Thresholds,
) -> npt.NDArray[np.str_]:
    """The outcome of each of T complete trials of a task: nonfinite, blowup, untrained or trained.

    Args:
        nonfinite_T: a loss or a parameter norm was not finite.
        stopped_T: its study ended it for its loss.
        score_T: S, not a number where nothing was measured.
        train_loss_T: of the final epoch.
        l0_T: training loss before the first step.
        constants: of the task.
        thresholds: of the rule.

    Source: METRICS of the design.

    >>> task = TaskConstants(chance=0.1, constant_loss=2.3, reference=0.97, test_size=360)
    >>> no = np.zeros(3)
    >>> outcomes(nonfinite_T=no, stopped_T=no, score_T=np.array([0.95, 0.1, 0.1]), l0_T=no + 2.3,
    ...          train_loss_T=np.array([0.1, 2.3, 5]), constants=task, thresholds=Thresholds()).tolist()
    ['trained', 'untrained', 'blowup']
    """
    span = constants.reference - constants.chance
    floor = thresholds.skill_floor
    if constants.score == "accuracy" and constants.test_size is not None:
        error = math.sqrt(constants.chance * (1 - constants.chance) / constants.test_size)
        floor = max(floor, thresholds.chance_z * error / span)
    with np.errstate(all="ignore"):  # losses near 1e308 may overflow to what they nearly are
        skilled_T = (score_T - constants.chance) / span > floor
        beyond_T = train_loss_T > thresholds.blowup * _before(l0_T, constants)
    stopped_T = stopped_T == 1  # its loss was beyond a multiple of l0 that the study names
    conditions = [nonfinite_T == 1, skilled_T & ~stopped_T, beyond_T | stopped_T]
    return np.select(conditions, ["nonfinite", "trained", "blowup"], "untrained")


def _before(l0_T: Array, constants: TaskConstants) -> Array:
    """The larger of l0 and L_b; a start that is not finite, or not known, leaves L_b as the measure."""
    return np.fmax(np.where(np.isfinite(l0_T), l0_T, np.nan), constants.constant_loss)


def classify(
    trials: pd.DataFrame,
    facts: dict[str, TaskConstants],
    thresholds: Thresholds | None = None,
    *,
    only_lr_varies: bool = True,
) -> pd.DataFrame:
    """Complete trials with their outcomes.

    Args:
        trials: one row a complete trial, with the columns of `frame.COLUMNS`.
        facts: of each task label, `tasks.filled`.
        thresholds: of the rule.
        only_lr_varies: within a row. Where other numbers do too, a trial that does not train at one learning rate says
            nothing of another's, and no label rests on it.

    Returns:
        A copy with the columns `skill`, `score` (S; b where the trial did not train), `selection` (the score by
        which a learning rate is tuned; b where it is not a number), `outcome`, `chance` (b), `chaotic` (see
        `Thresholds.chaotic_rise`), `side` (trained, diverged, stalled, unresolved) and `evidence` (what a side rests on).
    """
    rules = thresholds or Thresholds()
    parts = [_classified(part, facts[str(task)], rules) for task, part in trials.groupby("task", sort=False)]
    if not parts:
        parts = [
            _classified(
                trials, TaskConstants(chance=0.0, constant_loss=0.0, reference=1.0, test_size=1), rules
            )
        ]
    found = pd.concat(parts).loc[trials.index]
    resting = np.select(_neighbours_train(found), RESTING, "") if only_lr_varies else ""
    untold = (found["outcome"] == "untrained").to_numpy() & (found["evidence"] == "").to_numpy()
    found["evidence"] = np.where(untold, resting, found["evidence"])
    trained = (found["outcome"] == "trained").to_numpy()
    stalled = (found["evidence"] == RESTING[1]).to_numpy()
    told = (found["evidence"] != "").to_numpy()
    found["side"] = np.select([trained, stalled, told], ["trained", "stalled", "diverged"], "unresolved")
    return found


def _classified(trials: pd.DataFrame, constants: TaskConstants, rules: Thresholds) -> pd.DataFrame:
    """The trials of one task, but for what rests on their rows."""
    span = constants.reference - constants.chance
    found = trials.copy()
    raw = raw_score(trials, constants.score)
    l0, loss = (trials[name].to_numpy() for name in ("l0", "train_loss"))
    outcome = outcomes(
        nonfinite_T=trials["nonfinite"].to_numpy(),
        stopped_T=trials["stopped"].to_numpy(),
        score_T=raw.to_numpy(),
        train_loss_T=loss,
        l0_T=l0,
        constants=constants,
        thresholds=rules,
    )
    found["chance"] = constants.chance
    found["skill"] = (raw - constants.chance) / span
    found["outcome"] = outcome
    found["score"] = np.where(outcome == "trained", raw, constants.chance)
    selection = raw_score(trials, constants.score, constants.selection).fillna(constants.chance)
    # A loss has no worst value: one huge loss must not decide a mean.
    found["selection"] = (
        selection if constants.score == "accuracy" else selection.clip(lower=constants.chance)
    )
    with np.errstate(all="ignore"):
        before, max_rise = _before(l0, constants), trials["max_loss_rise"].to_numpy()
        beyond = trials["max_train_loss"].to_numpy() > rules.chaos * before
        found["chaotic"] = np.where(np.isnan(max_rise), beyond, max_rise > rules.chaotic_rise * before)
        earlier = (trials["max_earlier_score"].to_numpy() - constants.chance) / span > rules.skill_floor
        risen = loss - trials["min_train_loss"].to_numpy()
    rise = risen >= rules.loss_rise * abs(constants.constant_loss)
    # In order of weight: the first two need nothing but the trial.
    found["evidence"] = np.select(
        [outcome == "trained", outcome == "nonfinite", outcome == "blowup", earlier, rise],
        ["", "nonfinite", "blowup", "earlier-skill", "loss-rise"],
        "",
    )
    return found


def _neighbours_train(found: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """For each trial, whether a smaller, and a larger, learning rate of its row trains in most seeds."""
    share = (found["outcome"] == "trained").groupby([found[c] for c in [*ROW, "lr"]]).mean()
    trains = share[share > 0.5].reset_index()
    span = trains.groupby(ROW)["lr"].agg(["min", "max"])
    rows = pd.MultiIndex.from_frame(found[ROW])
    low, high = (span[side].reindex(rows).to_numpy() for side in ("min", "max"))
    lr = found["lr"].to_numpy()
    return low < lr, high > lr
