"""Rates in which cells weigh equally."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.summary.cell_weighted_rates import cell_weighted_rate
from robustness.summary.flags import Flag, has_flag

Flags = list[list[bool]]


def published_grid(diverged: int) -> np.ndarray:
    """DeepOBS's design: one seed at 36 learning rates, nine more at one that trains."""
    flags_SC = np.full((10, 36), math.nan)
    flags_SC[0] = [1.0] * diverged + [0.0] * (36 - diverged)
    flags_SC[1:, 35] = 0.0
    return flags_SC


def test_reruns_of_the_best_setting_do_not_lower_the_rate() -> None:
    rate = cell_weighted_rate(published_grid(13))
    assert rate.value == pytest.approx(13 / 36)  # pooled over trials: 13 of 45, 28.9 %
    assert (rate.n, rate.cells) == (45, 36)


def test_one_seed_with_a_grid_has_no_interval_and_says_so() -> None:
    rate = cell_weighted_rate(published_grid(13))
    assert not rate.has_interval
    assert rate.grid_seeds_S.tolist() == [True] + [False] * 9
    assert has_flag(rate.remarks, Flag.ONE_SEED)
    assert has_flag(rate.remarks, Flag.UNEVEN_SEEDS)


def test_an_interval_is_over_the_seeds_that_have_the_grid() -> None:
    flags_SC = published_grid(13)
    flags_SC[1] = flags_SC[0]
    rate = cell_weighted_rate(flags_SC)
    assert rate.has_interval
    assert rate.grid_seeds_S.sum() == 2
    assert [remark.flag for remark in rate.remarks] == [Flag.UNEVEN_SEEDS]


def test_no_seed_with_half_of_the_cells_is_no_interval() -> None:
    rate = cell_weighted_rate(np.where(np.eye(4) == 1, 1.0, math.nan))
    assert (rate.value, rate.n, rate.has_interval) == (1.0, 4, False)
    assert has_flag(rate.remarks, Flag.ONE_SEED)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (3, 2)])
def test_nothing_complete_is_no_rate(shape: tuple[int, int]) -> None:
    rate = cell_weighted_rate(np.full(shape, math.nan))
    assert math.isnan(rate.value)
    assert (rate.n, rate.cells, rate.has_interval) == (0, 0, False)
    assert [remark.flag for remark in rate.remarks] == [Flag.NOTHING_COMPLETE]


grids = st.integers(1, 6).flatmap(
    lambda cells: st.lists(st.lists(st.booleans(), min_size=cells, max_size=cells), min_size=1, max_size=6)
)


@given(grids)
def test_on_a_full_grid_the_rate_is_the_share_of_all_trials(flags: Flags) -> None:
    rate = cell_weighted_rate(np.array(flags, dtype=float))
    assert rate.value == pytest.approx(np.mean(flags))
    assert rate.grid_seeds_S.all()
    assert rate.has_interval == (len(flags) > 1)


@given(grids, st.integers(1, 20), st.data())
def test_running_a_cell_again_with_the_same_result_changes_nothing(
    flags: Flags, reruns: int, data: st.DataObject
) -> None:
    flags_SC = np.array(flags, dtype=float)[:1]
    cell = data.draw(st.integers(0, flags_SC.shape[1] - 1))
    more_SC = np.full((reruns, flags_SC.shape[1]), math.nan)
    more_SC[:, cell] = flags_SC[0, cell]
    again = cell_weighted_rate(np.concatenate([flags_SC, more_SC]))
    assert again.value == pytest.approx(cell_weighted_rate(flags_SC).value)
    assert again.n == flags_SC.size + reruns
