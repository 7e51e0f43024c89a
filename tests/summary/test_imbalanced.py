"""Where one class has more than half of the test set, accuracy cannot tell what trained, and that is said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from robustness.summary import MetricRow, Study, TaskConstants, classify, measure
from robustness.summary.flags import Flag
from robustness.summary.tasks import ACCURACY_CANNOT_TELL
from robustness.wording.remarks import row_note
from robustness.wording.warnings import study_warnings
from tests.importers.logs import imported
from tests.summary.frames import BLOWUP, NONFINITE, frame

# 99 : 1, accuracy 0.997, chance 0.99, reference 0.999, n = 1,000: the floor of the rule is a skill of 1.08.
IMBALANCED = Path(__file__).parents[1] / "data" / "outcomes" / "imbalanced.csv"
FACTS = TaskConstants(chance=0.99, constant_loss=0.056, reference=0.999, test_size=1000)


def said(row: MetricRow) -> str:
    return row_note(row)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return imported(tmp_path_factory.mktemp("imbalanced"), "csv", IMBALANCED)


def test_what_stayed_finite_passes_for_trained_and_its_side_is_unresolved() -> None:
    ends = [
        {"train_loss": 0.02, "test_accuracy": 0.997},
        {"train_loss": 0.056, "test_accuracy": 0.99, "max_earlier_score": 0.998},
        {"train_loss": math.nan, "test_accuracy": math.nan, "max_earlier_score": 0.998},
        BLOWUP,
        NONFINITE,
        {"train_loss": 0.02, "test_accuracy": 0.997, "stopped": 1.0},
    ]
    trials = frame(*({"l0": 0.69, "lr": 10.0**place, **end} for place, end in enumerate(ends)))
    labelled = classify(trials, {"t": FACTS})
    assert labelled["outcome"].tolist() == [
        "trained",
        "trained",
        "untrained",
        "blowup",
        "nonfinite",
        "blowup",
    ]
    assert labelled["side"].tolist() == ["unresolved"] * 3 + ["diverged"] * 3
    assert labelled["evidence"].tolist() == ["", "", "", "blowup", "nonfinite", "blowup"]


def test_an_import_says_that_accuracy_cannot_tell_and_does_not_say_that_nothing_trains(study: Study) -> None:
    assert len(study.complete) == 50
    warnings = "\n".join(study_warnings(study))
    assert f"t: {ACCURACY_CANNOT_TELL}" in warnings
    assert "No learning rate trains" not in warnings


def test_what_rests_on_training_is_not_stated_and_the_rest_is(study: Study) -> None:
    rows = measure(
        study,
        metrics=(
            "divergence_rate",
            "not_trained_rate",
            "rate_difference",
            "critical_lr",
            "nonfinite_rate",
            "score",
        ),
    )
    stated = {row.metric for row in rows if not math.isnan(row.value)}
    assert stated == {"nonfinite_rate", "score"}
    refused = [row for row in rows if row.metric not in stated]
    assert {row.metric for row in refused} == {
        "divergence_rate",
        "not_trained_rate",
        "rate_difference",
        "critical_lr",
    }
    assert all(row.has(Flag.ACCURACY_CANNOT_TELL) for row in refused)
    [first, *_] = [row for row in rows if row.metric == "score"]
    assert first.value == pytest.approx(0.997, abs=0.001)


@pytest.mark.parametrize(
    ("chance", "test_size", "tells"),
    [
        (0.5, 1000, True),
        (0.5, None, True),
        (501 / 1001, 1001, True),  # two classes, one of them with an example more
        (502 / 1001, 1001, False),
        (0.51, None, False),
        (0.99, 1000, False),
    ],
)
def test_one_example_more_than_half_does_no_harm(chance: float, test_size: int | None, tells: bool) -> None:
    facts = TaskConstants(chance=chance, constant_loss=0.69, reference=0.999, test_size=test_size)
    assert facts.accuracy_tells is tells


def test_a_loss_always_tells() -> None:
    assert TaskConstants(
        chance=0.9, constant_loss=-0.9, reference=2.0, test_size=None, score="loss"
    ).accuracy_tells
