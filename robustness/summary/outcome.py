"""Outcomes and sides: what happened to the *optimization* of a complete trial (rule version 3).

- `nonfinite`: a loss or a parameter norm was not finite.
- not trained, if skill s = (S - b) / (r - b) <= max(floor, z SE / (r - b)), SE the binomial standard
  error at b over the test set: `blowup` if the final training loss is above 1.05 max(l0, L_b), else `untrained`.
  A trial that its study's `stop_above` ended is a `blowup`.
- `trained` otherwise.

S is the final test score (accuracy, or minus the loss), b that of the best constant predictor, r the
reference score, l0 the training loss before the first step, L_b the constant predictor's. A bare chance threshold is too low:
many networks that were never trained exceed it. Losses may be negative: where S is one, the blow-up threshold is
max(l0, L_b) + 0.05 |L_b - r|, r the reference loss. Where accuracy cannot tell (`TaskConstants.accuracy_tells`), whatever
is finite and did not blow up passes for trained, and its side is unresolved.

An untrained trial failed on one `side`. In this order:

1. `diverged`: nonfinite, blowup.
2. `diverged` (collapsed): an earlier epoch's skill was above the floor, the final one is below half of it.
3. `diverged`: a smaller learning rate of the same row and seed trained.
4. `stalled`: a larger one did, and no smaller one.
5. Where no other learning rate of the seed trained, the row's other seeds, if at least 3 tried such a rate: `diverged`
   where a smaller one trained in most of them, `stalled` where a larger one did; else `diverged` if the training loss
   ended above its minimum by 0.3 % of |L_b| or of |that minimum|, whichever is larger; else `unresolved`.

Source: METRICS of the design.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.summary.sides import STALLED_EVIDENCE, Evidence, row_evidence
from robustness.summary.tasks import ROW, TaskConstants, raw_score

__all__ = ["ROW", "Thresholds", "classify", "outcomes"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """The constants of the rule. Raise `version` when a default changes.

    Attributes:
        skill_floor: skill that a trained trial must exceed.
        chance_z: standard errors above chance that it must exceed too.
        blowup: a final loss beyond this multiple of max(l0, L_b) is a blow-up; where the score is a loss, one beyond
            max(l0, L_b) by the excess of this over 1, times the distance from L_b to the reference.
        collapse: share of an earlier epoch's skill below which the final one must lie to have collapsed.
        fewest_other_seeds: how many of a row's other seeds must have tried a learning rate to say something of a seed.
        loss_rise: share of |L_b|, or of |the minimum| where that is larger, by which the loss must end above its
            minimum to count as evidence.
        chaotic_rise: a training loss that ever rose in one step by more than this share of max(l0, L_b) marks a trial
            in which rounding can decide how it ends.
        chaos: the sign where losses of single steps were not recorded (trials of older stores): a loss that was ever
            beyond this multiple of max(l0, L_b). It misses trials that jump about below it.
        version: of the defaults.
    """

    skill_floor: float = 0.1
    chance_z: float = 3.09
    blowup: float = 1.05
    collapse: float = 0.5
    fewest_other_seeds: float = 3
    loss_rise: float = 0.003
    chaotic_rise: float = 0.22
    chaos: float = 1.5
    version: int = 3


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
    with np.errstate(all="ignore"):  # losses near 1e308 may overflow to what they nearly are
        beyond_T = train_loss_T > _blowup_loss(l0_T, constants, thresholds)
        skilled_T = (
            _skill(score_T, constants) > _floor(constants, thresholds)
            if constants.accuracy_tells
            else ~np.isnan(score_T) & ~beyond_T
        )
    stopped_T = stopped_T == 1  # its loss was beyond a multiple of l0 that the study names
    conditions = [nonfinite_T == 1, skilled_T & ~stopped_T, beyond_T | stopped_T]
    return np.select(conditions, ["nonfinite", "trained", "blowup"], "untrained")


def _skill(score_T: Array, constants: TaskConstants) -> Array:
    return (score_T - constants.chance) / (constants.reference - constants.chance)


def _floor(constants: TaskConstants, thresholds: Thresholds) -> float:
    """The skill that a trained trial must exceed."""
    if constants.score != "accuracy" or constants.test_size is None:
        return thresholds.skill_floor
    error = math.sqrt(constants.chance * (1 - constants.chance) / constants.test_size)
    return max(thresholds.skill_floor, thresholds.chance_z * error / (constants.reference - constants.chance))


def _blowup_loss(l0_T: Array, constants: TaskConstants, thresholds: Thresholds) -> Array:
    """The training loss beyond which an untrained trial has blown up; NaN where neither l0 nor L_b is known."""
    before_T = _before(l0_T, constants)
    # Of losses that may be negative a multiple is no threshold. The reference score is minus the reference loss.
    unit_T = before_T if constants.score == "accuracy" else constants.constant_loss + constants.reference
    return before_T + (thresholds.blowup - 1) * np.abs(unit_T)


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
        `Thresholds.chaotic_rise`), `side` (trained, diverged, stalled, unresolved) and `evidence` (what a side rests on, a
        `sides.Evidence`; "" where it is trained or unresolved).
    """
    rules = thresholds or Thresholds()
    by_task = [
        _classified(part, facts[str(task)], rules) for task, part in trials.groupby("task", sort=False)
    ]
    if not by_task:
        nothing = TaskConstants(chance=0.0, constant_loss=0.0, reference=1.0, test_size=1)
        by_task = [_classified(trials, nothing, rules)]
    labelled = pd.concat(by_task).loc[trials.index]
    outcome_T, evidence_T = (labelled[name].to_numpy(dtype=str) for name in ("outcome", "evidence"))
    tells = {task: constants.accuracy_tells for task, constants in facts.items()}
    tells_T = labelled["task"].map(tells).to_numpy(dtype=bool)
    if only_lr_varies:
        from_row_T = row_evidence(
            row_T=labelled.groupby(ROW, sort=False).ngroup().to_numpy(),
            lr_T=labelled["lr"].to_numpy(),
            seed_T=labelled["seed_index"].to_numpy(),
            trained_T=outcome_T == "trained",
            fewest_other_seeds=rules.fewest_other_seeds,
        )
        # A rise of the loss comes last: noise must not decide before the row does.
        undecided_T = (
            (outcome_T == "untrained") & np.isin(evidence_T, ["", Evidence.LOSS_RISE.value]) & tells_T
        )
        evidence_T = np.where(undecided_T & (from_row_T != ""), from_row_T, evidence_T)
    labelled["evidence"] = evidence_T
    conditions = [(outcome_T == "trained") & tells_T, np.isin(evidence_T, STALLED_EVIDENCE), evidence_T != ""]
    labelled["side"] = np.select(conditions, ["trained", "stalled", "diverged"], "unresolved")
    return labelled


