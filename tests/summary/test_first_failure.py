"""The interval of a first failure where learning rates were chosen by edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.summary.flags import Flag, Remark
from robustness.summary.metrics import Chosen, critical_lrs, estimates_from_ends, lowest_first_failure
from robustness.summary.resampling import Resamples, estimates, quantile

CHOSEN = Chosen(resolution=0.05, top=5.0)
LRS = np.asarray(10.0 ** (0.05 * np.arange(101)), dtype=np.float64)


def low_place(trained_SL: np.ndarray, lrs_L: np.ndarray = LRS) -> np.ndarray:
    """The low ends as places on the lattice."""
    critical = critical_lrs(trained_SL, lrs_L, CHOSEN)
    return np.asarray(lowest_first_failure(trained_SL, lrs_L, critical, CHOSEN) / 0.05)


def row(**places: str) -> np.ndarray:
    """One seed: places that trained, and places that did not."""
    trained_SL = np.full((1, 101), math.nan)
    trained_SL[0, [int(k) for k in places["trained"].split()]] = 1.0
    trained_SL[0, [int(k) for k in places["failed"].split()]] = 0.0
    return trained_SL


def test_where_all_five_places_below_the_first_failure_train_it_is_known() -> None:
    assert low_place(row(trained="40 55 56 57 58 59", failed="60")) == pytest.approx(60)


def test_an_untried_place_next_to_the_first_failure_is_the_low_end() -> None:
    assert low_place(row(trained="40 55 57 58 59", failed="60")) == pytest.approx(56)
    assert low_place(row(trained="40 59", failed="60")) == pytest.approx(55)


def test_the_further_up_training_works_again_the_lower_a_failure_may_lie() -> None:
    assert low_place(row(trained="40 55 56 57 58 59 66", failed="60")) == pytest.approx(52)


def test_a_failure_below_where_training_begins_is_none() -> None:
    assert low_place(row(trained="57 59", failed="60")) == pytest.approx(58)


def test_a_row_without_a_known_end_has_no_low_end_and_one_that_trains_to_the_top_ends_beyond() -> None:
    assert np.isnan(low_place(row(trained="", failed="0 20 40")))
    assert np.isnan(low_place(row(trained="40", failed="60")))
    assert low_place(row(trained="40 60 80 100", failed=""))[0] == math.inf
    assert np.isnan(low_place(np.full((1, 101), math.nan)))


def test_learning_rates_that_no_seed_tried_count_as_untried() -> None:
    lrs_L = LRS[[40, 59, 60]]
    critical = critical_lrs(np.array([[1.0, 1.0, 0.0]]), lrs_L, CHOSEN)
    low = lowest_first_failure(np.array([[1.0, 1.0, 0.0]]), lrs_L, critical, CHOSEN)
    assert low == pytest.approx(55 * 0.05)


def test_the_first_failure_of_a_grid_is_known() -> None:
    trained_SL = np.array([[1.0, 0.0, 1.0], [1.0, math.nan, 0.0]])
    critical = critical_lrs(trained_SL, LRS[:3])
    assert lowest_first_failure(trained_SL, LRS[:3], critical, None) is critical.first_not_trained


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=30, max_size=30), min_size=1))
def test_the_low_end_is_above_a_place_that_trains_and_never_above_the_first_failure(
    rows: list[list[float]],
) -> None:
    trained_SL = np.array(rows)
    critical = critical_lrs(trained_SL, LRS[:30], CHOSEN)
    low_S = lowest_first_failure(trained_SL, LRS[:30], critical, CHOSEN)
    is_known_S = ~np.isnan(critical.first_not_trained)
    assert (np.isnan(low_S) == ~is_known_S).all()
    assert (low_S[is_known_S] <= critical.first_not_trained[is_known_S]).all()
    begins_S = np.argmax(trained_SL == 1, axis=1) * 0.05
    assert (low_S[is_known_S] > begins_S[is_known_S]).all()


def test_an_interval_begins_where_that_of_the_low_ends_does_and_ends_where_that_of_the_high_ends_does() -> (
    None
):
    resamples = Resamples.of(10, np.random.default_rng(0))
    high_S = np.random.default_rng(1).normal(size=(10, 1))
    low_S = high_S - np.array([[0.0], [0.3]] * 5)
    low_R, high_R = (quantile(logs_S, resamples)[:, 0] for logs_S in (low_S, high_S))
    [both] = estimates_from_ends([low_R], [high_R], (10,))
    low, high = estimates([low_R, high_R], (10,))
    assert (both.value, both.low, both.high) == (high.value, low.low, high.high)
    assert both.low < high.low


def test_ends_of_one_seed_have_no_interval() -> None:
    [estimate] = estimates_from_ends([np.array([0.1])], [np.array([0.2])], (1,))
    assert (estimate.value, estimate.remarks) == (0.2, (Remark(Flag.ONE_SEED),))
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
