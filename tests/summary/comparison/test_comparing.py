"""One optimizer against another, on studies whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robustness.errors import SpecError
from robustness.spec import COMPARABLE
from robustness.summary import Delta, measure
from robustness.summary.comparison.comparing import compare, compare_all, compare_cell
from robustness.summary.comparison.contrasts import CONTRASTS
from robustness.summary.comparison.sentences import sentence
from tests.summary.comparison.ruled import LRS, grid_rows, shifted, study, worse
from tests.summary.frames import AT_CHANCE, BLOWUP, NONFINITE


def test_every_metric_of_a_claim_can_be_compared() -> None:
    assert set(CONTRASTS) == set(COMPARABLE)


@pytest.mark.parametrize("metric", ["divergence_rate", "critical_lr"])
def test_ten_times_smaller_steps_are_no_robustness(metric: str) -> None:
    """In each one's own units there is no difference; at nominal learning rates there is a large one."""
    [found] = compare(study(grid_rows(shifted)), "a", "b", metric)
    assert found.difference == pytest.approx(0, abs=1e-9)
    assert found.p == 1
    assert found.relative
    assert found.nominal is not None
    assert abs(found.nominal.difference) > (0.5 if metric == "critical_lr" else 0.05)
    assert found.nominal.p < 0.05
    assert found.disagrees
    assert "which disagrees" in sentence(found)


@pytest.mark.parametrize("metric", ["score", "skill", "tolerance_window", "lr_sensitivity"])
def test_what_has_no_unit_of_the_learning_rate_is_the_same_too(metric: str) -> None:
    lrs = tuple(10.0 ** (k / 2) for k in range(-10, 5))
    [found] = compare(study(grid_rows(shifted, lrs=lrs)), "a", "b", metric)
    assert found.difference == pytest.approx(0, abs=1e-9)
    assert found.p == 1
    assert found.needed is None


def test_swapping_the_two_turns_everything_around() -> None:
    trials = study(grid_rows(worse))
    for metric in COMPARABLE:
        [one], [other] = compare(trials, "a", "b", metric), compare(trials, "b", "a", metric)
        assert one.difference == pytest.approx(-other.difference)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
        assert one.p == pytest.approx(other.p)


def test_a_difference_is_told_by_eight_seeds() -> None:
    [found] = compare(study(grid_rows(worse)), "a", "b", "score")
    assert found.difference == pytest.approx(-0.05)
    assert (found.n, found.test, found.p) == (8, "sign-flip test", 2 / 2**8)
    assert found.tells
    assert found.needed is None
    assert "the data tell them apart" in sentence(found)


def test_five_seeds_cannot_tell_whatever_they_show() -> None:
    [found] = compare(study(grid_rows(worse, seeds=range(5))), "a", "b", "score")
    assert found.p == 1 / 16
    assert not found.tells
    assert found.needed == 6
    assert "5 seeds cannot go below p = 0.062, whatever they show; about 6 seeds" in sentence(found)


def test_an_interval_that_holds_0_tells_nothing_whatever_the_test_says() -> None:
    [told] = compare(study(grid_rows(worse)), "a", "b", "score")
    found = replace(told, low=-0.1, high=0.02, relative=True)
    assert found.p_holm < 0.05
    assert not found.tells
    assert (
        "the data cannot tell; the test finds a difference, but the interval, where windows are"
        in sentence(found)
    )


def test_thirteen_seeds_are_compared_by_t() -> None:
    [found] = compare(study(grid_rows(worse, inits=["i"], seeds=range(13))), "a", "b", "score")
    assert found.test == "paired t test"
    assert found.tells


def test_holm_corrects_over_tasks_and_metrics() -> None:
    rows = [row for task in ("t", "u") for row in grid_rows(worse, inits=["i"], task=task)]
    found = compare(study(rows), "a", "b", "score")
    assert [row.task for row in found] == ["t", "u"]
    assert [row.p_holm for row in found] == [2 * row.p for row in found]
    both = compare_all(study(rows), "a", "b", ["score", "skill", "score"])
    assert [(row.metric, row.family) for row in both] == [
        ("score", 4),
        ("score", 4),
        ("skill", 4),
        ("skill", 4),
    ]
    assert "Holm over 4 comparisons" in sentence(both[0])
    [one] = compare(study(rows), "a", "b", "score", task="u")
    assert (one.task, one.family) == ("u", 1)


def test_initializations_are_pooled_or_asked_one_by_one() -> None:
    trials = study(grid_rows(worse))
    [pooled] = compare(trials, "a", "b", "divergence_rate")
    each = compare(trials, "a", "b", "divergence_rate", each_init=True)
    [one] = compare(trials, "a", "b", "divergence_rate", init="j")
    assert (pooled.init, [row.init for row in each], one.init) == (None, ["i", "j"], "j")
    assert pooled.difference == pytest.approx(np.mean([row.difference for row in each]))
    assert one.difference == each[1].difference


