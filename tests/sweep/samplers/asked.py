"""Samplers without a cluster: trials are answered by a function."""

from __future__ import annotations

from collections.abc import Callable

from robustness.spec import Space
from robustness.store import StudyTrial
from robustness.sweep.samplers.asking import Asking
from robustness.sweep.samplers.lines import lines_of
from robustness.sweep.samplers.observation import Observation
from robustness.trial import Trial

Answer = Callable[[Trial], Observation | None]


def observation(skill: float) -> Observation:
    return Observation(trained=skill > 0, skill=skill, selection=skill, validation=skill)


def asked(space: Space, answer: Answer, *, backwards: bool = False) -> list[list[StudyTrial]]:
    """Rounds of what a study's sampler asks for, until it asks no more."""
    asking = Asking(lines_of(space))
    rounds, now = [], asking.begin()
    while now:
        rounds.append(now)
        order = reversed(now) if backwards else iter(now)
        now = [new for item in order for new in asking.tell({item.trial.key: answer(item.trial)})]
    return rounds


def keys(rounds: list[list[StudyTrial]]) -> set[str]:
    return {item.trial.key for part in rounds for item in part}
