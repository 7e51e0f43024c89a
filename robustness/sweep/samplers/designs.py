"""Designs: trials that are chosen before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from robustness.errors import SpecError
from robustness.spec import Space
from robustness.store import StudyTrial
from robustness.sweep.samplers.asking import Line
from robustness.sweep.samplers.confirming import confirmed

__all__ = ["drawn", "grid"]


def grid(space: Space) -> Iterator[Line]:
    """Every combination, as one line; as one a row where its tuned setting is to be confirmed."""
    if not space.confirm:
        yield _once([StudyTrial(trial, *labels) for trial, labels in space.trials()])
        return
    for row in space.rows():
        trials = [StudyTrial(t, *row.labels) for cell in row.cells() for t in space.seeded(cell)]
        yield confirmed(_once(trials), space, [row])


def drawn(space: Space) -> Iterator[Line]:
    """The same points for every optimizer, initialization and seed, as one line.

    Each variant takes of a point what belongs to it. A setting that comes twice, which only whole numbers can, is
    tried once.
    """
    from robustness.sweep.samplers.draws import seed_of, unit_points

    kind: Literal["qmc", "random"] = "qmc" if space.sampler == "qmc" else "random"
    names = sorted({axis.name for row in space.rows() for axis in row.axes})
    points = unit_points(kind, names, space.budget, seed_of(kind, space.root_seed))
    trials: dict[str, StudyTrial] = {}
    for row in space.rows():
        for point in points:
            for trial in space.seeded(row.drawn(point)):
                item = trials.setdefault(trial.key, StudyTrial(trial, *row.labels))
                if (item.task, item.optimizer, item.init) != row.labels:
                    raise SpecError.of(
                        "search.sampler",
                        f"the ranges of {', '.join(row.labels)} and {item.task}, {item.optimizer}, {item.init} overlap: "
                        "a trial would belong to both",
                    )
    yield _once(list(trials.values()))


def _once(trials: list[StudyTrial]) -> Line:
    yield trials
