"""Warnings are looked for beside the requests: counts never wait for those of a large study."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from robustness.service.lookout import MOST_AT_ONCE, Lookout
from robustness.store import Standing, StudyState
from robustness.trial import TrialState

LARGE = MOST_AT_ONCE + 1
STANDING = Standing(
    id=1,
    name="small",
    title="",
    question="",
    created_at="",
    updated_at="",
    revision=1,
    imported=False,
    submitted=StudyState.COMPLETE,
    trials=LARGE,
    cancelling=False,
    error="",
    driven=False,
    attended=False,
)


def counts(complete: int) -> dict[TrialState, int]:
    return {**dict.fromkeys(TrialState, 0), TrialState.COMPLETE: complete}


class Looking:
    """Looks when it is let."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.seen: list[int] = []
        self.ended = threading.Semaphore(0)

    def __call__(self, standing: Standing) -> list[str]:
        self.began.release()
        self.let.acquire()
        self.seen.append(standing.revision)
        self.ended.release()
        return [f"as of {standing.revision}"]

    def go(self) -> None:
        self.let.release()
        self.ended.acquire()


def settled(lookout: Lookout, standing: Standing) -> list[str]:
    while True:
        texts, whole = lookout.warnings(standing, counts(LARGE))
        if whole:
            return texts


def test_those_of_a_large_study_come_later_and_the_answer_says_so() -> None:
    look = Looking()
    lookout = Lookout(look)
    for _ in range(3):
        [text], whole = lookout.warnings(STANDING, counts(LARGE))
        assert (text, whole) == ("Warnings are still being looked for in 5,001 trials: ask again.", False)
    look.go()
    assert settled(lookout, STANDING) == ["as of 1"]
    assert look.seen == [1]


def test_a_request_for_a_small_study_waits_for_them() -> None:
    look = Looking()
    look.let.release()
    assert Lookout(look).warnings(STANDING, counts(MOST_AT_ONCE)) == (["as of 1"], True)


def test_a_study_that_changed_meanwhile_is_looked_at_again() -> None:
    look = Looking()
    lookout = Lookout(look)
    later = [replace(STANDING, revision=number) for number in (2, 3)]
    assert not lookout.warnings(STANDING, counts(LARGE))[1]
    look.began.acquire()
    for standing in later:
        assert not lookout.warnings(standing, counts(LARGE))[1]
    look.go()
    look.go()
    assert settled(lookout, later[-1]) == ["as of 3"]
    assert look.seen == [1, 3]


def test_a_large_study_that_runs_is_left_to_run() -> None:
    running = replace(STANDING, driven=True)
    [text], whole = Lookout(Looking()).warnings(running, counts(LARGE))
    assert (text, whole) == ("5,001 trials are many: warnings are looked for when it has stopped.", False)


def test_a_failure_is_raised_once_and_the_next_request_tries_again() -> None:
    tries = iter([ValueError("no store"), None])

    def look(_: Standing) -> list[str]:
        failure = next(tries)
        if failure is not None:
            raise failure
        return ["found"]

    lookout = Lookout(look)
    with pytest.raises(ValueError, match="no store"):
        lookout.warnings(STANDING, counts(1))
    assert lookout.warnings(STANDING, counts(1)) == (["found"], True)
