"""One optimizer against another, on studies whose answer is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from robustness.bench.null_studies import simulated_pair
from robustness.errors import SpecError
from robustness.spec import COMPARABLE
from robustness.summary import Delta, measure
from robustness.summary.comparison.comparing import compare, compare_all, compare_cell
from robustness.summary.comparison.contrasts import CONTRASTS
from robustness.summary.comparison.testing import compared
from robustness.summary.flags import Flag, Remark, has_flag
from robustness.wording.comparisons import sentence
from tests.summary.comparison.ruled import LRS, grid_rows, shifted, study, worse
from tests.summary.frames import AT_CHANCE, BLOWUP


def test_every_metric_of_a_claim_can_be_compared() -> None:
    assert set(CONTRASTS) == set(COMPARABLE)


@pytest.mark.parametrize("metric", ["divergence_rate", "margin", "lr_sensitivity"])
def test_ten_times_smaller_steps_are_no_robustness(metric: str) -> None:
    """In each one's own units there is no difference; at nominal learning rates there is a large one."""
    lrs = tuple(10.0 ** (k / 2) for k in range(-10, 5))
    [found] = compare(study(grid_rows(shifted, lrs=lrs)), "a", "b", metric)
    assert found.difference == pytest.approx(0, abs=1e-9)
    assert not found.tells
    assert found.needed is None
    if metric == "divergence_rate":
        assert found.nominal is not None
        assert abs(found.nominal.difference) > 0.05
        assert found.disagrees
        assert "the units of the two learning rates decide" in sentence(found)


@pytest.mark.parametrize("metric", ["score", "skill", "tolerance_window"])
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
        assert one.difference == pytest.approx(-other.difference, nan_ok=True)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12, nan_ok=True)
        assert one.p == pytest.approx(other.p, nan_ok=True)
        assert one.resolution == pytest.approx(other.resolution, nan_ok=True)


def test_a_difference_is_told_by_eight_seeds() -> None:
    [found] = compare(study(grid_rows(worse)), "a", "b", "score")
    assert found.difference == pytest.approx(-0.05)
    assert (found.n, found.test) == (8, "t test")
    assert found.tells
    assert found.needed is None
    assert sentence(found).startswith("On t, a scores lower, tuned, than b. ")


def test_interval_and_p_are_of_the_same_t() -> None:
    rng = np.random.default_rng(0)
    noise = {(o, s): 0.01 * rng.normal() for o in ("a", "b") for s in range(8)}

    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        score = 0.9 + noise[optimizer, seed] - 0.02 * abs(math.log10(lr) + 2)
        return {"validation_accuracy": score, "test_accuracy": score}

    [found] = compare(study(grid_rows(rule)), "a", "b", "score")
    differences = [noise["a", seed] - noise["b", seed] for seed in range(8)]
    expected = stats.ttest_1samp(differences, 0)
    low, high = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.05, abs=1e-3)
    assert found.p == pytest.approx(expected.pvalue, rel=0.2)
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_a_difference_within_half_a_step_of_the_grid_is_not_told_whatever_the_p() -> None:
    [told] = compare(study(grid_rows(worse)), "a", "b", "margin")
    found = replace(told, remarks=(Remark(Flag.NOT_RESOLVED, (1.0,)),))
    assert told.tells
    assert not found.tells
    assert "so this grid cannot resolve it" in sentence(found)


def test_the_same_optimizer_in_another_unit_is_not_told_from_itself() -> None:
    """tests/data/statistics/unit.csv of the design: 2.0 points, p = 0.0034, were told for these twenty seeds."""
    rng = np.random.default_rng(3)
    for unit in (0.05, 0.1, 0.125):
        a, b = simulated_pair(rng, 20, unit=unit, draws=400)
        for metric in ("divergence_rate", "margin", "tolerance_window", "lr_sensitivity", "not_trained_rate"):
            assert not compared(metric, a, b).tells, (metric, unit)


def test_a_critical_learning_rate_twice_as_high_is_told() -> None:
    a, b = simulated_pair(np.random.default_rng(1), 20, critical=0.4, draws=400)
    assert compared("margin", a, b).tells
    assert compared("divergence_rate", a, b).tells


def test_initializations_that_differ_in_opposite_directions_are_not_pooled_into_none() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        edge = -0.7 if (optimizer, init) in (("a", "i"), ("b", "j")) else -2.2
        score = 0.95 - 0.05 * abs(math.log10(lr) + 3.5)
        if math.log10(lr) > edge + 0.5 * (seed == 0):
            return BLOWUP
        return {"validation_accuracy": score, "test_accuracy": score}

    [found] = compare(study(grid_rows(rule)), "a", "b", "margin")
    assert [one.sign for one in found.inits] == [1, -1]
    assert has_flag(found.remarks, Flag.OPPOSITE_SIGNS)
    assert not found.tells
    assert not found.is_equivalent
    assert "differ in opposite directions by initialization" in sentence(found)


