"""Is it just a learning rate?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from robustness.errors import SpecError
from robustness.summary.cubes import Cube
from robustness.summary.resampled import Resampled
from robustness.summary.shift import ShiftInfo, best_shifts, shift_info, verdict
from tests.summary.frames import FACTS

LOGS = np.arange(-12, 4) / 3  # three a decade


def bump(center: float, width: float = 1.0, height: float = 0.85) -> np.ndarray:
    return 0.1 + height * np.clip(2 - np.abs(LOGS - center) / width, 0, 1)


def cube(optimizer: str, curve_L: np.ndarray, noise: float = 0.0, seeds: int = 6, **changes: Any) -> Cube:
    rng = np.random.default_rng(len(optimizer))
    score_SIL = curve_L + noise * rng.normal(size=(seeds, 2, len(curve_L)))
    ones = np.ones_like(score_SIL)
    plain = {
        "task": "t",
        "optimizer": optimizer,
        "inits": ("i", "j"),
        "lrs_L": 10.0 ** LOGS[: len(curve_L)],
        "seeds_S": np.arange(seeds),
        "binned": False,
        "score_SIL": score_SIL,
        "selection_SIL": score_SIL,
        "skill_SIL": score_SIL,
        "loss_SIL": ones,
        "trained_SIL": ones,
        "diverged_SIL": 0 * ones,
        "nonfinite_SIL": 0 * ones,
        "blowup_SIL": 0 * ones,
        "stalled_SIL": 0 * ones,
        "designed_L": np.ones(len(curve_L), dtype=bool),
    }
    return Cube(**{**plain, **changes})


class OneTask:
    facts = {"t": FACTS}  # noqa: RUF012

    def __init__(self, *cubes: Cube) -> None:
        self.resamples = [Resampled(cube=cube, constants=FACTS, draws=200) for cube in cubes]


def shifted(a: Cube, b: Cube) -> ShiftInfo:
    study: Any = OneTask(a, b)
    return shift_info(study, "a", b.optimizer, "t")


def test_a_shifted_copy_is_found_and_nothing_remains() -> None:
    info = shifted(cube("a", bump(-1)), cube("b", bump(-2)))
    assert info.shift.value == pytest.approx(1.0)
    assert info.remaining.value == pytest.approx(0, abs=1e-9)
    assert info.before.value > 0.1
    assert info.window.value == info.tuned.value == 0
    assert verdict(info).startswith("Mostly a learning rate: a shift of +1.00 decades of b leaves 0 %")


def test_a_wider_window_is_not_just_a_learning_rate() -> None:
    info = shifted(cube("a", bump(-1.5, 1.4), 0.01), cube("b", bump(-2, 0.7), 0.01))
    assert info.window.value > 0.5
    assert info.window.low > 0
    assert info.remaining.value > 0.05
    assert verdict(info).startswith("Not just a learning rate")
    assert "windows differ by +" in verdict(info)


def test_an_optimizer_that_trains_in_a_minority_of_seeds_has_the_narrower_window() -> None:
    trains = np.arange(6)[:, None, None] < 2
    fragile = np.where(trains, np.broadcast_to(bump(-1), (6, 2, len(LOGS))), 0.1)
    info = shifted(cube("a", bump(-1)), cube("b", bump(-1), score_SIL=fragile, selection_SIL=fragile))
    assert info.window.value > 0.3


def test_equal_curves_need_no_shift() -> None:
    info = shifted(cube("a", bump(-1)), cube("b", bump(-1)))
    assert (info.shift.value, info.shift.low, info.shift.high) == (0, 0, 0)
    assert "no shift" in verdict(info)


def test_of_equally_good_shifts_the_smallest_counts() -> None:
    flat = np.full(len(LOGS), 0.5)
    assert shifted(cube("a", flat), cube("b", flat)).shift.value == 0


def test_the_shift_varies_with_the_seeds_and_its_interval_holds_it() -> None:
    info = shifted(cube("a", bump(-1), 0.03), cube("bb", bump(-2), 0.03))
    assert info.shift.low <= info.shift.value <= info.shift.high
    assert info.shift.value == pytest.approx(1, abs=0.2)
    assert info.remaining.value < info.before.value


def test_two_tails_at_chance_are_no_agreement() -> None:
    logs = np.arange(6.0)
    a = np.array([[[0.9, 0.1, 0.1, 0.1, 0.1, 0.1]]])
    b = np.array([[[0.1, 0.1, 0.1, 0.1, 0.1, 0.5]]])
    shifts, gaps = best_shifts(logs, a, logs, b)
    assert (gaps > 0.01).all()
    assert np.abs(shifts).max() < 4


def test_another_grid_is_interpolated_and_the_overlap_is_half_of_the_shorter_one() -> None:
    logs = np.array([0.0, 1.0, 2.0])
    shifts, _ = best_shifts(logs, np.array([[[0.1, 0.9, 0.1]]]), logs, np.array([[[0.1, 0.9, 0.1]]]))
    assert np.abs(shifts).max() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inits": ("k", "l")}, "share no initialization"),
        ({"seeds_S": np.arange(10, 16)}, "share no seed"),
        ({"score_SIL": np.full((6, 2, len(LOGS)), math.nan)}, "fewer than two learning rates"),
        ({"lrs_L": 10.0 ** (LOGS + 50)}, "overlap too little"),
        ({"score_SIL": np.full((6, 2, len(LOGS)), FACTS.chance)}, "no learning rate of b trains"),
    ],
)
def test_what_cannot_be_compared_says_why(changes: dict[str, Any], message: str) -> None:
    info = shifted(cube("a", bump(-1)), cube("b", bump(-1), **changes))
    assert message in info.note
    assert math.isnan(info.shift.value)
    assert verdict(info).startswith("It cannot be told")


def test_nothing_is_said_of_two_optimizers_that_do_not_train() -> None:
    flat = np.full(len(LOGS), FACTS.chance)
    info = shifted(cube("a", flat), cube("b", flat))
    assert info.note == "no learning rate of a or b trains"
    assert verdict(info).startswith("It cannot be told")
    trains = np.arange(6)[:, None, None] < 2
    fragile = np.where(trains, np.broadcast_to(bump(-1), (6, 2, len(LOGS))), FACTS.chance)
    info = shifted(*(cube(name, flat, score_SIL=fragile, selection_SIL=fragile) for name in "ab"))
    assert info.note == "most seeds train at no learning rate of a or b"


def test_one_seed_has_a_shift_without_an_interval() -> None:
    info = shifted(cube("a", bump(-1), seeds=1), cube("b", bump(-2), seeds=1))
    assert info.shift.value == pytest.approx(1.0)
    assert math.isnan(info.shift.low)
    assert verdict(info).startswith("Without intervals")


def test_learning_rates_drawn_at_random_are_not_paired() -> None:
    info = shifted(cube("a", bump(-1), binned=True), cube("b", bump(-2), seeds=4, binned=True))
    assert info.shift.value == pytest.approx(1.0)
    assert not info.paired
    assert not info.paired
    assert info.seeds == 4


def test_a_large_remainder_is_said_to_be_little_explained() -> None:
    a = cube("a", np.where(np.arange(len(LOGS)) % 2, 0.9, 0.8), 0.0)
    b = cube("b", np.where(np.arange(len(LOGS)) % 3, 0.9, 0.8), 0.0)
    text = verdict(shifted(a, b))
    assert "learning rate" in text


def test_an_unknown_optimizer_is_refused_with_the_nearest() -> None:
    study: Any = OneTask()
    with pytest.raises(SpecError, match="nothing complete"):
        shift_info(study, "a", "x", "t")