def _classified(trials: pd.DataFrame, constants: TaskConstants, rules: Thresholds) -> pd.DataFrame:
    """The trials of one task, but for what rests on their rows."""
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
    found["skill"] = _skill(raw.to_numpy(), constants)
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
    found["evidence"] = _own_evidence(found, constants, rules)
    return found


def _own_evidence(
    labelled: pd.DataFrame, constants: TaskConstants, rules: Thresholds
) -> npt.NDArray[np.str_]:
    """What each trial shows by itself, the first that holds."""
    outcome, loss, least = (labelled[name].to_numpy() for name in ("outcome", "train_loss", "min_train_loss"))
    with np.errstate(all="ignore"):
        earlier = _skill(labelled["max_earlier_score"].to_numpy(), constants)
        # A score that is not a number counts as the constant predictor's.
        fallen = labelled["skill"].fillna(0.0).to_numpy() < rules.collapse * earlier
        rise = loss - least
        risen = (
            constants.accuracy_tells
            & (rise > 0)
            & (rise >= rules.loss_rise * np.fmax(np.abs(least), abs(constants.constant_loss)))
        )
    collapsed = (earlier > _floor(constants, rules)) & fallen & constants.accuracy_tells
    evidence = (Evidence.NONFINITE, Evidence.BLOWUP, Evidence.COLLAPSED, Evidence.LOSS_RISE)
    return np.select(
        [outcome == "trained", outcome == "nonfinite", outcome == "blowup", collapsed, risen],
        ["", *(name.value for name in evidence)],
        "",
    )
