"""Studies on which a comparison was wrong, from the import to the sentence."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from robustness.spec import COMPARABLE
from robustness.store import open_store
from robustness.summary import Study, load_study, measure
from robustness.summary.comparison.comparing import compare, compare_all
from robustness.summary.flags import Flag, has_flag
from robustness.wording.comparisons import sentence
from tests.test_cli import call

DATA = Path(__file__).parents[2] / "data" / "statistics"


def imported(name: str, folder: Path) -> Study:
    url = f"sqlite:///{folder / 's.db'}"
    assert call("import", "csv", str(DATA / f"{name}.csv"), "--name", name, "--store", url) == 0
    with open_store(url) as store:
        return load_study(store, name)


def test_the_same_optimizer_in_another_unit_is_not_told_from_itself(tmp_path: Path) -> None:
    """It was, by 2.0 points of the divergence rate, p = 0.0034."""
    study = imported("unit", tmp_path)
    metrics = [
        metric for metric in COMPARABLE if metric != "critical_lr"
    ]  # whose difference is the unit itself
    for found in compare_all(study, "a", "b", metrics):
        assert not found.tells, sentence(found)
    [rate] = compare(study, "a", "b", "divergence_rate")
    assert abs(rate.difference) < rate.resolution
    assert "this grid cannot resolve it" in sentence(rate)
    assert rate.disagrees


@pytest.mark.parametrize("metric", ["tolerance_window", "divergence_rate", "margin", "lr_sensitivity"])
def test_a_window_that_ends_at_a_missing_square_is_not_compared(metric: str, tmp_path: Path) -> None:
    """Windows of 1.33 and 2.00 decades were told apart, p = 0.031."""
    [found] = compare(imported("missingsquare", tmp_path), "a", "b", metric)
    assert math.isnan(found.difference)
    assert "a lacks a square that the number rests on" in sentence(found)


def test_every_number_of_a_study_with_holes_says_what_it_lacks_or_is_not_stated(tmp_path: Path) -> None:
    for found in compare_all(imported("missinghalf", tmp_path), "a", "b", COMPARABLE):
        stated = has_flag(found.remarks, Flag.MISSING_TRIALS)
        assert stated or math.isnan(found.difference), found
        assert not found.tells


def test_three_seeds_that_agree_leave_a_wide_interval_of_rate_and_difference(tmp_path: Path) -> None:
    """They were 25.0 % [25.0, 25.0] and 25.0 points [25.0, 25.0]."""
    study = imported("zero-width", tmp_path)
    rate = measure(study, metrics=["divergence_rate"])[0]
    assert (rate.value, rate.low) == (0.25, 0.0)
    assert rate.high == pytest.approx(0.56, abs=0.005)
    [found] = compare(study, "sgd", "adam", "divergence_rate")
    assert found.low < 0 < found.high
    assert found.nominal is not None
    assert (found.nominal.low, found.nominal.high) == pytest.approx((-0.189, 0.689), abs=0.001)


def test_an_optimizer_that_trains_nowhere_is_not_said_to_diverge_less_often(tmp_path: Path) -> None:
    study = imported("trains-nowhere", tmp_path)
    for found in compare_all(study, "never", "good", ["divergence_rate", "nonfinite_rate", "margin"]):
        assert sentence(found).endswith("never trains nowhere.")
        assert math.isnan(found.difference)
