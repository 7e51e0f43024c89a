"""Draws of whole seeds and intervals from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from robustness.summary.flags import Flag, Remark, has_flag
from robustness.summary.resampling import (
    Resamples,
    crossed_resamples,
    draws_for,
    estimates,
    mean,
    quantile,
    study_resamples,
)

VALUES = st.floats(-1e300, 1e300) | st.just(math.nan)


def resamples(seeds: int, draws: int = 50) -> Resamples:
    return Resamples.of(seeds, np.random.default_rng(0), draws)


@settings(max_examples=60)
@given(
    arrays(float, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=VALUES),
    st.sampled_from([0, 0.05, 0.5, 0.75]),
)
def test_a_quantile_over_draws_is_numpys_of_the_drawn_seeds(values_SC: np.ndarray, q: float) -> None:
    drawn = resamples(len(values_SC), 20)
    found_RC = quantile(values_SC, drawn, q)
    for counts_S, found_C in zip(drawn.counts_RS, found_RC, strict=True):
        for c, value in enumerate(found_C):
            sample = np.repeat(values_SC[:, c], counts_S)
            sample = sample[~np.isnan(sample)]
            if len(sample):
                scale = max(np.abs(sample).max(), 1.0)
                assert value / scale == pytest.approx(np.quantile(sample / scale, q), abs=1e-4)
            else:
                assert math.isnan(value)


@given(
    arrays(
        float,
        st.tuples(st.integers(1, 9), st.integers(1, 4)),
        elements=st.floats(-1e308, 1e308) | st.just(math.nan),
    )
)
def test_a_mean_over_draws_is_numpys_of_the_drawn_seeds_and_never_overflows(values_SC: np.ndarray) -> None:
    drawn = resamples(len(values_SC), 10)
    for counts_S, found_C in zip(drawn.counts_RS, mean(values_SC, drawn), strict=True):
        for c, value in enumerate(found_C):
            sample = np.repeat(values_SC[:, c], counts_S)
            sample = sample[~np.isnan(sample)]
            if len(sample):
                assert value == pytest.approx(np.mean(sample / 1e10) * 1e10, rel=1e-6, abs=1e-3)
            else:
                assert math.isnan(value)


def test_a_draw_with_more_trials_than_there_are_has_numpys_median() -> None:
    """Of a crossing with holes: its 125 trials are fewer than int8 counts, a draw of 132 is not."""
    orders = 11
    seeds = tuple(range(12 * orders - 7))
    values_S = np.random.default_rng(0).normal(size=len(seeds))
    drawn = crossed_resamples(seeds, orders, 1_000)
    assert drawn.counts_RS.sum(axis=1).max() > 127
    wanted = [np.median(np.repeat(values_S, counts_S)) for counts_S in drawn.counts_RS]
    np.testing.assert_allclose(quantile(values_S[:, None], drawn)[:, 0], wanted)


def test_tens_of_thousands_of_random_trials_have_numpys_median() -> None:
    values_SC = np.full((70_001, 2), math.nan)
    values_SC[::2, 0] = np.random.default_rng(0).normal(size=35_001)
    values_SC[:, 1] = np.arange(70_001)
    found_C = quantile(values_SC, study_resamples(70_001))[0]
    np.testing.assert_allclose(found_C, np.nanmedian(values_SC, axis=0))


def test_infinite_values_have_infinite_quantiles() -> None:
    assert quantile(np.array([[1.0], [np.inf], [np.inf]]), resamples(3, 0))[0, 0] == np.inf


def test_the_interval_of_a_mean_is_students() -> None:
    sample = np.random.default_rng(3).lognormal(size=25)
    drawn = Resamples.of(25, np.random.default_rng(4), 20_000)
    [ours] = estimates([mean(sample[:, None], drawn)[:, 0]], drawn.levels)
    half = stats.t.ppf(0.975, 24) * sample.std(ddof=1) / 5
    assert (ours.low, ours.high) == pytest.approx(
        (sample.mean() - half, sample.mean() + half), abs=0.02 * half
    )


def test_an_interval_ends_where_the_statistic_must() -> None:
    drawn = resamples(4)
    statistic = mean(np.array([[0.0], [0.0], [0.0], [1.0]]), drawn)[:, 0]
    [free], [bounded] = (
        estimates([statistic], drawn.levels, bounds=bounds) for bounds in (None, [(0.0, 1.0)])
    )
    assert free.low < 0 == bounded.low
    assert bounded.high == free.high


def test_a_censored_statistic_has_percentiles_of_its_draws() -> None:
    drawn = resamples(4, 400)
    [found] = estimates([quantile(np.array([[1.0], [2.0], [np.inf], [np.inf]]), drawn, 0.25)[:, 0]], (4,))
    assert (found.low, found.high) == (1.0, np.inf)


@given(arrays(float, st.integers(1, 12), elements=st.floats(-1e6, 1e6)))
def test_an_interval_holds_its_estimate(sample: np.ndarray) -> None:
    drawn = resamples(len(sample))
    [found] = estimates([quantile(sample[:, None], drawn)[:, 0]], (len(sample),))
    if len(sample) == 1:
        assert found.remarks == (Remark(Flag.ONE_SEED),)
        assert math.isnan(found.low)
    else:
        assert found.low <= found.value <= found.high


def test_seeds_that_agree_have_an_interval_of_width_zero() -> None:
    [found] = estimates([mean(np.full((5, 1), 0.3), resamples(5))[:, 0]], (5,))
    assert found.low == found.value == found.high == pytest.approx(0.3)
    assert has_flag(found.remarks, Flag.ALL_SEEDS_AGREE)


def test_a_statistic_that_few_draws_have_gets_no_interval() -> None:
    values_SC = np.array([[1.0], [math.nan], [math.nan]])
    [found] = estimates([quantile(values_SC, resamples(3))[:, 0]], (3,))
    assert (found.value, found.remarks) == (1.0, (Remark(Flag.SEEDS_DIFFER_BETWEEN_SQUARES),))


def test_a_statistic_that_is_not_defined_has_no_value() -> None:
    [found] = estimates([np.full(54, math.nan)], (3,))
    assert math.isnan(found.value)


def test_the_same_number_of_seeds_shares_its_draws() -> None:
    assert study_resamples(5) is study_resamples(5)
    np.testing.assert_array_equal(study_resamples(5).counts_RS, study_resamples.__wrapped__(5).counts_RS)
    assert (draws_for(20_000), draws_for(20_001)) == (5_000, 1_000)


def test_no_seed_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="seeds must be >= 1, got 0"):
        resamples(0)


def test_thousands_of_random_trials_get_no_interval_and_little_memory() -> None:
    drawn = resamples(2_001)
    assert drawn.counts_RS.shape == (1, 2_001)
    [found] = estimates([mean(np.ones((2_001, 1)), drawn)[:, 0]], (2_001,))
    assert (found.value, found.remarks) == (1.0, (Remark(Flag.TOO_MANY_RANDOM_TRIALS, (2_000,)),))
