"""The learning rate at which training ends, for every task, optimizer, initialization and seed.

Learning rates lie on a lattice `resolution` decades apart from the range's low end, so that an edge is a pair of
neighbours of the grid of that step, and trials are shared with one. A line brackets the edge by steps of at most a
decade from the optimizer's default learning rate, bisects, then checks some learning rates around it: training that
fails below an edge moves it there, and training that works again above one is reported, not hidden.
"""

# k: places on the lattice

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from robustness.catalog import OPTIMIZERS
from robustness.spec import LrRange, Row, Space
from robustness.spec.space import lattice_size
from robustness.store import StudyTrial
from robustness.sweep.samplers.asking import Line
from robustness.sweep.samplers.draws import quiet
from robustness.trial import round_lr

__all__ = ["BISECTION", "BRACKET", "CHECK", "EdgeSampler", "lines", "wanted"]

BRACKET, BISECTION, CHECK = "bracket", "bisection", "check"
"""Why a learning rate is tried."""
Wanted = list[tuple[int, str]]


def wanted(known: dict[int, bool], *, size: int, start: int, decade: int, check: int) -> Wanted:
    """The places to try next, each with its reason; none once the edge is known.

    Args:
        known: whether each place tried so far trained.
        size: of the lattice; places are 0 to size - 1.
        start: where to begin.
        decade: places in a decade, the longest step of the bracket.
        check: how many places around the edge are tried in the end.

    >>> wanted({}, size=101, start=40, decade=20, check=2)
    [(40, 'bracket')]
    >>> wanted({40: True, 60: False, 50: True, 55: False, 52: True, 53: True}, size=101, start=40, decade=20, check=2)
    [(54, 'bisection')]
    """
    walk = _walk(size, start, decade, check)
    asked = next(walk)
    while True:
        places = [(k, why) for k, why in asked if k not in known]
        if places:
            return places
        try:
            asked = walk.send({k: known[k] for k, _ in asked})
        except StopIteration:
            return []


def _walk(size: int, start: int, decade: int, check: int) -> Generator[Wanted, dict[int, bool], None]:
    known: dict[int, bool] = {}
    down = up = start
    known |= yield [(start, BRACKET)]
    while not any(known.values()):  # neither too large nor too small is told from a single trial
        ends = [k for k in (max(down - decade, 0), min(up + decade, size - 1)) if k not in known]
        if not ends:
            return
        down, up = min(down, *ends), max(up, *ends)
        known |= yield [(k, BRACKET) for k in ends]
    while _first_failure(known, size) is None:
        highest = max(k for k, is_trained in known.items() if is_trained)
        if highest == size - 1:
            return
        known |= yield [(min(highest + decade, size - 1), BRACKET)]
    yield from _bisected(known, size)
    edge = _first_failure(known, size)
    assert edge is not None
    begins = min(k for k, is_trained in known.items() if is_trained)
    checks = [k for k in _around(edge, check) if begins < k < size and k not in known]
    if checks:
        known |= yield [(k, CHECK) for k in checks]
        yield from _bisected(known, size)  # where one below has failed, that is the edge


def _bisected(known: dict[int, bool], size: int) -> Generator[Wanted, dict[int, bool], None]:
    """Halve the gap below the first failure until there is none."""
    while True:
        fails = _first_failure(known, size)
        assert fails is not None
        trains = max(k for k, is_trained in known.items() if is_trained and k < fails)
        if fails - trains == 1:
            return
        known |= yield [((trains + fails) // 2, BISECTION)]


def _first_failure(known: dict[int, bool], size: int) -> int | None:
    """The lowest place that does not train above one that does."""
    begins = min((k for k, is_trained in known.items() if is_trained), default=size)
    return min((k for k, is_trained in known.items() if not is_trained and k > begins), default=None)


def _around(edge: int, check: int) -> list[int]:
    """Places in turn above and below an edge, ever further: +1, -2, +3, -6, +9, -18.

    Of 28 rows of digits and an mlp that are not monotone on a grid of 0.05 decades, six of these show 22, six above 15.
    """
    steps = [3 ** (j // 2) for j in range(check)]
    return [edge - 2 * step if j % 2 else edge + step for j, step in enumerate(steps)]


class EdgeSampler(BaseSampler):
    """Bisection as an Optuna sampler: one parameter, `place`; a told trial has the user attribute `trained`."""

    def __init__(self, *, size: int, start: int, decade: int, check: int) -> None:
        """As for `wanted`."""
        self._lattice = {"size": size, "start": start, "decade": decade, "check": check}
        self.space: dict[str, BaseDistribution] = {"place": IntDistribution(0, size - 1)}

    def wanted(self, study: optuna.Study) -> Wanted:
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
    low, size = row.lrs.low, lattice_size(row.lrs, space.resolution)
    default = OPTIMIZERS.get(row.optimizer.config.name).default_lr
    start = round(math.log10(default / low) / space.resolution)
    sampler = EdgeSampler(
        size=size,
        start=min(max(start, 0), size - 1),
        decade=max(int(1 / space.resolution + 1e-9), 1),
        check=space.check,
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while reasons := dict(sampler.wanted(study)):
        asked = [study.ask(sampler.space) for _ in reasons]
        trials = []
        for one in asked:
            place = one.params["place"]
            lr = round_lr(low * 10 ** (place * space.resolution))
            trial = space.trial(row.cell(lr), seed_index)
            trials.append(StudyTrial(trial, *row.labels, reason=reasons[place]))
        answers = yield trials
        if None in answers:  # an execution failed: where training ends is not known until it is run again
            return
        for one, answer in zip(asked, answers, strict=True):
            if answer is not None:
                one.set_user_attr("trained", answer.trained)
                study.tell(one, answer.skill)
