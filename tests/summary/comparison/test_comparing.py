"""One optimizer against another, on studies whose answer is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robustness.errors import SpecError
from robustness.spec import COMPARABLE
from robustness.summary import Delta, TaskConstants, measure
from robustness.summary.comparison.comparing import compare, compare_all, compare_cell
from robustness.summary.comparison.contrasts import CONTRASTS, RATES
from robustness.summary.comparison.sentences import amount, sentence
from tests.summary.comparison.ruled import LRS, Rule, grid_rows, study
from tests.summary.frames import AT_CHANCE, BLOWUP, NONFINITE

SHIFT = {"a": 1.0, "b": 10.0}
"""The same optimizer twice: b takes ten times smaller steps at the same learning rate."""


def shifted(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    """Trains from 1e-3 to 0.1 (of a), blows up above, stays at chance below; seeds differ a little at the edge."""
    own = math.log10(lr / SHIFT[optimizer])
    edge = -1.2 if seed % 3 == 0 else -0.7
    if own > edge:
        return BLOWUP
    if own < -3.2:
        return AT_CHANCE
    score = 0.95 - 0.01 * (own + 2) ** 2 + 0.001 * (seed % 4)
    return {"validation_accuracy": score, "test_accuracy": score, "train_loss": 0.1 + 0.1 * (own + 2) ** 2}


def worse(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    """A blows up two grid steps earlier than b, and scores less."""
    edge = -2.1 if optimizer == "a" else -0.7
    if math.log10(lr) > edge - 0.5 * (seed == 0):
        return BLOWUP
    score = (0.90 if optimizer == "a" else 0.95) + 0.001 * (seed % 3)
    return {"validation_accuracy": score, "test_accuracy": score}


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


# -- nothing fails ---------------------------------------------------------------------------------


def dead(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    return NONFINITE


def half_dead(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    return NONFINITE if optimizer == "b" else worse(optimizer, init, lr, seed)


def patchy(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    hole = hash((optimizer == "a", init == "i", round(100 * math.log10(lr)), seed)) % 3 == 0
    return {"state": "failed"} if hole else worse(optimizer, init, lr, seed)


def one_init_dead(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    return AT_CHANCE if (optimizer, init) == ("a", "j") else worse(optimizer, init, lr, seed)


def lrs_apart(rule: Rule = worse) -> list[dict[str, Any]]:
    coarse = grid_rows(rule, optimizers=["a"], lrs=[1e-4, 3e-3, 1e-1])
    return coarse + grid_rows(rule, optimizers=["b"], lrs=[2e-4 * 3.0**k for k in range(9)])


ODD: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "one seed": lambda: grid_rows(worse, seeds=[3]),
    "two seeds": lambda: grid_rows(worse, seeds=[3, 4]),
    "all diverged": lambda: grid_rows(dead),
    "one diverged": lambda: grid_rows(half_dead),
    "all alike": lambda: grid_rows(lambda *_: {}),
    "one dead initialization": lambda: grid_rows(one_init_dead),
    "no common seeds": lambda: (
        grid_rows(worse, optimizers=["a"], seeds=range(4))
        + grid_rows(worse, optimizers=["b"], seeds=range(4, 8))
    ),
    "other seeds too": lambda: (
        grid_rows(worse, optimizers=["a"], seeds=range(9))
        + grid_rows(worse, optimizers=["b"], seeds=range(3, 8))
    ),
    "no common initialization": lambda: (
        grid_rows(worse, optimizers=["a"], inits=["i"]) + grid_rows(worse, optimizers=["b"], inits=["j"])
    ),
    "other initializations too": lambda: (
        grid_rows(worse, optimizers=["a"], inits=["i", "j"])
        + grid_rows(worse, optimizers=["b"], inits=["k", "j"])
    ),
    "other grids": lrs_apart,
    "other grids, all diverged": lambda: lrs_apart(dead),
    "one learning rate": lambda: grid_rows(worse, lrs=[1e-3]),
    "missing trials": lambda: grid_rows(patchy),
    "nothing complete": lambda: grid_rows(lambda *_: {"state": "waiting"}),
    "one with nothing complete": lambda: grid_rows(lambda o, *_: {"state": "waiting"} if o == "b" else {}),
    "a learning rate a seed": lambda: [
        row for s in range(50) for row in grid_rows(worse, lrs=[10.0 ** (-4 + s / 13)], seeds=[s])
    ],
    "drawn learning rates": lambda: [
        row
        for s in range(50)
        for o, nudge in (("a", 0.0), ("b", 0.03))
        for row in grid_rows(worse, [o], ["i"], [10.0 ** (-4 + s / 13 + nudge)], [s])
    ],
}


@pytest.mark.parametrize("name", ODD)
def test_nothing_fails_on_odd_studies(name: str) -> None:
    trials = study(ODD[name]())
    pooled = compare_all(trials, "a", "b", COMPARABLE)
    for found in pooled + compare(trials, "a", "b", "divergence_rate", each_init=True):
        assert sentence(found).endswith(".")
        assert "nan" not in sentence(found).lower()
        assert math.isnan(found.p) or 0 < found.p <= found.p_holm <= 1
        assert found.note or not math.isnan(found.difference)
        if not math.isnan(found.low):
            assert found.low <= found.difference <= found.high


def test_a_cell_with_missing_seeds_has_fewer_pairs() -> None:
    trials = study(ODD["missing trials"]())
    for metric in RATES:
        [found] = compare_cell(trials, "a", "b", metric, lr=LRS[3], init="i")
        assert 0 < found.n < 8


def test_one_seed_has_no_interval_and_no_test() -> None:
    [found] = compare(study(ODD["one seed"]()), "a", "b", "divergence_rate")
    assert (found.n, found.test) == (1, "")
    assert math.isnan(found.p)
    assert "no interval, 1 seed; no test" in sentence(found)


def test_without_a_common_window_rates_are_compared_at_nominal_learning_rates() -> None:
    [found] = compare(study(ODD["one diverged"]()), "a", "b", "divergence_rate")
    assert not found.relative
    assert "no window on which both train" in found.note
    assert found.b_value == 1


def test_where_a_window_lies_at_learning_rates_that_were_added_rates_are_compared_at_nominal_ones() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return {} if lr == (100.0 if optimizer == "a" else 1e-3) else BLOWUP

    rows = [
        row | {"reason": "" if row["lr"] < 10 else "optimum at the upper edge"}
        for row in grid_rows(rule, lrs=(1e-3, 1.0, 100.0))
    ]
    [found] = compare(study(rows, spec={"search": {"sampler": "refine"}}), "a", "b", "divergence_rate")
    assert (found.relative, found.points, found.difference) == (False, 2, 0.5)
    assert "no learning rates lie as far from the middle of each one's window" in found.note


def test_what_cannot_be_paired_says_why() -> None:
    for name, words in (
        ("no common seeds", "no common seeds"),
        ("no common initialization", "no common initialization"),
        ("drawn learning rates", "drawn at random"),
        ("one with nothing complete", "no trial of b is complete"),
    ):
        [found] = compare(study(ODD[name]()), "a", "b", "score")
        assert words in sentence(found)
        assert found.as_json()["difference"] is None


def test_missing_trials_are_counted() -> None:
    [found] = compare(study(ODD["missing trials"]()), "a", "b", "divergence_rate")
    assert "squares of seeds have no trial" in found.note


def test_a_task_that_is_scored_by_its_loss_is_compared_in_losses() -> None:
    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        loss = 30.0 + (5.0 if optimizer == "a" else 0.0) + abs(math.log10(lr) + 2) + 0.01 * seed
        none = {"test_accuracy": math.nan, "validation_accuracy": math.nan}
        return {**none, "test_loss": loss, "validation_loss": loss, "train_loss": loss, "l0": 60.0}

    facts = TaskConstants(chance=-52.7, constant_loss=52.7, reference=-25.0, test_size=None, score="loss")
    for found in compare_all(study(grid_rows(rule), facts), "a", "b", COMPARABLE):
        assert not math.isnan(found.difference), found
        if found.metric == "score":
            assert found.difference == pytest.approx(-5)
            assert "of -5 in minus loss" in sentence(found)


def test_an_unknown_default_learning_rate_is_said() -> None:
    trials = study(grid_rows(worse), optimizers={"a": {"name": "sgd"}, "b": {}})
    [found] = compare(trials, "a", "b", "expected_score")
    assert "default learning rate of b is not known" in sentence(found)


def test_swapping_two_equal_optimizers_seeds_is_rarely_taken_for_a_difference() -> None:
    """Two optimizers that are one: tuned, shifted and tested, at most one in twenty looks different."""
    found = []
    for repeat in range(30):
        rng = np.random.default_rng(repeat)
        noise = {(o, s): rng.normal() for o in ("a", "b") for s in range(8)}

        def rule(o: str, i: str, lr: float, s: int, noise: dict[Any, float] = noise) -> dict[str, Any]:
            return BLOWUP if math.log10(lr) > -1 + 0.6 * noise[o, s] else {}

        found += compare(study(grid_rows(rule, inits=["i"])), "a", "b", "divergence_rate")
    assert sum(row.tells for row in found) <= 5


def test_a_cell_without_pairs_says_so() -> None:
    trials = study(
        grid_rows(lambda o, i, lr, s: {"state": "failed"} if (o == "a") == (lr > 0.05 and s % 2 == 0) else {})
    )
    [found] = compare_cell(trials, "a", "b", "divergence_rate", lr=0.1, init="i")
    assert (found.n, found.note) == (0, "no seed is complete for both")


def test_where_training_ends_is_nominal_without_a_common_window() -> None:
    """Every learning rate trains with the first seed alone: there is a critical one and no window."""

    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return {} if seed == 0 and lr < (0.05 if optimizer == "a" else 0.5) else BLOWUP

    [found] = compare(study(grid_rows(rule)), "a", "b", "critical_lr")
    assert (found.unit, found.n) == ("log10 lr", 1)
    assert "a stops training at a smaller learning rate than b: 10^-1.00 against 10^0.00" in sentence(found)


def test_without_a_common_learning_rate_there_is_nothing_beside() -> None:
    [found] = compare(study(ODD["other grids"]()), "a", "b", "divergence_rate")
    assert found.relative
    assert "At the same nominal learning rates there is nothing to compare." in sentence(found)


def test_amounts_that_are_not_numbers_are_dashes() -> None:
    assert amount(math.nan, "share") == "–"
