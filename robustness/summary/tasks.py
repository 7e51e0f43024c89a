"""What outcomes need to know of a task: its score, chance, the constant predictor's loss, the reference score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from robustness.catalog import DATASETS, reference_score
from robustness.trial import ImportedTask, TaskConfig

__all__ = ["ACCURACY_CANNOT_TELL", "ROW", "TaskConstants", "TaskFacts", "filled", "raw_score", "task_facts"]

ROW = ["task", "optimizer", "init"]
"""A row of a heatmap: these, over learning rates."""

ACCURACY_CANNOT_TELL = "one class has more than half of the test set, so accuracy, which is not balanced, cannot tell what trained"
"""Why numbers that rest on what trained are not stated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFacts:
    """What is known of a task; None where nobody knows.

    Attributes:
        chance: b, test score of the best constant predictor: the largest class's share, or minus `constant_loss`.
        constant_loss: L_b, training loss of the best constant predictor: for cross-entropy the entropy of the
            class shares, in nats.
        reference: r, the reference test score.
        test_size: independent test examples; None where unknown or dependent: no standard error then.
        score: S is test accuracy, or minus the test loss.
        validated: validation data are held out; else what was recorded tells.
    """

    chance: float | None
    constant_loss: float | None
    reference: float | None
    test_size: int | None
    score: Literal["accuracy", "loss"] = "accuracy"
    validated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskConstants:
    """The constants by which the trials of a task are judged; as in `TaskFacts`, with a stand-in for each None.

    Attributes:
        chance: b.
        constant_loss: L_b; NaN where the trials hold nothing to stand in.
        reference: r.
        test_size: independent test examples; None where unknown or dependent.
        score: S is test accuracy, or minus the test loss.
        selection: the data on which a learning rate is tuned; `test` where no validation data were recorded.
        assumed: a clause for every stand-in, for the report's warnings.
    """

    chance: float
    constant_loss: float
    reference: float
    test_size: int | None
    score: Literal["accuracy", "loss"] = "accuracy"
    selection: Literal["validation", "test"] = "validation"
    assumed: tuple[str, ...] = ()

    @property
    def accuracy_tells(self) -> bool:
        """Whether accuracy can tell a trained network from the best constant predictor; true where the score is a loss.

        It cannot where a class has more than half of the test set; one example more, of an odd number in two classes,
        does no harm.
        """
        if self.score != "accuracy":
            return True
        one_example = 0.5 / self.test_size if self.test_size else 0.0
        return self.chance <= 0.5 + one_example + 1e-12

    @property
    def score_name(self) -> str:
        """As axes and columns call it."""
        return "test accuracy" if self.score == "accuracy" else "minus test loss"


def task_facts(task: TaskConfig | ImportedTask) -> TaskFacts:
    """The constants of a task, from the catalog or from what its importer knew."""
    if isinstance(task, ImportedTask):
        return TaskFacts(
            chance=task.chance,
            constant_loss=task.constant_loss,
            reference=task.reference,
            test_size=task.test_size,
            score=task.score,
        )
    facts = DATASETS.get(task.data.name).facts(dict(task.data.arguments))
    shares = [count / facts.train_size for count in facts.train_counts if count]
    return TaskFacts(
        chance=max(facts.test_counts) / facts.test_size,
        constant_loss=-math.fsum(share * math.log(share) for share in shares),
        reference=reference_score(task.data.name, task.model.name),
        test_size=facts.test_size,
        validated=facts.validation_size > 0,
    )


def raw_score(trials: pd.DataFrame, score: str, part: str = "test") -> pd.Series[float]:
    """The recorded score of each trial: accuracy, or minus the loss; NaN where it is not a number."""
    found = trials[f"{part}_accuracy"] if score == "accuracy" else -trials[f"{part}_loss"]
    return found.where(np.isfinite(found))


def filled(facts: TaskFacts, trials: pd.DataFrame) -> TaskConstants:
    """The facts with a stand-in, said so, for each that is not known.

    Args:
        facts: of one task.
        trials: its complete trials, columns of `frame.COLUMNS`.
    """
    assumed: list[str] = []
    constant_loss, chance, reference = facts.constant_loss, facts.chance, facts.reference
    if constant_loss is None:
        starts = trials["l0"][np.isfinite(trials["l0"])]
        constant_loss = float(starts.median()) if len(starts) else math.nan
        assumed.append(
            "the constant predictor's loss is not known: the loss before the first step stands for it"
            if len(starts)
            else "neither the constant predictor's loss nor the loss before the first step is known: "
            "no trial can be called a blow-up"
        )
    scores = raw_score(trials, facts.score)
    if chance is None and facts.score == "loss":
        chance = -constant_loss
        if math.isnan(chance):  # the worst that was reached: at least that one has learned nothing
            chance = float(scores.min()) if scores.notna().any() else 0.0
            assumed.append(
                "the worst final test loss stands for the constant predictor's"
                if scores.notna().any()
                else "no loss is finite: 0 stands for the constant predictor's"
            )
    elif chance is None:
        chance = 0.0
        assumed.append("chance is not known: an accuracy of 0 stands for it")
    if reference is None or reference <= chance:  # of losses chance may be a stand-in, known only here
        what = (
            "there is no reference score"
            if reference is None
            else "the reference score is no better than chance"
        )
        medians = scores.fillna(chance).groupby([trials[name] for name in (*ROW, "lr")]).median()
        best = float(medians.max()) if len(medians) else math.nan
        # Where nothing beats chance, a perfect score keeps skill defined.
        perfect = 1.0 if facts.score == "accuracy" else chance + max(abs(chance), 1.0)
        reference = best if best > chance else perfect
        assumed.append(f"{what}: skill is measured against this study's own best median")
    # A trial without a finite test score tells nothing of where its validation score went.
    told = raw_score(trials, facts.score, "validation")[scores.notna()]
    validated = facts.validated or told.notna().any() or not len(told)
    return TaskConstants(
        chance=chance,
        constant_loss=constant_loss,
        reference=reference,
        selection="validation" if validated else "test",
        test_size=facts.test_size,
        score=facts.score,
        assumed=tuple(assumed),
    )
