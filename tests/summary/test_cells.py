"""Intervals, cells and rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from robustness.summary import wilson
from robustness.summary.grid import SQUARE_COLUMNS
from robustness.summary.intervals import Rate, pooled_rate, pooled_rate_difference
from robustness.summary.tuned_rows import tuned_rows
from tests.summary.frames import AT_CHANCE, BLOWUP, NONFINITE, frame
from tests.summary.studies import study_of


def rate_of(flags: list[np.ndarray]) -> Rate:
    """Of the flags of each seed's trials."""
    hits_S, sizes_S = (np.array([count(block) for block in flags], dtype=np.int64) for count in (np.sum, len))
    return pooled_rate(hits_S, sizes_S, np.arange(len(flags)))


def tables(*rows: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    study = study_of(frame(*rows))
    return study.grid.squares, tuned_rows(study)


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilsons_interval_is_scipys_and_holds_the_rate(k: int, n: int) -> None:
    k = min(k, n)
    rate = wilson(k, n)
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert (rate.low, rate.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert rate.low <= rate.value <= rate.high


@pytest.mark.parametrize(("n", "high"), [(3, 0.56), (5, 0.43), (10, 0.28)])
def test_no_divergence_in_few_seeds_says_little(n: int, high: float) -> None:
    assert wilson(0, n).high == pytest.approx(high, abs=0.005)


def test_no_trials_have_no_rate() -> None:
    rate = wilson(0, 0)
    assert rate.n == 0
    assert all(math.isnan(v) for v in (rate.value, rate.low, rate.high))
    assert rate_of([]).n == 0


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_more_hits_than_trials_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="k must be >= 0 and <= n = 3"):
        wilson(k, n)


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8))
def test_an_interval_by_seeds_holds_its_rate(flags: list[list[bool]]) -> None:
    blocks = [np.array(block) for block in flags]
    rate = rate_of(blocks)
    assert rate.value == np.concatenate(blocks).mean()
    if len(blocks) == 1:
        assert math.isnan(rate.low)
        assert math.isnan(rate.high)
        return
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert rate == rate_of(blocks)


def test_seeds_that_agree_still_leave_doubt() -> None:
    """Twenty cells of one seed are one observation, not twenty."""
    five = rate_of([np.zeros(20, dtype=bool)] * 5)
    assert (five.low, five.high) == pytest.approx((wilson(0, 5).low, wilson(0, 5).high))
    assert math.isnan(rate_of([np.zeros(20, dtype=bool)]).high)


def test_seeds_that_agree_in_between_have_an_interval_of_half_a_trial() -> None:
    agree = rate_of([np.arange(9) < 3] * 5)
    half = stats.t.ppf(0.975, 4) * (0.5 / 9) / math.sqrt(5)
    assert (agree.low, agree.high) == pytest.approx((1 / 3 - half, 1 / 3 + half))
    differ = rate_of([np.arange(9) < 1] * 3 + [np.arange(9) < 7] * 2)
    assert agree.high - agree.low < differ.high - differ.low


@given(st.integers(2, 20), st.integers(1, 40), st.data())
def test_one_trial_more_moves_an_interval_by_no_more_than_a_whole_seed_would(
    seeds: int, trials: int, data: st.DataObject
) -> None:
    """From none flagged to one, and from one to two: the interval never jumps from wide to narrow."""
    k = data.draw(st.integers(0, trials - 1))
    few, more = (
        pooled_rate(np.array([hits] + [0] * (seeds - 1)), np.full(seeds, trials), np.arange(seeds))
        for hits in (k, k + 1)
    )
    assert more.value > few.value
    assert more.high >= few.high - 2 * (wilson(1, seeds).high - wilson(0, seeds).high)


@pytest.mark.parametrize("flagged", [0, 1])
def test_seeds_of_one_trial_each_have_wilsons_interval(flagged: int) -> None:
    rate = rate_of([np.array([seed < flagged]) for seed in range(7)])
    expected = wilson(flagged, 7)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high))


def test_three_seeds_that_diverge_at_one_of_four_learning_rates_leave_a_wide_interval() -> None:
    """The import in tests/data/statistics/zero-width.csv said 25.0 % [25.0, 25.0]."""
    rate = pooled_rate(np.ones(3), np.full(3, 4.0), np.arange(3))
    assert (rate.value, rate.low) == (0.25, 0.0)
    assert rate.high == pytest.approx(0.56, abs=0.005)
    difference, low, high = pooled_rate_difference(
        (np.ones(3), np.zeros(3)), (np.full(3, 4.0), np.full(3, 4.0)), np.arange(3)
    )
    assert difference == 0.25
    assert low < 0 < high


