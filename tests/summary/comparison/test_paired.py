"""Intervals and tests of paired values, against published examples and other people's code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from robustness.summary.comparison.paired import holm, mcnemar_exact, newcombe_paired
from robustness.summary.comparison.planning import plan_rows, plausible
from robustness.summary.comparison.power import detectable, power, seeds_needed

COUNTS = st.integers(0, 30)


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
    assert seeds_needed(math.inf) == 2


@given(st.integers(2, 300), st.floats(1e-6, 1e3))
def test_what_is_detectable_is_detected_with_the_power(n: int, sd: float) -> None:
    assert power(n, detectable(n, sd) / sd) == pytest.approx(0.8, abs=1e-6)


def test_a_plan_has_a_row_for_the_study_and_one_seed_detects_nothing() -> None:
    rows = {row.seeds: row for row in plan_rows(7, plausible("divergence_rate"))}
    assert 7 in rows
    assert list(rows[10].detectable) == sorted(rows[10].detectable)
    assert rows[20].detectable < rows[10].detectable
    assert set(plan_rows(1, plausible("score"))[0].detectable) == {math.inf}
