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

import numpy as np
import pandas as pd

from robustness.summary.tasks import ROW, TaskFacts, raw_score

__all__ = ["ROW", "Thresholds", "classify"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """The constants of the rule. Raise `version` when a default changes.

    Attributes:
        skill_floor: skill that a trained trial must exceed.
        chance_z: standard errors above chance that it must exceed too.
        blowup: a final loss beyond this multiple of max(l0, L_b) is a blow-up.
        loss_rise: share of L_b by which the loss must end above its minimum to count as evidence.
        chaos: a training loss that was ever beyond this multiple of max(l0, L_b), a single step's, marks a trial
            in which rounding can decide how it ends.
        version: of the defaults.
    """

    skill_floor: float = 0.1
    chance_z: float = 3.09
    blowup: float = 1.05
    loss_rise: float = 0.003
    chaos: float = 1.5
    version: int = 2


def classify(
    trials: pd.DataFrame, facts: dict[str, TaskFacts], thresholds: Thresholds | None = None
) -> pd.DataFrame:
    """Complete trials with their outcomes.

    Args:
        trials: one row a complete trial, with the columns of `frame.COLUMNS`.
        facts: of each task label, `tasks.filled`.
        thresholds: of the rule.

    Returns:
        A copy with the columns `skill`, `score` (S; b where the trial did not train), `selection` (the score by
        which a learning rate is tuned; b where it is not a number), `outcome`, `chance` (b), `chaotic` (see
        `Thresholds.chaos`), `side` (trained, diverged, stalled, unresolved) and `evidence` (what a side rests on).
    """
    rules = thresholds or Thresholds()
    parts = [_classified(part, facts[str(task)], rules) for task, part in trials.groupby("task", sort=False)]
    if not parts:
        parts = [_classified(trials, TaskFacts(chance=0.0, constant_loss=0.0, reference=1.0, test_size=1), rules)]
    found = pd.concat(parts).loc[trials.index]
    smaller, larger = _neighbours_train(found)
    resting = np.select([smaller, larger], ["smaller-lr-trains", "larger-lr-trains"], "")
    untold = (found["outcome"] == "untrained").to_numpy() & (found["evidence"] == "").to_numpy()
    found["evidence"] = np.where(untold, resting, found["evidence"])
    trained = (found["outcome"] == "trained").to_numpy()
    stalled = (found["evidence"] == "larger-lr-trains").to_numpy()
    told = (found["evidence"] != "").to_numpy()
    found["side"] = np.select([trained, stalled, told], ["trained", "stalled", "diverged"], "unresolved")
    return found


def _classified(trials: pd.DataFrame, facts: TaskFacts, rules: Thresholds) -> pd.DataFrame:
    """The trials of one task, but for what rests on their rows."""
    assert facts.chance is not None and facts.constant_loss is not None and facts.reference is not None
    span = facts.reference - facts.chance
    found = trials.copy()
    raw = raw_score(trials, facts.score)
    found["chance"] = facts.chance
    found["skill"] = (raw - facts.chance) / span
    floor = rules.skill_floor
    if facts.score == "accuracy" and facts.test_size is not None:
        error = math.sqrt(facts.chance * (1 - facts.chance) / facts.test_size)
        floor = max(floor, rules.chance_z * error / span)
    # A start that is not finite, or not known, leaves L_b as the measure.
    before = np.fmax(trials["l0"].where(np.isfinite(trials["l0"])), facts.constant_loss)
    loss = trials["train_loss"]
    # A trial that its study stopped was beyond a multiple of l0 that the study names.
    beyond = (trials["stopped"] == 1) | (loss > rules.blowup * before)
    outcome = np.select(
        [trials["nonfinite"] == 1, (trials["stopped"] != 1) & (found["skill"] > floor), beyond],
        ["nonfinite", "trained", "blowup"],
        "untrained",
    )
    found["outcome"] = outcome
    found["score"] = np.where(outcome == "trained", raw, facts.chance)
    selection = raw_score(trials, facts.score, facts.selection).fillna(facts.chance)
    # A loss has no worst value: one huge loss must not decide a mean.
    found["selection"] = selection if facts.score == "accuracy" else selection.clip(lower=facts.chance)
    found["chaotic"] = trials["max_train_loss"] > rules.chaos * before
    earlier = (trials["max_earlier_score"] - facts.chance) / span > rules.skill_floor
    rise = loss - trials["min_train_loss"] >= rules.loss_rise * abs(facts.constant_loss)
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
