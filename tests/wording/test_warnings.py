"""Each warning appears when it applies, and only then."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from robustness.wording.warnings import study_warnings
from tests.summary.frames import FACTS, NONFINITE, frame
from tests.summary.studies import fragile_rows, grid_rows, grid_study, study_of


def texts(*rows: dict[str, Any]) -> str:
    return "\n".join(study_warnings(study_of(frame(*rows))))


MANY = [{"lr": lr, "seed_index": s} for lr in (0.01, 0.1, 1.0) for s in range(12)]
SHAPED = [
    {
        **row,
        "test_accuracy": 0.95 if row["lr"] == 0.1 else 0.5,
        "validation_accuracy": 0.95 if row["lr"] == 0.1 else 0.5,
    }
    for row in MANY
]


def test_a_sound_study_has_one_warning_which_always_applies() -> None:
    assert texts(*SHAPED).count("\n") == 0
    assert "selected and reported on the same seeds" in texts(*SHAPED)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "Nothing is complete yet."),
        ([*SHAPED, {"state": "failed", "lr": 5.0}], "1 of 37 trials is missing (1 failed)"),
        ([*SHAPED, SHAPED[0]], "1 trial repeats a square and a seed"),
        (SHAPED[:1], "1 seed: below 10"),
        (SHAPED[:-1], "Fewer seeds were run in 1 of 3 squares than elsewhere in the row: o on t, i."),
        (MANY, "The tuned learning rate is at the grid's edge in 1 of 1 row: o on t, i."),
        (MANY, "reaches the grid's edge or a missing square in 1 of 1 row"),
        ([{**row, **NONFINITE} for row in MANY], "No learning rate trains in 1 of 1 row: o on t, i."),
        ([*SHAPED, *({**row, "optimizer": "p"} for row in SHAPED)], "share one nominal grid"),
        (
            [*SHAPED, *({**row, "optimizer": "p", "lr": 2.0} for row in SHAPED[:12])],
            "have different learning rates",
        ),
        ([*SHAPED, *({**row, "optimizer": "p"} for row in SHAPED[:12])], "different numbers of trials"),
        ([{**row, "max_loss_rise": 9.0} for row in SHAPED], "36 trials are chaotic"),
        (
            [{**row, "max_loss_rise": math.nan, "max_train_loss": 9.0} for row in SHAPED],
            "those count whose loss was once beyond 1.5 times where it began",
        ),
        ([*SHAPED[:-1], {**SHAPED[-1], **NONFINITE}, {**SHAPED[-1], "lr": 9.0}], "In 1 of 12 rows of a seed"),
        (
            [{**row, "test_accuracy": 0.2} for row in MANY],
            "At this study's skill floor of 0.1, 0.0 % of the complete trials did not train. At a floor of 0.05 it would be 0.0 %, at 0.2 100.0 %.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_warning_appears_when_it_applies(rows: list[dict[str, Any]], words: str) -> None:
    assert words in texts(*rows)


def test_where_nothing_trains_no_tuned_score_is_too_good() -> None:
    assert "tuned scores" not in texts(*({**row, **NONFINITE} for row in SHAPED))


def test_an_optimizer_that_trains_in_a_minority_of_seeds_has_no_edge() -> None:
    found = texts(*fragile_rows({"fragile": 4}))
    assert "Most seeds train at no learning rate in 1 of 2 rows: fragile on t, i." in found
    assert "edge" not in found


def test_labels_that_rest_on_their_row_are_counted() -> None:
    assert "on other learning rates of their seed" in "\n".join(study_warnings(grid_study()))


def test_many_rows_are_named_by_the_first_few() -> None:
    dead = [{**row, **NONFINITE} for row in grid_rows(inits=tuple("abcdefgh"), seeds=2)]
    assert "and 12 more" in texts(*dead)


def test_selection_on_test_data_is_said() -> None:
    study = study_of(frame(*SHAPED), replace(FACTS, selection="test"))
    found = "\n".join(study_warnings(study))
    assert "there are no validation scores, so learning rates are selected on test data" in found
    assert "Tuned scores on the same data are too good." in found
    assert "a little too good" not in found


def test_what_stands_in_for_an_unknown_fact_is_said() -> None:
    study = study_of(frame(*SHAPED), replace(FACTS, assumed=("chance is not known",), test_size=None))
    found = "\n".join(study_warnings(study))
    assert "t: chance is not known." in found
    assert "chance has no standard error" in found