def test_the_difference_is_that_of_the_values_and_within_its_interval() -> None:
    for found in compare_all(study(grid_rows(worse)), "a", "b", COMPARABLE):
        assert found.difference == pytest.approx(found.a_value - found.b_value)
        assert found.low <= found.difference <= found.high
        json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_the_same_study_gives_the_same_answer() -> None:
    trials = study(grid_rows(worse))
    assert compare_all(trials, "a", "b", COMPARABLE) == compare_all(trials, "a", "b", COMPARABLE)


def test_learning_rates_that_refine_added_do_not_weigh_in_the_sensitivity() -> None:
    lrs = [*LRS, *(1.2 * LRS[k] for k in (4, 5, 6))]
    rows = [
        row | {"reason": "" if row["lr"] in LRS else "a gap"}
        for row in grid_rows(shifted, lrs=lrs, optimizers=("a", "b"))
    ]
    spec = {"search": {"sampler": "refine"}}
    [found] = compare(study(rows, spec=spec), "a", "b", "lr_sensitivity", init="i")
    measured = measure(study(rows, spec=spec), metrics=["lr_sensitivity"])
    near, whole = (
        [row.value for row in measured if row.init == "i" and row.at.startswith(place)]
        for place in ("a decade", "whole")
    )
    assert found.nominal is not None
    assert [found.a_value, found.b_value] == pytest.approx(near)
    assert found.nominal.difference == pytest.approx(whole[0] - whole[1])
    assert "a without the 3 learning rates that were added" in found.note


def test_a_wider_delta_gives_wider_windows() -> None:
    trials = study(grid_rows(shifted))
    narrow, wide = (
        compare(trials, "a", "b", "tolerance_window", delta=Delta.parse(text))[0] for text in ("0.001", "20%")
    )
    assert narrow.a_value < wide.a_value


def test_a_window_of_0_says_that_most_seeds_do_not_train() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return AT_CHANCE if optimizer == "a" and seed > 2 else worse("b", init, lr, seed)

    [found] = compare(study(grid_rows(rule)), "a", "b", "tolerance_window")
    assert found.a_value == 0
    assert "most seeds train at no learning rate of a on i, j: a window of 0" in found.note


def test_seeds_that_are_all_or_nothing_leave_doubt() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return NONFINITE if optimizer == "a" else {}

    [found] = compare(study(grid_rows(rule)), "a", "b", "nonfinite_rate")
    assert found.difference == 1
    assert found.low < 0.8
    assert "Newcombe" in found.note
    [same] = compare(study(grid_rows(lambda *_: {})), "a", "b", "nonfinite_rate")
    assert same.difference == 0
    assert same.low == pytest.approx(-same.high)
    assert same.high > 0.2


# -- a single cell ---------------------------------------------------------------------------------


def test_a_single_cell_has_newcombes_interval_and_mcnemars_test() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return BLOWUP if (optimizer == "a" and seed < 7) or seed == 0 else {}

    trials = study(grid_rows(rule, inits=["i"], seeds=range(10)))
    [found] = compare_cell(trials, "a", "b", "divergence_rate", lr=0.1)
    assert (found.n, found.test) == (10, "exact McNemar test")
    assert found.difference == pytest.approx(0.6)
    assert found.p == pytest.approx(2 / 2**6)
    assert "6 seeds only with a, 0 only with b" in found.note
    assert "at learning rate 0.1" in sentence(found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "score"}, "a single cell has a rate"),
        ({"lr": 0.2}, "a has none of 0.2; it has 0.0001"),
        ({"init": None}, "is needed beside --lr: one of i, j"),
        ({"a": "c"}, r"there is no 'c'; \(known: a, b\)|there is no 'c'"),
        ({"init": "k"}, "there is no 'k'"),
    ],
)
def test_a_cell_that_is_not_there_is_refused(changes: dict[str, Any], words: str) -> None:
    asked: dict[str, Any] = {
        "a": "a",
        "b": "b",
        "metric": "divergence_rate",
        "lr": 0.1,
        "init": "i",
    } | changes
    with pytest.raises(SpecError, match=words):
        compare_cell(study(grid_rows(worse)), **asked)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a", "momentun", "score"), "did you mean 'momentum'"),
        (("a", "momentum", "scores"), "did you mean 'score'"),
        (("a", "a", "score"), "two different ones"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(names: tuple[str, str, str], words: str) -> None:
    trials = study(grid_rows(lambda *_: {}, optimizers=("a", "momentum")))
    with pytest.raises(SpecError, match=words):
        compare(trials, *names)
    with pytest.raises(SpecError, match="--task"):
        compare(trials, "a", "momentum", "score", task="v")
