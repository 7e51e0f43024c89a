"""One optimizer against another where much is missing: nothing fails, and what is not known is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from robustness.spec import COMPARABLE
from robustness.summary import TaskConstants
from robustness.summary.comparison.comparing import compare, compare_all, compare_cell
from robustness.summary.comparison.contrasts import RATES
from robustness.summary.flags import Flag, Remark, has_flag
from robustness.wording.comparisons import amount, sentence
from tests.summary.comparison.ruled import LRS, Rule, grid_rows, study, worse
from tests.summary.frames import AT_CHANCE, BLOWUP, NONFINITE


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
        assert found.remarks or not math.isnan(found.difference)
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
    assert "of 1 seed" in sentence(found)
    assert "(no interval; no test)" in sentence(found)


def test_an_optimizer_that_diverges_everywhere_cannot_be_aligned() -> None:
    [found] = compare(study(ODD["one diverged"]()), "a", "b", "divergence_rate")
    assert found.remarks == (Remark(Flag.NOTHING_TRAINS, (1,)),)
    assert sentence(found) == "On t, a and b cannot be compared by divergence_rate: b trains nowhere."


def test_what_cannot_be_paired_says_why() -> None:
    for name, words in (
        ("no common seeds", "no seed is complete for both"),
        ("no common initialization", "no common initialization"),
        ("drawn learning rates", "drawn at random"),
        ("one with nothing complete", "no trial of b is complete"),
    ):
        [found] = compare(study(ODD[name]()), "a", "b", "score")
        assert words in sentence(found)
        assert found.as_json()["difference"] is None


def test_missing_trials_are_counted() -> None:
    [found] = compare(study(ODD["missing trials"]()), "a", "b", "score")
    assert has_flag(found.remarks, Flag.MISSING_TRIALS)
    assert "trials of the grid are missing" in sentence(found)


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
            assert "a difference of -5 in minus loss" in sentence(found)


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
    assert (found.n, found.remarks) == (0, (Remark(Flag.NO_COMMON_SEED),))


def test_where_training_ends_is_compared_at_nominal_learning_rates() -> None:
    """Every learning rate trains with the first seed alone: the others have no end."""

    def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
        return {} if seed == 0 and lr < (0.05 if optimizer == "a" else 0.5) else BLOWUP

    [found] = compare(study(grid_rows(rule)), "a", "b", "critical_lr")
    assert found.unit == "log10 lr"
    assert "10^-1.00 against 10^0.00" in sentence(found)
    assert "14 of 16 rows of a train nowhere" in sentence(found)


def test_without_a_common_learning_rate_there_is_nothing_nominal() -> None:
    [found] = compare(study(ODD["other grids"]()), "a", "b", "divergence_rate")
    assert found.nominal is None
    assert not math.isnan(found.difference)


def test_amounts_that_are_not_numbers_are_dashes() -> None:
    assert amount(math.nan, "share") == "–"
