"""A tuned baseline: what Optuna's TPE finds under a budget of settings, for each task, optimizer and initialization.

Settings are asked for in rounds of ten. A round is told, in the order in which it was asked, before the next is asked,
and each round has a generator of its own: what is asked depends on the study's seed and the results alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

import optuna
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from robustness.spec import Row, Space
from robustness.store import StudyTrial
from robustness.sweep.samplers.asking import Line
from robustness.sweep.samplers.draws import quiet, seed_of, unit_space

__all__ = ["ROUND", "lines"]

ROUND = 10
"""Settings asked for at once: a pack or more with their seeds, and few enough to learn from."""


def lines(space: Space) -> Iterator[Line]:
    """A line for each task, optimizer and initialization."""
    quiet()
    for row in space.rows():
        yield _line(space, row)


def _line(space: Space, row: Row) -> Line:
    distributions = unit_space([axis.name for axis in row.axes])
    identity = [part.config.as_dict() for part in (row.task, row.optimizer, row.init)]
    study = optuna.create_study(direction="maximize")
    for start in range(0, space.budget, ROUND):
        study.sampler = TPESampler(
            seed=seed_of("tpe", space.root_seed, *identity, start),
            n_startup_trials=2 * ROUND,
            multivariate=True,
            constant_liar=True,
        )
        asked = [study.ask(distributions) for _ in range(min(ROUND, space.budget - start))]
        cells = [row.drawn(one.params) for one in asked]
        answers = yield [StudyTrial(t, *row.labels) for cell in cells for t in space.seeded(cell)]
        for place, one in enumerate(asked):
            own = answers[place * space.repeats : (place + 1) * space.repeats]
            values = [answer.selection for answer in own if answer is not None]
            if values:
                study.tell(one, fmean(values))
            else:  # every execution failed: nothing is known of it
                study.tell(one, state=TrialState.FAIL)
