"""Seeds crossed with data orders: what is independent, and what explains the variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robustness.bench.coverage import crossed_coverage
from robustness.summary import MetricRow, Study, measure
from robustness.summary.comparison.comparing import compare
from robustness.summary.resampling import crossed_resamples, estimates, mean, study_resamples
from robustness.summary.tuned_rows import tuned_rows
from robustness.wording.captions import seeds_text
from tests.summary.comparison.ruled import grid_rows, study
from tests.summary.frames import BLOWUP

ORDERS = 2
SEEDS = tuple(range(8 * ORDERS))


def crossed(rule: Any) -> Study:
    return study(grid_rows(rule, lrs=(0.01, 0.1, 1.0), seeds=SEEDS), spec={"search": {"orders": ORDERS}})


def by_weights(optimizer: str, init: str, lr: float, seed: int) -> dict[str, Any]:
    """All that differs between seeds is due to their weights."""
    if lr == 1.0 and seed // ORDERS < 4 - 2 * (optimizer == "b"):
        return BLOWUP
    score = 0.9 - 0.1 * (lr != 0.1) + 0.01 * (seed // ORDERS % 4) - 0.02 * (optimizer == "b")
    return {"validation_accuracy": score, "test_accuracy": score}


def test_half_of_the_draws_are_of_whole_weights_and_half_of_whole_orders() -> None:
    drawn = crossed_resamples(SEEDS, ORDERS, 200)
    assert drawn.levels == (8, ORDERS)
    assert (drawn.counts_RS[0] == 1).all()
    by_weights, by_orders = (block.reshape(-1, 8, ORDERS) for block in np.split(drawn.counts_RS[1:], 2))
    assert (by_weights == by_weights[:, :, :1]).all()
    assert (by_orders == by_orders[:, :1]).all()
    assert (drawn.counts_RS.sum(axis=1) == len(SEEDS)).all()


def test_a_crossing_with_holes_never_draws_nothing() -> None:
    drawn = crossed_resamples((0, 3, 4), ORDERS, 500)
    assert drawn.counts_RS.any(axis=1).all()


def test_trials_that_share_weights_are_not_independent() -> None:
    """Twice the trials of the same weights do not make an interval narrower."""
    weights_S = np.random.default_rng(0).normal(size=8)
    crossed_draws, alone = crossed_resamples(SEEDS, ORDERS), study_resamples(8)
    [as_pairs] = estimates([mean(np.repeat(weights_S, ORDERS)[:, None], crossed_draws)[:, 0]], (8, ORDERS))
    [as_seeds] = estimates([mean(weights_S[:, None], alone)[:, 0]], alone.levels)
    assert as_pairs.high - as_pairs.low == pytest.approx(as_seeds.high - as_seeds.low, rel=0.05)


def test_two_orders_that_matter_give_a_wide_interval() -> None:
    """By percentiles of products of both draws it was held in 77 % of such studies."""
    found = crossed_coverage("2 orders, sd 0.15", 10, samples=500, rng=np.random.default_rng(0), draws=1_000)
    assert found.share > 0.85


@pytest.fixture(scope="module")
def found() -> Study:
    return crossed(by_weights)


def rows(study: Study, metric: str, **where: Any) -> list[MetricRow]:
    return [
        row
        for row in measure(study, metrics=[metric])
        if all(getattr(row, name) == value for name, value in where.items())
    ]


def test_importance_tells_weights_from_data_orders(found: Study) -> None:
    shares = {row.at: row.value for row in rows(found, "importance", optimizer="a")}
    assert shares["seed for score"] > 0.001
    assert shares["order for score"] == shares["seed x order for score"] == 0


def test_a_comparison_counts_weights_as_its_units(found: Study) -> None:
    [score] = compare(found, "a", "b", "score")
    assert score.n == 8
    assert score.difference == pytest.approx(0.02)
    [rate] = compare(found, "a", "b", "divergence_rate")
    assert rate.n == 8
    [window] = compare(found, "a", "b", "tolerance_window")
    assert window.n == 8


def test_a_rate_of_none_has_wilsons_interval_over_weights(found: Study) -> None:
    [row] = rows(found, "nonfinite_rate", optimizer="a", init=None)
    assert (row.value, row.low) == (0, 0)
    assert row.high == pytest.approx(0.324, abs=0.001)  # of 0 / 8, not of 0 / 16


def test_the_table_and_the_metric_have_the_same_interval(found: Study) -> None:
    for line in tuned_rows(found).to_dict("records"):
        [row] = rows(found, "divergence_rate", optimizer=line["optimizer"], init=line["init"])
        assert (row.value, row.low, row.high) == (line["divergence_rate"], line["low"], line["high"])


def test_words_say_how_seeds_are_crossed(found: Study) -> None:
    assert seeds_text(found) == "8 seeds x 2 data orders"
