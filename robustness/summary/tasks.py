"""What outcomes need to know of a task: chance, the constant predictor's loss, the reference score."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robustness.catalog import DATASETS, reference_score
from robustness.trial import TaskConfig

__all__ = ["TaskFacts", "task_facts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFacts:
    """The constants of a task.

    Attributes:
        chance: b, test accuracy of the best constant predictor: the largest class's share.
        constant_loss: L_b, training loss of the best constant predictor: the entropy of the class
            shares, in nats.
        reference: r, the catalog's reference test accuracy; None where there is none.
        test_size: test examples.
    """

    chance: float
    constant_loss: float
    reference: float | None
    test_size: int


def task_facts(task: TaskConfig) -> TaskFacts:
    """The constants of a task, from the catalog."""
    facts = DATASETS.get(task.data.name).facts(dict(task.data.arguments))
    shares = [count / facts.train_size for count in facts.train_counts if count]
    return TaskFacts(
        chance=max(facts.test_counts) / facts.test_size,
        constant_loss=-math.fsum(share * math.log(share) for share in shares),
        reference=reference_score(task.data.name, task.model.name),
        test_size=facts.test_size,
    )