def test_whole_seeds_give_wider_intervals_than_single_trials() -> None:
    blocks = [np.full(20, seed % 2 == 0) for seed in range(10)]
    rate = rate_of(blocks)
    assert rate.high - rate.low > 2 * (wilson(100, 200).high - wilson(100, 200).low)


def test_unequal_blocks_are_weighed_by_their_trials() -> None:
    rate = rate_of([np.array([True]), np.array([False, False, False])])
    assert (rate.k, rate.n, rate.value) == (1, 4, 0.25)


def test_seeds_with_other_cells_are_no_draws_of_the_same() -> None:
    rate = rate_of([np.zeros(9, dtype=bool), np.ones(9, dtype=bool), np.zeros(1, dtype=bool)])
    assert math.isnan(rate.low)


def test_a_cell_counts_each_outcome_once() -> None:
    rows = [{"seed_index": i, **row} for i, row in enumerate(({}, NONFINITE, BLOWUP, AT_CHANCE))]
    cells, _ = tables(*rows)
    assert list(cells.columns) == list(SQUARE_COLUMNS)
    [cell] = cells.to_dict("records")
    assert [cell[c] for c in ("n", "trained", "untrained", "nonfinite", "blowup", "diverged")] == [
        4,
        1,
        1,
        1,
        1,
        2,
    ]
    assert cell["divergence_rate"] == 0.5
    assert cell["score_mean"] == pytest.approx(0.95)
    assert cell["score_median"] == 0.1


def test_failed_trials_are_missing_and_a_cell_without_results_stays_visible() -> None:
    cells, rows = tables({}, {"state": "failed", "lr": 1.0}, {"state": "failed", "seed_index": 1})
    assert cells["n"].tolist() == [1, 0]
    assert math.isnan(cells["divergence_rate"].iloc[1])
    assert math.isnan(cells["score_sd"].iloc[0])
    assert rows["n"].tolist() == [1]


def test_nothing_complete_gives_tables_of_nothing() -> None:
    cells, rows = tables({"state": "waiting"}, {"state": "waiting", "lr": 1.0})
    assert cells["n"].tolist() == [0, 0]
    assert rows["n"].tolist() == [0]
    assert math.isnan(rows["tuned_lr"].iloc[0])


def test_all_diverged_has_no_tuned_learning_rate() -> None:
    _, rows = tables(NONFINITE, {**NONFINITE, "lr": 1.0})
    [row] = rows.to_dict("records")
    assert (row["diverged"], row["n"], row["tuned_n"]) == (2, 2, 0)
    assert math.isnan(row["tuned_lr"])


def test_the_tuned_learning_rate_is_chosen_on_validation_and_reported_on_test() -> None:
    _, rows = tables(
        {"lr": 0.1, "validation_accuracy": 0.9, "test_accuracy": 0.99},
        {"lr": 1.0, "validation_accuracy": 0.91, "test_accuracy": 0.8},
    )
    assert (rows["tuned_lr"].iloc[0], rows["score_mean"].iloc[0]) == (1.0, 0.8)


def test_the_test_set_has_no_say_in_what_is_tuned() -> None:
    """The best learning rate on validation data is tuned even where bad luck on test data hides its training."""
    _, rows = tables(
        {"lr": 0.1, "validation_accuracy": 0.4, "test_accuracy": 0.1},
        {"lr": 0.2, "validation_accuracy": 0.35, "test_accuracy": 0.6},
    )
    assert rows["tuned_lr"].iloc[0] == 0.1


def test_of_equal_learning_rates_the_smaller_is_tuned() -> None:
    _, rows = tables({"lr": 1.0}, {"lr": 0.1}, {"lr": 0.5})
    assert rows["tuned_lr"].iloc[0] == 0.1


def test_a_seed_that_diverges_is_counted_beside_the_mean_and_in_the_median() -> None:
    rows = [{"seed_index": i, "test_accuracy": a} for i, a in enumerate((0.3, 0.9))]
    _, before = tables(*rows)
    _, after = tables(*rows, {"seed_index": 2, **NONFINITE})
    assert after["score_mean"].iloc[0] == before["score_mean"].iloc[0]
    assert (after["tuned_trained"].iloc[0], after["tuned_n"].iloc[0]) == (2, 3)
    assert after["score_median"].iloc[0] <= before["score_median"].iloc[0]
