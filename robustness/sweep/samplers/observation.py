"""What a sampler learns of a trial: finite numbers, whatever happened to it."""

# T trials of one task

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from robustness.spec import Space
from robustness.store.trial_frames import TRIAL_COLUMNS
from robustness.summary import Thresholds, task_facts
from robustness.summary.outcome import outcomes
from robustness.summary.tasks import TaskConstants, filled

__all__ = ["Observation", "Observer"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """A complete trial; a divergence has its values like any other.

    Attributes:
        trained: its outcome.
        skill: of the test score; 0 where it did not train.
        selection: skill of the score that settings are tuned by; 0 where it did not train.
        validation: that score itself, whatever the outcome, which is one of the test set; that of the best constant
            predictor where it is not finite.
    """

    trained: bool
    skill: float
    selection: float
    validation: float


class Observer:
    """Judges trials by the rule of the read side, with what the catalog knows of their tasks alone.

    A task without a reference score is measured against a perfect one: with the study's own best, what a sampler
    chooses would depend on the order of results.
    """

    def __init__(self, space: Space) -> None:
        """Look up the constants of the study's tasks."""
        none = pd.DataFrame(columns=list(TRIAL_COLUMNS), dtype=float)
        self._facts = {task.label: filled(task_facts(task.config), none) for task in space.tasks}

    def __call__(self, tasks: Sequence[str], figures: Sequence[Mapping[str, Any]]) -> list[Observation]:
        """One of each complete trial.

        Args:
            tasks: the label of each one's task.
            figures: its final figures, by the names of the store's columns.
        """
        places: dict[str, list[int]] = defaultdict(list)
        for place, task in enumerate(tasks):
            places[task].append(place)
        found: dict[int, Observation] = {}
        for task, own in places.items():
            found.update(
                zip(own, _observed(self._facts[task], [figures[place] for place in own]), strict=True)
            )
        return [found[place] for place in range(len(tasks))]


def _observed(facts: TaskConstants, figures: Sequence[Mapping[str, Any]]) -> list[Observation]:
    def column(name: str) -> np.ndarray:
        return np.array([row[name] for row in figures], dtype=float)

    def score(part: str) -> np.ndarray:
        raw_T = column(f"{part}_accuracy") if facts.score == "accuracy" else -column(f"{part}_loss")
        return np.where(np.isfinite(raw_T), raw_T, np.nan)

    outcome_T = outcomes(
        nonfinite_T=column("nonfinite"),
        stopped_T=column("stopped"),
        score_T=score("test"),
        train_loss_T=column("train_loss"),
        l0_T=column("l0"),
        constants=facts,
        thresholds=Thresholds(),
    )
    trained_T = outcome_T == "trained"
    span = facts.reference - facts.chance
    skill_T, chosen_T = (
        np.where(trained_T, np.nan_to_num((score(part) - facts.chance) / span), 0.0)
        for part in ("test", "validation")
    )
    validation_T = np.nan_to_num(score("validation"), nan=facts.chance)
    if facts.score == "loss":  # as `outcome.classify`
        validation_T = np.maximum(validation_T, facts.chance)
    return [
        Observation(
            trained=trained,
            skill=skill,
            selection=chosen,
            validation=validation,
        )
        for trained, skill, chosen, validation in zip(
            *(values_T.tolist() for values_T in (trained_T, skill_T, chosen_T, validation_T)), strict=True
        )
    ]
