"""Rates in which cells weigh equally."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.report import answer
from robustness.summary import measure
from robustness.summary.cell_weighted_rates import cell_weighted_rate, rate_of_cells
from robustness.summary.flags import Flag, has_flag
from robustness.summary.intervals import pooled_rate
from robustness.summary.tuned_rows import tuned_rows
from robustness.tables.measured import measurements
from tests.importers.logs import DATA, imported
from tests.summary.frames import NONFINITE, frame
from tests.summary.studies import study_of

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


def test_published_reruns_do_not_lower_a_rate_in_any_of_its_places(tmp_path: Path) -> None:
    """Adam diverges at one of three learning rates; its best one was run three times."""
    study = imported(tmp_path, "deepobs", DATA / "deepobs")
    rows = measure(study, metrics=["divergence_rate"])
    assert [row.value for row in rows] == pytest.approx([1 / 3, 1 / 3])
    assert [row.value for row in measurements(rows)] == pytest.approx([1 / 3, 1 / 3])
    assert {(m.flagged, m.n) for m in measurements(rows)} == {(1, 5)}
    [line] = tuned_rows(study).to_dict("records")
    assert line["divergence_rate"] == pytest.approx(1 / 3)
    assert (line["diverged"], line["n"]) == (1, 5)
    assert "33.3 %" in answer(study)[0]
    assert "1 of 5" in answer(study)[0]
    for row in rows:
        assert math.isnan(row.low)
        assert has_flag(row.remarks, Flag.UNEVEN_SEEDS)
        assert has_flag(row.remarks, Flag.ONE_SEED)


def test_a_rate_over_several_grids_has_the_interval_of_the_seeds_that_have_them() -> None:
    rows = [
        {"lr": lr, "seed_index": seed} | (NONFINITE if lr == 1.0 else {})
        for seed in range(6)
        for lr in ((0.01, 0.1, 1.0) if seed < 4 else (0.1,))
    ]
    study = study_of(frame(*rows))
    row = measure(study, metrics=["divergence_rate"])[-1]
    grid_alone = pooled_rate(np.ones(4), np.full(4, 3.0), np.arange(4))
    assert row.value == pytest.approx(1 / 3)
    assert (row.low, row.high) == pytest.approx((grid_alone.low, grid_alone.high))
    assert [remark.flag for remark in row.remarks] == [Flag.COUNT, Flag.UNEVEN_SEEDS]
    line = tuned_rows(study).iloc[0]
    assert (line["divergence_rate"], line["low"], line["high"]) == (row.value, row.low, row.high)


@given(grids)
def test_on_a_full_grid_the_interval_is_that_of_the_pooled_rate(flags: Flags) -> None:
    flags_SC = np.array(flags, dtype=float)
    seeds_S = np.arange(len(flags))
    rate, _ = rate_of_cells(flags_SC, seeds_S)
    pooled = pooled_rate(flags_SC.sum(axis=1), np.full(len(flags), flags_SC.shape[1]), seeds_S)
    assert (rate.k, rate.n) == (pooled.k, pooled.n)
    assert [rate.value, rate.low, rate.high] == pytest.approx(
        [pooled.value, pooled.low, pooled.high], nan_ok=True
    )


@given(grids, st.integers(1, 20), st.data())
def test_an_interval_holds_its_rate_whatever_was_run_again(
    flags: Flags, reruns: int, data: st.DataObject
) -> None:
    flags_SC = np.array(flags, dtype=float)
    cell = data.draw(st.integers(0, flags_SC.shape[1] - 1))
    more_SC = np.full((reruns, flags_SC.shape[1]), math.nan)
    more_SC[:, cell] = data.draw(st.sampled_from([0.0, 1.0]))
    every_SC = np.concatenate([flags_SC, more_SC])
    rate, remarks = rate_of_cells(every_SC, np.arange(len(every_SC)))
    assert math.isnan(rate.low) or 0 <= rate.low <= rate.value <= rate.high <= 1
    assert math.isnan(rate.low) == has_flag(remarks, Flag.ONE_SEED)


def test_drawn_trials_weigh_equally_whatever_their_bins_hold() -> None:
    in_bins_SC = np.full((5, 2), math.nan)
    in_bins_SC[:4, 0], in_bins_SC[4, 1] = 1.0, 0.0
    rate, remarks = rate_of_cells(in_bins_SC, np.arange(5), drawn=True)
    assert (rate.value, remarks) == (0.8, ())
    clustered, remarks = rate_of_cells(in_bins_SC, np.arange(5), drawn=True, clustered=True)
    assert math.isnan(clustered.low)
    assert has_flag(remarks, Flag.CLUSTERED_SEEDS)


def test_one_seed_or_nothing_complete_has_no_interval() -> None:
    alone, remarks = rate_of_cells(np.array([[1.0, 0.0]]), np.arange(1))
    assert alone.value == 0.5
    assert math.isnan(alone.low)
    assert [remark.flag for remark in remarks] == [Flag.ONE_SEED]
    nothing, remarks = rate_of_cells(np.full((2, 3), math.nan), np.arange(2))
    assert nothing.n == 0
    assert math.isnan(nothing.value)
    assert remarks == ()
