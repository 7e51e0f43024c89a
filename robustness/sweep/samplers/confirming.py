"""After a design, fresh seeds at the setting that each row was tuned to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from robustness.spec import Row, Space
from robustness.spec.space import Labels
from robustness.store import CONFIRM, StudyTrial
from robustness.sweep.samplers.asking import Line

__all__ = ["confirmed", "tuned_lr"]


def confirmed(line: Line, space: Space, rows: Sequence[Row]) -> Line:
    """A line, and then `space.confirm` more seeds of each of its rows at its tuned learning rate.

    A row in which nothing trains has none. One whose execution failed at some seeds is tuned on the others.
    """
    if not space.confirm:
        yield from line
        return
    heard: dict[Labels, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    trains: set[Labels] = set()
    asked = next(line)
    while asked:
        answers = yield asked
        for item, answer in zip(asked, answers, strict=True):
            labels = (item.task, item.optimizer, item.init)
            if answer is not None:
                heard[labels][item.trial.cell.lr].append(answer.validation)
                trains |= {labels} if answer.trained else set()
        try:
            asked = line.send(answers)
        except StopIteration:
            break
    yield [
        StudyTrial(trial, *row.labels, reason=CONFIRM)
        for row in rows
        if row.labels in trains
        for trial in space.confirming(row.cell(tuned_lr(heard[row.labels])))
    ]


def tuned_lr(scores: Mapping[float, Sequence[float]]) -> float:
    """The learning rate with the best median; of equal ones the smallest.

    >>> tuned_lr({1.0: [0.5, 0.9], 0.1: [0.7], 10.0: [0.2]})
    0.1
    """
    return max(sorted(scores), key=lambda lr: median(scores[lr]))
