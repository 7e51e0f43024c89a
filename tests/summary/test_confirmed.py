"""Scores of fresh seeds at tuned learning rates, on studies whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robustness.store import CONFIRM
from robustness.summary import MetricRow, Study, measure, wilson
from robustness.summary.audit import audit_info
from robustness.summary.comparison.comparing import compare
from robustness.summary.flags import Flag, Remark
from robustness.tables import standard_table
from robustness.wording.audit import section_text
from robustness.wording.warnings import study_warnings
from tests.summary.comparison.ruled import grid_rows, study
from tests.summary.frames import BLOWUP

LRS = (0.01, 0.1, 1.0)
FRESH = range(100, 112)
OFFSET = {"a": 0.0, "b": -0.02}


def rule(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    """Best at 0.1, diverges at 1; fresh seeds score a tenth less, and b two points less than a."""
    if lr == 1.0:
        return BLOWUP
    score = 0.9 - 0.1 * (lr != 0.1) - 0.1 * (seed >= 100) + OFFSET[optimizer] + 0.001 * (seed % 5)
    return {"validation_accuracy": score, "test_accuracy": score}


def designed() -> list[dict[str, Any]]:
    return grid_rows(rule, lrs=LRS, seeds=range(6))


def confirming(lr: float = 0.1, **changes: Any) -> list[dict[str, Any]]:
    return [{**row, "reason": CONFIRM, **changes} for row in grid_rows(rule, lrs=(lr,), seeds=FRESH)]


def values(found: Study, metric: str) -> list[MetricRow]:
    return measure(found, metrics=[metric])


@pytest.fixture(scope="module")
def confirmed() -> Study:
    return study(designed() + confirming())


def test_scores_are_those_of_the_fresh_seeds(confirmed: Study) -> None:
    mean = 0.8 + 0.001 * np.mean([seed % 5 for seed in FRESH])
    for row in values(confirmed, "score"):
        assert row.value == pytest.approx(mean + OFFSET[str(row.optimizer)])
        assert row.n == len(FRESH)
        assert row.low < row.value < row.high


@pytest.mark.parametrize(
    "metric",
    ["divergence_rate", "tuned_lr", "tolerance_window", "critical_lr", "lr_sensitivity", "importance"],
)
def test_fresh_seeds_count_in_nothing_else(confirmed: Study, metric: str) -> None:
    assert values(confirmed, metric) == values(study(designed()), metric)


def test_aggregates_over_rows_are_of_fresh_seeds(confirmed: Study) -> None:
    [gap_a, gap_b] = values(confirmed, "optimality_gap")
    assert gap_a.n == len(FRESH)
    assert gap_b.value - gap_a.value == pytest.approx(0.02 / 0.87)


def test_the_table_and_the_warnings_say_so(confirmed: Study) -> None:
    layout = standard_table(confirmed)
    assert "fresh seeds" in layout.caption
    assert any("12 fresh seeds" in text for text in study_warnings(confirmed))
    assert "fresh seeds" in section_text(audit_info(confirmed), "selection")


def test_optimizers_are_compared_by_pairs_of_fresh_seeds(confirmed: Study) -> None:
    [found] = compare(confirmed, "a", "b", "score")
    assert found.n == len(FRESH)
    assert found.difference == pytest.approx(0.02)
    [rates] = compare(confirmed, "a", "b", "divergence_rate")
    assert rates.n == 6


@pytest.mark.parametrize(
    "part",
    [
        confirming()[:-1],
        [*confirming()[:-1], {**confirming()[-1], "state": "waiting"}],
        confirming(lr=0.01),
    ],
    ids=["one is missing", "one waits", "another learning rate"],
)
def test_until_every_row_is_confirmed_scores_are_those_of_the_design(part: list[dict[str, Any]]) -> None:
    found = study(designed() + part)
    assert values(found, "score") == values(study(designed()), "score")
    assert any("confirmed yet" in text for text in study_warnings(found))


def test_an_optimizer_that_trains_nowhere_is_confirmed_at_chance() -> None:
    dead = [{**row, **BLOWUP} if row["optimizer"] == "b" else row for row in designed()]
    found = study(dead + [row for row in confirming() if row["optimizer"] == "a"])
    [a, b] = values(found, "optimality_gap")
    assert a.n == b.n == len(FRESH)
    assert b.value == pytest.approx(1.0)
    [compared] = compare(found, "a", "b", "skill")
    assert compared.n == len(FRESH)
    assert compared.b_value == pytest.approx(0.0)
    [refused] = compare(found, "a", "b", "score")
    assert refused.remarks == (Remark(Flag.NOTHING_TRAINS, (1,)),)


def test_trials_that_confirm_and_diverge_are_counted_beside_the_mean_of_the_others() -> None:
    lost = [{**row, **BLOWUP} if row["seed_index"] == 100 else row for row in confirming()]
    found, whole = (values(study(designed() + rows), "score")[0] for rows in (lost, confirming()))
    assert found.value == pytest.approx(whole.value, abs=0.001)
    assert found.n == whole.n - 1
    assert Remark(Flag.SOME_SEEDS_FAILED, (1, len(FRESH))) in found.remarks
    share = values(study(designed() + lost), "tuned_failure_rate")[0]
    expected = wilson(1, len(FRESH))
    assert (share.value, share.low, share.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
