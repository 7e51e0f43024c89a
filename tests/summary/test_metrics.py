"""The metrics against slow references, rliable's own functions, and their corner cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rliable import metrics as rliable_metrics
from scipy import stats

from robustness.summary.metrics import (
    LEAST_RUNS_OF_A_BIN,
    Chosen,
    best_of_k_weights,
    critical_lrs,
    cvar,
    effective_dimension,
    enough_runs,
    expected_best_of_k,
    hyperparameter_sensitivity,
    iqm,
    log_weights,
    lr_sensitivity,
    optimality_gap,
    prior_weights,
    probability_of_improvement,
    spread,
    tolerance_window,
    transfer_regret,
    tuned_index,
    window_ends,
)
from robustness.summary.resampling import Resamples

LRS = (10.0 ** np.arange(-3, 2)).astype(np.float64)
SCORES = arrays(float, st.tuples(st.integers(2, 7), st.integers(1, 4)), elements=st.floats(0, 1))


def sample(seeds: int, draws: int = 0) -> Resamples:
    return Resamples.of(seeds, np.random.default_rng(0), draws)


@given(SCORES)
def test_iqm_and_gap_are_rliables(scores_ST: np.ndarray) -> None:
    itself = sample(len(scores_ST))
    assert iqm(scores_ST, itself)[0] == pytest.approx(rliable_metrics.aggregate_iqm(scores_ST))
    gap = rliable_metrics.aggregate_optimality_gap(scores_ST, 1.0)
    assert optimality_gap(scores_ST, itself)[0] == pytest.approx(gap)


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 3), st.integers(0, 10_000))
def test_the_probability_of_improvement_is_rliables(seeds: int, tasks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a_ST, b_ST = (np.round(rng.random((seeds, tasks)), 1) for _ in range(2))
    ours = probability_of_improvement(a_ST, b_ST, sample(seeds))[0]
    assert ours == pytest.approx(rliable_metrics.probability_of_improvement(a_ST, b_ST))


def test_aggregates_of_a_draw_are_those_of_the_drawn_seeds() -> None:
    scores_ST = np.random.default_rng(1).random((5, 3))
    drawn = sample(5, 20)
    for counts_S, ours, gap in zip(
        drawn.counts_RS, iqm(scores_ST, drawn), optimality_gap(scores_ST, drawn), strict=True
    ):
        repeated = np.repeat(scores_ST, counts_S, axis=0)
        assert ours == pytest.approx(stats.trim_mean(repeated, 0.25, axis=None))
        assert gap == pytest.approx(1 - np.minimum(repeated, 1).mean())


@pytest.mark.parametrize("n", range(1, 13))
def test_the_best_of_k_is_the_average_over_all_subsets(n: int) -> None:
    rng = np.random.default_rng(n)
    selection, score = rng.standard_normal((2, n, 1))
    found_K = expected_best_of_k(selection, score, list(range(1, n + 1)), sample(n))[0]
    for k, found in enumerate(found_K, start=1):
        subsets = itertools.combinations(range(n), k)
        brute = np.mean([score[max(subset, key=lambda i: selection[i, 0]), 0] for subset in subsets])
        assert found == pytest.approx(brute)


def test_more_trials_than_there_are_have_no_best() -> None:
    assert math.isnan(expected_best_of_k(np.ones((2, 1)), np.ones((2, 1)), [3], sample(2))[0, 0])
    with pytest.raises(ValueError, match="k must be >= 1 and <= n = 3, got 4"):
        best_of_k_weights(3, 4)


@given(arrays(float, 5, elements=st.floats(0, 1)), st.floats(0, 1))
def test_the_window_is_the_run_around_the_best(score_L: NDArray[np.float64], delta: float) -> None:
    tuned = tuned_index(score_L[None])
    best = int(tuned[0])
    low = high = best
    while low > 0 and score_L[low - 1] >= score_L[best] - delta - 1e-12:
        low -= 1
    while high < 4 and score_L[high + 1] >= score_L[best] - delta - 1e-12:
        high += 1
    assert tolerance_window(score_L[None], tuned, LRS, delta, -1.0)[0] == pytest.approx(float(high - low))


def test_a_missing_learning_rate_ends_the_window() -> None:
    score = np.array([[0.9, math.nan, 0.9, 0.9, 0.9]])
    assert [int(end[0]) for end in window_ends(score, np.array([3]), 0.5)] == [2, 4]


def test_a_window_at_chance_is_0_wide_though_every_learning_rate_is_as_good() -> None:
    score = np.array([[0.1, 0.1, 0.1, 0.1, 0.1], [0.1, 0.9, 0.9, 0.1, 0.1]])
    found = tolerance_window(score, tuned_index(score), LRS, 0.05, 0.1)
    assert found.tolist() == pytest.approx([0.0, 1.0])


def test_a_negative_delta_is_refused() -> None:
    with pytest.raises(ValueError, match="delta must be >= 0, got -1"):
        window_ends(np.ones((1, 3)), np.array([0]), -1)


def test_windows_are_the_same_when_all_learning_rates_are_scaled() -> None:
    score = np.array([[0.2, 0.8, 0.9, 0.85, 0.1]])
    widths = [tolerance_window(score, np.array([2]), LRS * c, 0.1, 0.1)[0] for c in (1, 7.3)]
    assert widths[0] == pytest.approx(widths[1])


def test_regret_is_what_the_other_initializations_learning_rate_costs() -> None:
    skill_RIL = np.array([[[0.9, 0.5], [0.1, 0.7]]])
    assert transfer_regret(skill_RIL, np.array([[0, 1]]))[0] == pytest.approx((0.4 + 0.6) / 2)
    assert math.isnan(transfer_regret(skill_RIL[:, :1], np.array([[0]]))[0])


def test_learning_rates_too_small_to_train_are_no_critical_ones() -> None:
    found = critical_lrs(np.array([0, 0, 1, 1, 0.0]), LRS)
    assert found.first_not_trained == 1.0
    assert found.last_trained == 0.0
    assert found.monotone


def test_a_seed_that_never_trains_has_no_critical_learning_rate_and_one_that_always_does_is_censored() -> (
    None
):
    found = critical_lrs(np.array([[0.0] * 5, [1.0] * 5]), LRS)
    assert math.isnan(found.first_not_trained[0])
    assert found.first_not_trained[1] == math.inf
    assert found.monotone.all()


def test_a_missing_trial_neither_trains_nor_fails() -> None:
    assert critical_lrs(np.array([1, math.nan, 1, math.nan, 0]), LRS).first_not_trained == 1.0
    assert critical_lrs(np.array([0, 1, 1, 1, math.nan]), LRS).first_not_trained == math.inf
    unknown = critical_lrs(np.array([math.nan, math.nan, 1, math.nan, math.nan]), LRS)
    assert math.isnan(unknown.first_not_trained)
    assert unknown.last_trained == -1.0
    assert unknown.monotone


def test_weights_follow_the_spacing_of_the_learning_rates() -> None:
    assert log_weights(np.array([1e-3, 1e-2, 1.0])).tolist() == pytest.approx([1 / 6, 0.5, 1 / 3])
    assert log_weights(np.array([0.1])).tolist() == [1.0]


def test_the_prior_counts_only_a_decade_on_each_side_of_the_default() -> None:
    weights, covered = prior_weights(LRS, 0.1)
    assert weights.tolist() == pytest.approx([0, 0.25, 0.5, 0.25, 0])
    assert covered == 1
    weights, covered = prior_weights(LRS, 10.0)
    assert weights.sum() == pytest.approx(1)
    assert covered == pytest.approx(0.75)
    assert np.isnan(prior_weights(LRS, 1e6)[0]).all()


def test_the_worst_tenth_is_the_mean_of_the_lowest_scores() -> None:
    values_SL = np.arange(20.0).reshape(4, 5)
    assert cvar(values_SL, np.full(5, 0.2), sample(4))[0] == pytest.approx(0.5)
    assert cvar(values_SL, np.full(5, 0.2), sample(4), worst=1.0)[0] == pytest.approx(9.5)
    with pytest.raises(ValueError, match="worst must be > 0 and <= 1, got 0"):
        cvar(values_SL, np.full(5, 0.2), sample(4), worst=0)


def test_loss_above_the_best_is_averaged_over_the_logarithm() -> None:
    loss = np.array([[2.3, 0.5, 0.3, 0.5, 2.3]])
    assert lr_sensitivity(loss, log_weights(LRS), LRS)[0] == pytest.approx(2 / 8 + 0.2 / 4 + 0.2 / 4 + 2 / 8)
    near = lr_sensitivity(loss, log_weights(LRS), LRS, np.array([2]))
    assert near[0] == pytest.approx(0.2 * 2 / 3)


def test_tuning_for_each_environment_gains_what_one_setting_loses() -> None:
    skill = np.array([[[1.0, 0.9, 0.0], [0.0, 0.9, 1.0]]])
    assert hyperparameter_sensitivity(skill)[0] == pytest.approx(0.1)
    assert effective_dimension(skill[0], (3,)) == 1
    assert effective_dimension(skill[0], (3,), enough=0.9) == 0


def test_of_two_hyperparameters_one_may_be_enough() -> None:
    skill_ED = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])  # the first decides, the second is idle
    assert effective_dimension(skill_ED, (2, 2)) == 1


@given(arrays(float, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.floats(0, 1)))
def test_spreads_are_numpys(values_SP: np.ndarray) -> None:
    itself = sample(len(values_SP))
    sd = values_SP.std(axis=0, ddof=1) if len(values_SP) > 1 else [math.nan] * values_SP.shape[1]
    quartiles = np.quantile(values_SP, [0.25, 0.75], axis=0)
    np.testing.assert_allclose(spread(values_SP, itself, "sd")[0], sd, atol=1e-7)
    np.testing.assert_allclose(spread(values_SP, itself, "iqr")[0], quartiles[1] - quartiles[0], atol=1e-6)
    np.testing.assert_allclose(
        spread(values_SP, itself, "p05")[0], np.quantile(values_SP, 0.05, axis=0), atol=1e-6
    )
    assert spread(values_SP, itself, "worst")[0].tolist() == values_SP.min(axis=0).tolist()


def test_the_worst_of_all_is_the_mean_under_the_same_prior() -> None:
    values_SL = np.array([[0.1, 0.9], [math.nan, 0.9], [math.nan, 0.9], [math.nan, 0.9]])
    assert cvar(values_SL, np.array([0.5, 0.5]), sample(4), worst=1.0)[0] == pytest.approx(0.5)


def test_settings_that_selection_cannot_tell_apart_count_as_their_mean() -> None:
    selection = np.array([[0.9], [0.9], [0.9], [0.9], [0.5], [0.5]])
    score = np.array([[0.80], [0.85], [0.90], [0.95], [0.1], [0.2]])
    assert expected_best_of_k(selection, score, [3], sample(6))[0, 0] == pytest.approx(0.875)


def test_spread_of_the_largest_numbers_is_finite() -> None:
    values = np.array([[1e308], [-1e308], [1e308]])
    assert spread(values, sample(3), "sd")[0, 0] == pytest.approx(1.1547e308, rel=1e-4)


def test_of_chosen_learning_rates_an_end_counts_once_its_neighbours_are_known() -> None:
    chosen = Chosen(resolution=0.05, top=2.0)
    lrs = 10.0 ** np.array([0.0, 0.05, 1.0, 2.0])
    nan = math.nan
    done = critical_lrs(np.array([1, 0, nan, 0]), lrs, chosen)
    assert done.first_not_trained == pytest.approx(0.05)
    for bracket in ([1, nan, 0, nan], [1, nan, 1, nan], [1, nan, nan, nan]):  # the search is not over
        assert np.isnan(critical_lrs(np.array(bracket), lrs, chosen).first_not_trained)
    assert critical_lrs(np.array([1, nan, 1, 1]), lrs, chosen).first_not_trained == math.inf
    unknown = Chosen(resolution=0.05, top=nan)
    assert np.isnan(critical_lrs(np.array([1, nan, 1, 1]), lrs, unknown).first_not_trained)


@given(arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 12)))
def test_a_bin_is_eligible_with_five_runs_or_if_no_bin_has_more(runs_L: np.ndarray) -> None:
    eligible_L = enough_runs(runs_L)
    fullest = int(runs_L.max())
    assert eligible_L.any() == (fullest > 0)
    for runs, eligible in zip(runs_L.tolist(), eligible_L.tolist(), strict=True):
        assert eligible == (runs > 0 and (runs >= LEAST_RUNS_OF_A_BIN or runs == fullest))


def test_of_no_bins_none_has_enough_runs() -> None:
    assert enough_runs(np.zeros((3, 0), dtype=np.int64)).shape == (3, 0)