def test_an_alignment_that_misses_every_failure_gives_no_verdict() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        if optimizer == "b":
            return AT_CHANCE if math.log10(lr) < -1.2 else {}
        return BLOWUP if math.log10(lr) > 0.3 else {}

    [found] = compare(study(grid_rows(rule)), "a", "b", "divergence_rate")
    assert found.a_value == found.b_value == 0
    assert has_flag(found.remarks, Flag.LITTLE_OVERLAP)
    assert not found.tells
    assert not found.is_equivalent


@pytest.mark.parametrize("metric", ["divergence_rate", "margin", "tolerance_window", "lr_sensitivity"])
def test_a_number_that_rests_on_a_missing_square_is_not_stated(metric: str) -> None:
    """With tests/data/statistics/missingsquare.csv windows of 1.33 and 2.00 were told apart, p = 0.031."""
    square = ("a", "i", LRS[3])
    rows = [row for row in grid_rows(shifted) if (row["optimizer"], row["init"], row["lr"]) != square]
    [found] = compare(study(rows), "a", "b", metric)
    assert math.isnan(found.difference)
    assert found.remarks == (Remark(Flag.MISSING_SQUARE, (0,)),)
    assert sentence(found).endswith("a lacks a square that the number rests on.")


@pytest.mark.parametrize("metric", ["divergence_rate", "margin"])
def test_a_learning_rate_that_is_missing_everywhere_makes_the_grid_coarser(metric: str) -> None:
    rows = [row for row in grid_rows(worse) if (row["optimizer"], row["lr"]) != ("a", LRS[3])]
    [whole], [gap] = (compare(study(part), "a", "b", metric) for part in (grid_rows(worse), rows))
    assert gap.resolution > 1.5 * whole.resolution


@pytest.mark.parametrize("metric", ["divergence_rate", "not_trained_rate", "margin", "score"])
def test_an_optimizer_that_trains_nowhere_diverges_less_often_than_none(metric: str) -> None:
    trials = study(grid_rows(lambda o, *_: AT_CHANCE if o == "a" else {}))
    [found] = compare(trials, "a", "b", metric)
    assert found.remarks == (Remark(Flag.NOTHING_TRAINS, (0,)),)


def test_scores_are_of_the_seeds_that_train_with_both() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return BLOWUP if optimizer == "a" and seed == 0 else worse("b", init, lr, seed)

    [found] = compare(study(grid_rows(rule, inits=["i"])), "a", "b", "score")
    assert found.difference == 0
    assert Remark(Flag.SOME_SEEDS_FAILED, (1, 8)) in found.remarks
    assert "1 pair of 8 are left out" in sentence(found)


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
    assert "after Holm's correction over 4 comparisons" in sentence(both[0])
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
    lrs = tuple(10.0 ** (k / 2) for k in range(-10, 5))
    for found in compare_all(study(grid_rows(shifted, lrs=lrs)), "a", "b", COMPARABLE):
        assert found.difference == pytest.approx(found.a_value - found.b_value, abs=1e-12)
        assert found.low <= found.difference <= found.high
        json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_windows_that_both_touch_the_edge_have_no_difference() -> None:
    [found] = compare(study(grid_rows(worse)), "a", "b", "tolerance_window")
    assert math.isnan(found.difference)
    assert "neither width is known" in sentence(found)
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
    [design] = compare(study(grid_rows(shifted)), "a", "b", "lr_sensitivity", init="i")
    measured = measure(study(rows, spec=spec), metrics=["lr_sensitivity"])
    whole = [row.value for row in measured if row.init == "i" and row.at.startswith("whole")]
    assert found.nominal is not None
    assert (found.a_value, found.b_value) == pytest.approx((design.a_value, design.b_value))
    assert found.nominal.difference == pytest.approx(whole[0] - whole[1])
    assert "3 learning rates that a sampler added to a do not count" in sentence(found).lower()


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
    assert "most seeds of a train at no learning rate: a window of 0" in sentence(found).lower()


def test_seeds_that_agree_leave_doubt_of_half_a_trial() -> None:
    """Of three seeds that agree the difference was 25.0 % [25.0, 25.0]."""
    trials = study(grid_rows(worse, seeds=(1, 2, 3)))
    [found] = compare(trials, "a", "b", "divergence_rate")
    assert found.low < found.difference < found.high
    assert all(one.low < one.difference < one.high for one in found.inits)


# -- a single cell ---------------------------------------------------------------------------------


def test_a_single_cell_has_newcombes_interval_and_mcnemars_test() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return BLOWUP if (optimizer == "a" and seed < 7) or seed == 0 else {}

    trials = study(grid_rows(rule, inits=["i"], seeds=range(10)))
    [found] = compare_cell(trials, "a", "b", "divergence_rate", lr=0.1)
    assert (found.n, found.test) == (10, "exact McNemar test")
    assert found.difference == pytest.approx(0.6)
    assert found.p == pytest.approx(2 / 2**6)
    assert "6 seeds fail only with a, 0 only with b" in sentence(found)
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
    asked = {"a": "a", "b": "b", "metric": "divergence_rate", "lr": 0.1, "init": "i"} | changes
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
