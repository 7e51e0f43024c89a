"""Work: lists of packs, what comes of them, what is tried again."""

from __future__ import annotations

from pathlib import Path

from robustness.spec import Resources
from robustness.sweep.packing import FIRST
from robustness.sweep.work import PackList, Work
from robustness.trial import Trial
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


GPU = Resources(gpus=0.25)
HUNDRED = trials(search={"lr": [0.1, 1.0], "seeds": 50})
MOMENTUM = trials(
    optimizers=[{"name": "sgd", "momentum": 0.9}], search={"lr": [0.1, 1.0], "seeds": 50, "init": ["default"]}
)


def on_gpus(*found: list[Trial], slots: int = 2) -> Work:
    made = Work(GPU, slots, 1)
    for some in found:
        made.add(some)
    return made


def sizes_of_the_rest(found: Work) -> list[int]:
    sizes = []
    while (made := found.take()) is not None:
        assert not made.measure
        sizes += [len(pack.trials) for pack in made.packs]
        found.ended(made.id, set(keys(made)))
    assert not found.left
    return sizes


def test_on_a_gpu_one_pack_of_each_kind_goes_out_to_be_measured_and_the_others_wait_for_it() -> None:
    found = on_gpus(HUNDRED, MOMENTUM)
    plain, momentum = taken(found), taken(found)
    assert [len(keys(made)) for made in (plain, momentum)] == [FIRST, FIRST]
    assert plain.measure
    assert momentum.measure
    assert found.config(plain, Path())["measure"]
    assert found.config(plain, Path())["gpus"] == 0.25
    assert found.take() is None
    assert found.left
    found.measured(plain.id, 31)
    found.ended(plain.id, set(keys(plain)))
    assert [len(pack.trials) for pack in taken(found).packs] == [30]  # 92 in packs of up to 31, evenly
    assert {t.cell.optimizer.family for p in taken(found).packs for t in p.trials} == {
        HUNDRED[0].cell.optimizer.family
    }


def test_what_was_measured_sizes_every_later_pack_of_the_kind() -> None:
    found = on_gpus(HUNDRED)
    first = taken(found)
    found.measured(first.id, 40)  # an epoch is enough: the first pack is still trained
    second = taken(found)
    assert [len(pack.trials) for pack in second.packs] == [30]
    found.ended(first.id, set(keys(first)))
    found.ended(second.id, set(keys(second)))
    found.add(MOMENTUM[:0] + HUNDRED[:80])  # what a sampler asks for later
    assert sizes_of_the_rest(found) == [31, 31, 40, 40]


def test_a_first_pack_that_ends_without_a_measure_is_followed_by_another() -> None:
    found = on_gpus(HUNDRED, slots=1)
    dead = taken(found)
    found.died(dead.id, "gone")
    failed = taken(found)
    assert failed.measure
    found.failed(failed.id, dict.fromkeys(keys(failed), "why"))
    measured = taken(found)
    assert measured.measure
    assert not set(keys(measured)) & {*keys(dead), *keys(failed)}
    found.measured(measured.id, 200)
    found.ended(measured.id, set(keys(measured)))
    assert sizes_of_the_rest(found) == [100 - 3 * FIRST] + [1] * 2 * FIRST  # what failed is tried by itself


def test_few_trials_are_not_measured_and_of_several_packs_that_fit_one_none_loses_its_technique() -> None:
    found = on_gpus(HUNDRED[: 2 * FIRST])
    assert sizes_of_the_rest(found) == [FIRST, FIRST]
    tight = on_gpus(HUNDRED)
    first = taken(tight)
    tight.measured(first.id, 1)
    assert {(pack.technique, len(pack.trials)) for pack in taken(tight).packs} == {("feature-major", 1)}


def test_a_size_that_is_given_is_not_measured() -> None:
    found = Work(Resources(gpus=1.0, pack=50), 2, 1)
    found.add(HUNDRED)
    assert sizes_of_the_rest(found) == [50, 50]
