"""Outcomes: what happened to the *optimization* of a complete trial.

- `nonfinite`: a loss or a parameter norm was not finite.
- not trained, if skill s = (S - b) / (r - b) <= max(floor, z SE / (r - b)), SE the binomial standard
  error at b over the test set: `blowup` if the final training loss > 1.05 max(l0, L_b), else `untrained`.
  A trial that its study's `stop_above` ended is a `blowup`.
- `trained` otherwise.

S is the final test accuracy, b that of the best constant predictor, r the reference score, l0 the
training loss before the first step, L_b the constant predictor's. A bare chance threshold is too low:
many networks that were never trained exceed it.

Sides: `diverged` is nonfinite, blowup, or untrained with evidence; `stalled` is untrained while a larger
learning rate of the row trains; `unresolved` is the rest. Source: METRICS of the design.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from robustness.summary.tasks import TaskFacts

__all__ = ["ROW", "Thresholds", "classify", "outcome_of"]

ROW = ["task", "optimizer", "init"]
"""A row of a heatmap: these, over learning rates."""


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


def outcome_of(
    *,
    first_nonfinite_step: int | None,
    stopped: bool,
    test_accuracy: float,
    train_loss: float,
    l0: float,
    facts: TaskFacts,
    reference: float,
    thresholds: Thresholds,
) -> str:
    """The outcome of one complete trial: nonfinite, blowup, untrained or trained.

    >>> facts = TaskFacts(chance=0.1, constant_loss=2.3, reference=0.97, test_size=360)
    >>> def outcome(accuracy, loss):
    ...     return outcome_of(first_nonfinite_step=None, stopped=False, test_accuracy=accuracy, train_loss=loss, l0=2.3,
    ...                       facts=facts, reference=0.97, thresholds=Thresholds())
    >>> outcome(0.95, 0.1), outcome(0.1, 2.3), outcome(0.1, 5.0)
    ('trained', 'untrained', 'blowup')
    """
    if first_nonfinite_step is not None:
        return "nonfinite"
    if stopped:  # its loss was beyond a multiple of l0 that the study names
        return "blowup"
    span = reference - facts.chance
    error = math.sqrt(facts.chance * (1 - facts.chance) / facts.test_size)
    skill = (test_accuracy - facts.chance) / span
    if skill > max(thresholds.skill_floor, thresholds.chance_z * error / span):
        return "trained"
    # A NaN l0 (a start that is not finite) leaves L_b as the measure.
    before = max(l0, facts.constant_loss) if math.isfinite(l0) else facts.constant_loss
    return "blowup" if train_loss > thresholds.blowup * before else "untrained"


def classify(
    trials: pd.DataFrame, facts: dict[str, TaskFacts], thresholds: Thresholds | None = None
) -> pd.DataFrame:
    """Complete trials with their outcomes.

    Args:
        trials: one row a complete trial, with the columns of `frame.COLUMNS`.
        facts: of each task label.
        thresholds: of the rule.

    Returns:
        A copy with the columns `skill`, `score` (S; chance where the trial did not train), `outcome`,
        `chance` (b), `chaotic` (see `Thresholds.chaos`), `side` (trained, diverged, stalled, unresolved), `evidence` (what a side rests on) and
        `reference_flagged` (the reference is the study's own best median, not the catalog's).
    """
    rules = thresholds or Thresholds()
    found = trials.copy()
    references = {task: _reference(group, facts[str(task)]) for task, group in found.groupby("task")}
    facts_of = found["task"].map(facts)
    reference_of = found["task"].map(references).astype(float)
    chance = np.array([f.chance for f in facts_of], dtype=float)
    constant_loss = np.array([f.constant_loss for f in facts_of], dtype=float)
    found["chance"] = chance
    found["reference_flagged"] = [f.reference is None for f in facts_of]
    found["skill"] = (found["test_accuracy"] - chance) / (reference_of - chance)
    found["outcome"] = [
        outcome_of(
            first_nonfinite_step=None if math.isnan(step) else int(step),
            stopped=stopped == 1,
            test_accuracy=accuracy,
            train_loss=loss,
            l0=l0,
            facts=fact,
            reference=reference,
            thresholds=rules,
        )
        for step, stopped, accuracy, loss, l0, fact, reference in zip(
            found["first_nonfinite_step"],
            found["stopped"],
            found["test_accuracy"],
            found["train_loss"],
            found["l0"],
            facts_of,
            reference_of,
            strict=True,
        )
    ]
    before = np.fmax(found["l0"].where(np.isfinite(found["l0"])), constant_loss)  # as in `outcome_of`
    found["chaotic"] = found["max_train_loss"].to_numpy() > rules.chaos * before
    trained = (found["outcome"] == "trained").to_numpy()
    found["score"] = np.where(trained, found["test_accuracy"], chance)
    found["evidence"] = _evidence(found, chance, constant_loss, reference_of.to_numpy(), rules)
    stalled = found["evidence"] == "larger-lr-trains"
    found["side"] = np.select(
        [trained, stalled, found["evidence"] != ""], ["trained", "stalled", "diverged"], "unresolved"
    )
    return found


def _reference(trials: pd.DataFrame, facts: TaskFacts) -> float:
    """The task's reference score; without one, the best median over seeds that the study reached."""
    if facts.reference is not None:
        return facts.reference
    scores = trials.assign(test_accuracy=trials["test_accuracy"].fillna(facts.chance))
    best = scores.groupby([*ROW, "lr"])["test_accuracy"].median().max()
    # Where nothing beats chance, a perfect score keeps skill defined.
    return float(best) if best > facts.chance else 1.0


def _evidence(
    found: pd.DataFrame,
    chance: np.ndarray,
    constant_loss: np.ndarray,
    reference: np.ndarray,
    rules: Thresholds,
) -> np.ndarray:
    outcome = found["outcome"].to_numpy()
    earlier_skill = (found["max_earlier_test_accuracy"].to_numpy() - chance) / (reference - chance)
    rise = found["train_loss"].to_numpy() - found["min_train_loss"].to_numpy()
    smaller, larger = _neighbours_train(found)
    # In order of weight: the first two need nothing but the trial, the others its row.
    conditions = [
        outcome == "trained",
        outcome == "nonfinite",
        outcome == "blowup",
        earlier_skill > rules.skill_floor,
        rise >= rules.loss_rise * constant_loss,
        smaller,
        larger,
    ]
    labels = [
        "",
        "nonfinite",
        "blowup",
        "earlier-skill",
        "loss-rise",
        "smaller-lr-trains",
        "larger-lr-trains",
    ]
    return np.select(conditions, labels, "")


def _neighbours_train(found: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """For each trial, whether a smaller, and a larger, learning rate of its row trains in most seeds."""
    share = (found["outcome"] == "trained").groupby([found[c] for c in [*ROW, "lr"]]).mean()
    trains = share[share > 0.5].reset_index()
    span = trains.groupby(ROW)["lr"].agg(["min", "max"])
    rows = pd.MultiIndex.from_frame(found[ROW])
    low, high = (span[side].reindex(rows).to_numpy() for side in ("min", "max"))
    lr = found["lr"].to_numpy()
    return low < lr, high > lr
