"""Intervals and tests of paired values, against published examples and other people's code."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from robustness.summary.comparison.paired import (
    EXACT,
    bootstrap_p,
    holm,
    least_p,
    mcnemar_exact,
    newcombe_paired,
    paired_t,
    seed_test,
    sign_flip,
)
from robustness.summary.comparison.planning import plan_rows, plausible
from robustness.summary.comparison.power import detectable, power, seeds_needed

COUNTS = st.integers(0, 30)
VALUES = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 1.0, -1.0, math.nan]))
DIFFERENCES = st.lists(VALUES, max_size=10).map(np.array)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((1, 1, 7, 12), -0.507, -0.026),  # Fagerland et al. 2014, airway hyper-responsiveness
        ((59, 6, 16, 80), -0.119, -0.005),  # the same, complete response
        ((14, 5, 0, 22), 0.011, 0.226),  # Altman et al. 2000, table 6.2
    ],
)
def test_newcombes_interval_is_that_of_published_examples(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = newcombe_paired(*table)
    assert found[1:] == pytest.approx((low, high), abs=5e-4)
    assert found[0] == pytest.approx((table[1] - table[2]) / sum(table))


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_newcombes_interval_holds_its_difference_and_turns_with_it(a: int, b: int, c: int, d: int) -> None:
    difference, low, high = newcombe_paired(a, b, c, d)
    if a + b + c + d == 0:
        assert math.isnan(difference)
        return
    assert -1 <= low <= difference <= high <= 1
    assert newcombe_paired(a, c, b, d) == pytest.approx((-difference, -high, -low))
    assert newcombe_paired(d, b, c, a) == pytest.approx((difference, low, high))


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="counts must be >= 0, got 1, -1, 0, 0"):
        newcombe_paired(1, -1, 0, 0)


@given(COUNTS, COUNTS)
def test_mcnemars_test_is_that_of_statsmodels(b: int, c: int) -> None:
    if b + c:
        assert mcnemar_exact(b, c) == pytest.approx(mcnemar([[3, b], [c, 4]], exact=True).pvalue)
    else:
        assert mcnemar_exact(b, c) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_is_that_of_statsmodels(p_values: list[float]) -> None:
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], atol=1e-12)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=8))
def test_holm_leaves_out_what_was_not_tested(p_values: list[float]) -> None:
    tested = [p for p in p_values if not math.isnan(p)]
    found = holm(p_values)
    assert [p for p in found if not math.isnan(p)] == holm(tested)
    assert [math.isnan(p) for p in found] == [math.isnan(p) for p in p_values]


@given(DIFFERENCES)
def test_flipping_signs_counts_all_patterns(differences: np.ndarray) -> None:
    given_ = [x for x in differences if not math.isnan(x)]
    p = sign_flip(differences)
    if len(given_) < 2:
        assert math.isnan(p)
        return
    scale = max(map(abs, given_)) or 1.0
    sums = [
        abs(sum(s * x / scale for s, x in zip(signs, given_, strict=True)))
        for signs in product((1, -1), repeat=len(given_))
    ]
    assert p == pytest.approx(np.mean(np.array(sums) >= sums[0] - 1e-9))
    assert least_p(len(given_)) <= p <= 1
    assert sign_flip(-differences) == p


@pytest.mark.parametrize("test", [sign_flip, paired_t])
def test_no_difference_gives_p_1_and_one_seed_none(test: object) -> None:
    assert callable(test)
    assert test(np.zeros(8)) == 1
    assert math.isnan(test(np.array([0.3])))
    assert math.isnan(test(np.array([])))
    assert math.isnan(test(np.array([math.nan, math.nan, 1.0])))


def test_five_seeds_that_agree_cannot_go_below_one_in_sixteen() -> None:
    assert sign_flip(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == least_p(5) == 1 / 16
    assert sign_flip(np.arange(1.0, 7.0)) == 1 / 32


def test_drawn_patterns_are_near_all_of_them_and_need_a_generator() -> None:
    few = np.array([0.4, -0.1, 0.3, 0.2, 0.5, -0.2, 0.1, 0.3, 0.2, -0.1, 0.2, 0.1])
    drawn = sign_flip(np.append(few, 0.0), np.random.default_rng(0))
    assert drawn == pytest.approx(sign_flip(few), abs=0.01)
    with pytest.raises(ValueError, match="13 pairs are more than 12"):
        sign_flip(np.append(few, 0.0))


def test_values_near_the_largest_float_do_not_overflow() -> None:
    assert sign_flip(np.array([1e308, 1e308, -1e308])) == 1.0
    assert bootstrap_p(np.array([1e308, -1e308, 1e308]), 20) == 1.0


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=20))
def test_the_t_test_is_scipys_and_skips_missing_pairs(values: list[float]) -> None:
    differences = np.array(values)
    p = paired_t(np.append(differences, math.nan))
    if np.ptp(differences) > 1e-6:
        assert p == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue)
    else:
        assert 0 <= p <= 1


def test_where_all_pairs_agree_the_t_test_says_what_their_number_can() -> None:
    assert paired_t(np.full(20, 0.1)) == least_p(20)


def test_the_test_over_seeds_is_exact_up_to_twelve() -> None:
    rng = np.random.default_rng(0)
    assert seed_test(rng.normal(size=EXACT))[0] == "sign-flip test"
    name, p = seed_test(rng.normal(size=EXACT + 1))
    assert name == "paired t test"
    assert 0 < p <= 1


def test_the_bootstraps_p_never_beats_what_so_few_seeds_could_show() -> None:
    draws = np.full(5_000, 0.5)
    assert bootstrap_p(draws, 5) == 1 / 16
    assert bootstrap_p(draws, 50) == pytest.approx(2 / 5_001)
    assert math.isnan(bootstrap_p(draws, 1))
    assert math.isnan(bootstrap_p(np.full(10, math.nan), 9))
    assert math.isnan(bootstrap_p(np.array([]), 9))
    assert bootstrap_p(np.zeros(100), 9) == 1


def test_false_positives_of_the_test_over_seeds_are_five_in_a_hundred() -> None:
    rng = np.random.default_rng(0)
    for n in (8, 20):
        rejected = np.mean([seed_test(rng.normal(size=n))[1] < 0.05 for _ in range(600)])
        assert rejected < 0.075


@pytest.mark.parametrize("n", [6, 9, 13, 40, 200])
@pytest.mark.parametrize("effect", [0.05, 0.3, 0.8, 1.5])
def test_power_is_that_of_statsmodels(n: int, effect: float) -> None:
    theirs = TTestPower().power(effect, n, 0.05)
    # Theirs is not a number far out in the tail.
    assert power(n, effect) == pytest.approx(1.0 if math.isnan(theirs) else theirs, abs=1e-6)


@pytest.mark.parametrize("effect", [0.02, 0.1, 0.35, 0.7])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_the_seeds_needed_are_those_of_statsmodels(effect: float, alpha: float) -> None:
    theirs = TTestPower().solve_power(effect, power=0.8, alpha=alpha)
    needed = seeds_needed(effect, alpha)
    assert needed is not None
    assert needed == pytest.approx(math.ceil(theirs), rel=2e-4 if theirs > 10_000 else 0)


@given(st.floats(0.01, 50), st.sampled_from([0.05, 0.01, 0.005]))
def test_the_seeds_needed_are_the_fewest_with_the_power(effect: float, alpha: float) -> None:
    needed = seeds_needed(effect, alpha)
    assert needed is not None
    assert needed == seeds_needed(-effect, alpha)
    if needed < 10_000:
        assert power(needed, effect, alpha) >= 0.8 > power(needed - 1, effect, alpha)


def test_no_number_of_seeds_tells_nothing_apart() -> None:
    assert seeds_needed(0.0) is None
    assert seeds_needed(math.nan) is None
    assert seeds_needed(math.inf) == 6


@given(st.integers(6, 300), st.floats(1e-6, 1e3))
def test_what_is_detectable_is_detected_with_the_power(n: int, sd: float) -> None:
    assert power(n, detectable(n, sd) / sd) == pytest.approx(0.8, abs=1e-6)


def test_five_seeds_detect_nothing_and_a_plan_says_so() -> None:
    rows = {row.seeds: row for row in plan_rows(7, plausible("divergence_rate"))}
    assert set(rows[5].detectable) == {math.inf}
    assert rows[7].least_p == 1 / 64
    assert rows[20].least_p == 0
    assert list(rows[10].detectable) == sorted(rows[10].detectable)
    assert plan_rows(6, plausible("score"), tests=4)[1].detectable[0] == math.inf
