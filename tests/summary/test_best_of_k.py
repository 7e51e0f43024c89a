"""What k trials of tuning give, for the metric and for its figure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from robustness.figures.best_of_k import BestOfK, BestOfKInfo, best_of_k_info
from robustness.summary import MetricRow, Study, measure
from robustness.wording.remarks import row_note
from tests.summary.frames import frame
from tests.summary.studies import study_of

GRID = {0.01: 0.5, 0.1: 0.7, 1.0: 0.9}


def said(row: MetricRow) -> str:
    return row_note(row)


def rows(lrs: dict[float, float], seeds: range) -> list[dict[str, Any]]:
    """Each learning rate's score, and a thousandth more a seed."""
    return [
        {"lr": lr, "seed_index": s, "test_accuracy": score + s / 1000, "validation_accuracy": score}
        for lr, score in lrs.items()
        for s in seeds
    ]


def figure(study: Study) -> tuple[BestOfKInfo, BestOfK]:
    info = best_of_k_info(study, "t")
    return info, info.panels[0][1][0]


def metric(study: Study) -> dict[str, Any]:
    return {row.at: row for row in measure(study, metrics=["expected_best_of_k"])}


def test_as_many_trials_as_learning_rates_find_the_best_of_them() -> None:
    study = study_of(frame(*rows(GRID, range(4))))
    info, line = figure(study)
    assert line.ks_K.tolist() == [1, 2, 3]
    assert line.score_K == pytest.approx(np.array([0.7, (0.7 + 0.9 + 0.9) / 3, 0.9]) + 0.0015)
    assert {at: row.value for at, row in metric(study).items()} == pytest.approx(
        {f"k = {k}": score for k, score in zip(line.ks_K, line.score_K, strict=True)}
    )
    assert (line.low_K < line.score_K).all()
    assert "k learning rates of a seed drawn at random without replacement" in info.subtitle
    assert info.subtitle.endswith("n = 4 seeds a row.")


def test_a_learning_rate_with_more_seeds_counts_no_more_and_there_is_no_interval() -> None:
    study = study_of(frame(*rows(GRID, range(1)), *rows({1.0: 0.9}, range(1, 10))))
    info, line = figure(study)
    assert line.score_K == pytest.approx([0.7, (0.7 + 0.9 + 0.9) / 3, 0.9])
    assert np.isnan([line.low_K, line.high_K]).all()
    assert "n = 1 seed a row." in info.subtitle
    for row in metric(study).values():
        assert math.isnan(row.low)
        assert row.n == 1
        assert "squares have different seeds: no interval" in said(row)


def test_seeds_with_as_many_but_other_learning_rates_have_no_interval() -> None:
    study = study_of(frame(*rows(GRID, range(3)), *rows({0.1: 0.7, 1.0: 0.9, 10.0: 0.2}, range(3, 6))))
    _, line = figure(study)
    assert np.isnan(line.low_K).all()
    assert line.score_K[-1] == pytest.approx(0.9025)


def test_where_no_seed_has_two_learning_rates_trials_are_drawn() -> None:
    lrs = np.geomspace(0.01, 1, 5)
    study = study_of(
        frame(*[row for s, lr in enumerate(lrs) for row in rows({lr: 0.5 + s / 10}, range(s, s + 1))])
    )
    info, line = figure(study)
    assert line.ks_K.tolist() == [1, 2, 3, 4, 5]
    assert line.score_K[[0, -1]] == pytest.approx([0.702, 0.904])
    assert "k trials drawn at random without replacement" in info.subtitle
    assert info.subtitle.endswith("n = 5 trials a row.")
    assert list(metric(study)) == ["k = 1", "k = 2", "k = 4", "k = 5"]


def test_one_learning_rate_is_one_trial_of_tuning() -> None:
    _, line = figure(study_of(frame(*rows({0.1: 0.7}, range(3)))))
    assert line.ks_K.tolist() == [1]
    assert line.score_K == pytest.approx([0.701])
