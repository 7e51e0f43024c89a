"""The learning rate at which training ends, for every task, optimizer, initialization and seed.

What a row tries, and why, is `robustness.spec.first_failure_search`: a bracket, bisection, and checks around the edge.
Training that fails below the edge moves it there; training that works again above it is reported, not hidden.
"""

# k: places on the lattice

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from robustness.spec import LrRange, Row, Space
from robustness.spec.first_failure_search import Places, search
from robustness.spec.space import lattice_of
from robustness.store import StudyTrial
from robustness.sweep.samplers.asking import Line
from robustness.sweep.samplers.draws import quiet
from robustness.trial import round_lr

__all__ = ["EdgeSampler", "lines", "wanted"]


def wanted(trained: dict[int, bool], *, size: int, start: int, decade: int, check: int) -> Places:
    """The places to try next, each with its reason; none once the search is over.

    Args:
        trained: whether each place tried so far trained.
        size: as for `search`.
        start: as for `search`.
        decade: as for `search`.
        check: as for `search`.

    >>> wanted({}, size=101, start=40, decade=20, check=2)
    [(40, 'bracket')]
    >>> wanted({40: True, 60: False, 20: True, 50: True, 55: False, 52: True, 53: True}, size=101, start=40, decade=20, check=2)
    [(54, 'bisection')]
    """
    running = search(size=size, start=start, decade=decade, check=check)
    places = next(running)
    while True:
        untried = [(k, reason) for k, reason in places if k not in trained]
        if untried:
            return untried
        try:
            places = running.send({k: trained[k] for k, _ in places})
        except StopIteration:
            return []


class EdgeSampler(BaseSampler):
    """Bisection as an Optuna sampler: one parameter, `place`; a told trial has the user attribute `trained`."""

    def __init__(self, *, size: int, start: int, decade: int, check: int) -> None:
        """As for `wanted`."""
        self._lattice = {"size": size, "start": start, "decade": decade, "check": check}
        self.space: dict[str, BaseDistribution] = {"place": IntDistribution(0, size - 1)}

    def wanted(self, study: optuna.Study) -> Places:
        """What is to be asked for next, by the trials told so far."""
        told = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return wanted({t.params["place"]: t.user_attrs["trained"] for t in told}, **self._lattice)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The place."""
        return self.space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The first place that is wanted and not being tried.

        Raises:
            ValueError: the edge is known.
        """
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        taken = {t.params.get("place") for t in running}
        for place, _ in self.wanted(study):
            if place not in taken:
                return {"place": place}
        raise ValueError("the edge is known, or waits for trials that run")

    def sample_independent(self, *_: Any) -> Any:
        """There is no other parameter.

        Raises:
            ValueError: always.
        """
        raise ValueError("edge has one parameter, the place")


def lines(space: Space) -> Iterator[Line]:
    """A line for each task, optimizer, initialization and seed."""
    quiet()
    for row in space.rows():
        for seed_index in range(space.repeats):
            yield _line(space, row, seed_index)


def _line(space: Space, row: Row, seed_index: int) -> Line:
    assert isinstance(row.lrs, LrRange)
    sampler = EdgeSampler(**lattice_of(row.optimizer, row.lrs, space))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while reasons := dict(sampler.wanted(study)):
        asked = [study.ask(sampler.space) for _ in reasons]
        trials = []
        for one in asked:
            place = one.params["place"]
            lr = round_lr(row.lrs.low * 10 ** (place * space.resolution))
            trial = space.trial(row.cell(lr), seed_index)
            trials.append(StudyTrial(trial, *row.labels, reason=reasons[place]))
        answers = yield trials
        if None in answers:  # an execution failed: where training ends is not known until it is run again
            return
        for one, answer in zip(asked, answers, strict=True):
            if answer is not None:
                one.set_user_attr("trained", answer.trained)
                study.tell(one, answer.skill)
