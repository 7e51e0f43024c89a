"""The sentences of an answer say what their numbers say, whatever happened."""

from __future__ import annotations

import math

import pytest

from robustness.report import answer
from robustness.summary import MetricRow, Rate
from robustness.summary.flags import Flag, Remark
from robustness.wording.answers import (
    OptimizerEnds,
    OptimizerRate,
    OptimizerWindow,
    SeedRows,
    clamped_sentence,
    ends_sentence,
    gaps_sentence,
    rates_sentence,
    windows_sentence,
)
from tests.summary.frames import NONFINITE, frame
from tests.summary.studies import grid_rows, grid_study, study_of


def rates(*flags: Flag, low: float = math.nan, high: float = math.nan) -> str:
    one = OptimizerRate(
        optimizer="sgd",
        rate=Rate(13, 45, 13 / 36, low, high),
        nonfinite=1_200,
        remarks=tuple(Remark(flag) for flag in flags),
    )
    return rates_sentence([one], lrs="all learning rates", resampled="whole seeds")


def test_a_rate_has_its_interval_its_counts_and_what_was_not_finite() -> None:
    assert rates(low=0.2, high=0.5) == (
        "Share of trials that diverged, over all learning rates and initializations, with 95 % intervals over whole "
        "seeds: sgd 36.1 % (20.0 to 50.0; 13 of 45), 1,200 of them not finite."
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([Flag.ONE_SEED], "no interval: one seed; 13 of 45)"),
        (
            [Flag.ONE_SEED, Flag.UNEVEN_SEEDS],
            "no interval: fewer than two seeds have the grid; 13 of 45, as each learning rate weighs the same)",
        ),
        ([Flag.CLUSTERED_SEEDS], "no interval: seeds share their settings; 13 of 45)"),
    ],
)
def test_a_rate_without_an_interval_says_why(flags: list[Flag], words: str) -> None:
    assert words in rates(*flags)


def window(**changes: object) -> OptimizerWindow:
    numbers = {
        "optimizer": "a",
        "decades": 2.0,
        "is_censored": False,
        "trains": 2,
        "rows": 2,
        "score": 0.9,
        "is_loss": False,
    }
    return OptimizerWindow(**{**numbers, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ": a 2.0 decades and 90.0 %."),
        ({"is_censored": True}, ": a ≥ 2.0 decades"),
        ({"is_loss": True, "score": -0.5}, "and a loss of 0.5."),
        ({"score": math.nan}, ": a 2.0 decades."),
        ({"trains": 1}, "and 90.0 %, trains in 1 of 2 rows."),
        ({"decades": math.nan, "trains": 0}, ": a trains nowhere."),
    ],
    ids=["plain", "censored", "loss", "scores of two kinds", "some rows", "nowhere"],
)
def test_a_window_is_told_with_its_score_and_its_bounds(changes: dict[str, object], words: str) -> None:
    assert words in windows_sentence([window(**changes)])


def test_the_best_come_first_and_of_many_the_first_few_and_the_last_are_named() -> None:
    text = windows_sentence([window(optimizer=f"o{k}", decades=float(k)) for k in range(9)])
    named = [text.index(f"o{k} ") for k in (8, 7, 6, 5, 4, 0)]
    assert named == sorted(named)
    assert "3 others" in text
    assert "o3 " not in text


def critical(value: float, init: str = "i") -> MetricRow:
    return MetricRow(
        metric="critical_lr",
        task="t",
        optimizer="a",
        init=init,
        value=value,
        low=value - 1,
        high=math.inf,
        n=5,
        unit="log10 lr",
    )


def test_where_training_ends_is_told_by_row_or_by_their_median() -> None:
    few = OptimizerEnds(optimizer="a", known=(critical(0.0),), beyond=1, nowhere=1, rows=4)
    text = ends_sentence([few])
    assert "a 1 (0.1 and beyond; t, i, n = 5), beyond what was tried in 1 of 4 rows" in text
    assert "trains nowhere in 1 of 4 rows, is not known yet in 1 of 4 rows." in text
    known = tuple(critical(float(k)) for k in range(5))
    many = OptimizerEnds(optimizer="a", known=known, beyond=0, nowhere=0, rows=5)
    assert "a 100 in the median of 5 rows (1 to 1e+04)." in ends_sentence([many])


def test_rows_with_several_ends_are_counted() -> None:
    rows = [
        SeedRows(optimizer="a", task="t", gaps=1, known=4, trials=8.25),
        SeedRows(optimizer="b", task="t", gaps=0, known=0, trials=math.nan),
    ]
    assert "a on t 1 of 4 (8.2 trials a row); b on t 0 of 0 (none known)." in gaps_sentence(rows)


def test_shares_that_were_clamped_have_their_mean_and_range() -> None:
    assert "a on t: 20.0 % of" in clamped_sentence("a", "t", [0.1, 0.3])
    assert "mean over 2 trials (range 10.0 to 30.0)." in clamped_sentence("a", "t", [0.1, 0.3])


def test_an_answer_has_three_sentences_also_where_everything_diverged() -> None:
    assert len(answer(grid_study())) == 3
    dead = [{**row, **NONFINITE} for row in grid_rows()]
    rate, windows, _ = answer(study_of(frame(*dead)))
    assert "a 100.0 %" in rate
    assert "a trains nowhere; b trains nowhere" in windows
    assert answer(study_of(frame(*({**row, "state": "waiting"} for row in grid_rows())))) == [
        "Nothing is complete yet."
    ]
