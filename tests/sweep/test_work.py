"""Work: lists of packs, what comes of them, what is tried again."""

from __future__ import annotations

from robustness.spec import Resources
from robustness.sweep.work import PackList, Work
from tests.builders import trials

TWENTY = trials(search={"lr": [0.1, 1.0], "seeds": 10})


def work(pack: int = 5, slots: int = 2, max_failures: int = 1) -> Work:
    made = Work(Resources(pack=pack), slots, max_failures)
    made.add(TWENTY)
    return made


def taken(found: Work) -> PackList:
    made = found.take()
    assert made is not None
    return made


def keys(made: PackList) -> list[str]:
    return [trial.key for pack in made.packs for trial in pack.trials]


def test_every_trial_is_handed_out_once_and_nothing_is_left_when_all_ended() -> None:
    found, seen = work(), []
    while (made := found.take()) is not None:
        seen += keys(made)
        assert found.running(made.id) == keys(made)
        found.ended(made.id, set(keys(made)))
    assert sorted(seen) == sorted(trial.key for trial in TWENTY)
    assert not found.left
    assert found.complete == 20


def test_nothing_is_handed_out_while_the_rest_is_running_and_work_is_left() -> None:
    found = work(pack=20, slots=1)
    made = taken(found)
    assert found.take() is None
    assert found.left
    found.ended(made.id, set(keys(made)))
    assert not found.left


def test_a_failed_trial_is_tried_again_by_itself_after_all_others_and_given_up_in_the_end() -> None:
    found = work()
    made = taken(found)
    broken = keys(made)[0]
    assert found.failed(made.id, {broken: "why"}) == []
    others = []
    while keys(again := taken(found)) != [broken]:
        others += keys(again)
    assert len(others) == 15
    assert found.failures == {broken: "why"}
    assert found.failed(again.id, {broken: "why again"}) == [broken]
    assert found.take() is None


def test_a_trial_that_succeeds_after_a_failure_has_failed_no_more() -> None:
    found = work(pack=20, slots=1)
    made = taken(found)
    broken = keys(made)[0]
    found.failed(made.id, {broken: "why"})
    found.ended(made.id, set(keys(made)) - {broken})
    again = taken(found)
    found.ended(again.id, {broken})
    assert not found.failures
    assert not found.left


def test_of_a_dead_workers_list_the_pack_it_trained_is_suspected_and_the_rest_waits_again() -> None:
    found = Work(Resources(pack=1), 1, 1)
    found.add(TWENTY)
    made = taken(found)
    assert len(made.packs) > 1
    death = found.died(made.id, "gone")
    assert list(death.errors) == keys(made)[:1]
    assert death.not_begun == len(keys(made)) - 1
    assert death.given_up == []
    assert found.attempts[keys(made)[0]] == 1  # it was alone: an attempt of its own


def test_of_a_pack_of_several_none_is_blamed_but_each_is_tried_alone() -> None:
    found = work(pack=20, slots=1)
    made = taken(found)
    death = found.died(made.id, "gone")
    assert len(death.errors) == 20
    assert not found.attempts
    alone = [keys(taken(found)) for _ in range(20)]
    assert sorted(key for [key] in alone) == sorted(trial.key for trial in TWENTY)
