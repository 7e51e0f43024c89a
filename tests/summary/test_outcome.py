"""Outcomes, case by case."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustness.summary import TaskConstants, TaskFacts, Thresholds, classify, task_facts
from robustness.summary.tasks import filled
from robustness.trial import Named, TaskConfig
from tests.summary.frames import AT_CHANCE, BLOWUP, FACTS, NONFINITE, frame


def classified(
    *rows: dict[str, Any], facts: TaskConstants | TaskFacts = FACTS, **thresholds: Any
) -> pd.DataFrame:
    trials = frame(*rows)
    return classify(
        trials,
        {"t": facts if isinstance(facts, TaskConstants) else filled(facts, trials)},
        Thresholds(**thresholds),
    )


def outcome(**row: Any) -> str:
    return str(classified(row)["outcome"].iloc[0])


def side(*rows: dict[str, Any], of: int = 0) -> tuple[str, str]:
    found = classified(*rows).iloc[of]
    return str(found["side"]), str(found["evidence"])


def test_a_trial_above_a_tenth_of_the_skill_is_trained() -> None:
    threshold = 0.1 + 0.1 * 0.87
    assert outcome(test_accuracy=threshold + 1e-6) == "trained"
    assert outcome(test_accuracy=threshold - 1e-6) == "untrained"


def test_on_a_small_test_set_chance_itself_is_the_threshold() -> None:
    small = TaskConstants(chance=0.1, constant_loss=2.3, reference=0.97, test_size=20)
    edge = 0.1 + 3.09 * math.sqrt(0.1 * 0.9 / 20)
    assert edge > 0.1 + 0.1 * 0.87
    for accuracy, expected in ((edge - 1e-6, "untrained"), (edge + 1e-6, "trained")):
        assert classified({"test_accuracy": accuracy}, facts=small)["outcome"].iloc[0] == expected


def test_a_trained_trial_may_have_a_loss_above_its_start() -> None:
    assert outcome(train_loss=100.0) == "trained"


def test_a_final_loss_above_the_start_and_the_constant_predictor_is_a_blowup() -> None:
    assert outcome(**AT_CHANCE, l0=2.3) == "untrained"
    assert outcome(**{**AT_CHANCE, "train_loss": 2.3 * 1.051}, l0=2.3) == "blowup"
    assert outcome(**{**AT_CHANCE, "train_loss": 50.0}, l0=60.0) == "untrained"
    assert outcome(**{**AT_CHANCE, "train_loss": 50.0}, l0=0.01) == "blowup"
    assert outcome(**{**AT_CHANCE, "train_loss": math.inf}, l0=2.3) == "blowup"


def test_losses_that_may_be_negative_blow_up_by_a_share_of_the_way_to_the_reference() -> None:
    density = TaskConstants(
        chance=10.0, constant_loss=-10.0, reference=30.0, test_size=None, score="loss", selection="test"
    )
    rows = [{"l0": -12.0, "test_loss": -10.0, "train_loss": loss} for loss in (-9.5, -9.01, -8.99, 3.0)]
    found = classified(*rows, facts=density)  # -10 + 0.05 * 20; a multiple of -10 would lie below the start
    assert found["outcome"].tolist() == ["untrained", "untrained", "blowup", "blowup"]
    high = classified({"l0": 4.0, "test_loss": -10.0, "train_loss": 4.9}, facts=density)
    assert high["outcome"].tolist() == ["untrained"]


def test_a_start_that_is_not_finite_leaves_the_constant_predictor_as_the_measure() -> None:
    assert outcome(**{**AT_CHANCE, "train_loss": 50.0}, l0=math.nan) == "blowup"
    assert outcome(**AT_CHANCE, l0=math.inf) == "untrained"


def test_not_finite_comes_before_everything() -> None:
    assert outcome(**NONFINITE) == "nonfinite"
    assert outcome(first_nonfinite_step=1.0) == "nonfinite"


def test_a_trial_that_its_study_stopped_is_a_blowup_whatever_its_score() -> None:
    assert outcome(stopped=1.0) == "blowup"
    assert side({"stopped": 1.0, **BLOWUP}) == ("diverged", "blowup")


def test_a_trial_whose_loss_rose_far_in_one_step_is_chaotic_however_high_it_was() -> None:
    def chaotic(**row: float) -> bool:
        return bool(classified(row)["chaotic"].iloc[0])

    assert not chaotic(max_loss_rise=0.22 * 2.31)
    assert chaotic(max_loss_rise=0.22 * 2.31 + 1e-6)
    assert chaotic(max_loss_rise=math.inf)
    assert not chaotic(max_loss_rise=0.5, max_train_loss=99.0)
    assert not chaotic(max_loss_rise=0.0, l0=math.nan)


def test_without_losses_of_steps_a_loss_that_was_once_far_above_its_start_is_the_sign() -> None:
    def chaotic(**row: float) -> bool:
        return bool(classified({**row, "max_loss_rise": math.nan})["chaotic"].iloc[0])

    assert not chaotic(max_train_loss=1.5 * 2.31)
    assert chaotic(max_train_loss=1.5 * 2.31 + 1e-6)
    assert chaotic(max_train_loss=math.inf)
    assert chaotic(max_train_loss=3.6, l0=0.5)
    assert not chaotic(max_train_loss=3.4, l0=0.5)
    assert not chaotic(max_train_loss=3.4, l0=math.nan)


def test_nonfinite_and_blowup_are_diverged() -> None:
    assert side(NONFINITE) == ("diverged", "nonfinite")
    assert side(BLOWUP) == ("diverged", "blowup")


def test_a_trial_that_did_not_train_scores_as_the_constant_predictor() -> None:
    scores = classified({}, NONFINITE, BLOWUP, {**AT_CHANCE, "test_accuracy": 0.05})["score"]
    assert scores.tolist() == [0.95, 0.1, 0.1, 0.1]


def test_without_a_reference_the_studys_best_median_is_taken_and_flagged() -> None:
    unknown = TaskFacts(chance=0.1, constant_loss=2.3, reference=None, test_size=1000)
    rows = ({"test_accuracy": 0.5}, {"test_accuracy": 0.3, "lr": 1.0}, NONFINITE | {"lr": 9.0})
    np.testing.assert_allclose(classified(*rows, facts=unknown)["skill"], [1.0, 0.5, np.nan])
    assert "no reference score" in filled(unknown, frame(*rows)).assumed[0]


LOSS = TaskFacts(chance=None, constant_loss=52.7, reference=None, test_size=None, score="loss")


def test_a_task_without_an_accuracy_is_judged_by_its_loss() -> None:
    none = {"test_accuracy": math.nan, "validation_accuracy": math.nan, "validation_loss": math.nan}
    rows = [
        {**none, "test_loss": loss, "train_loss": loss, "lr": lr} for lr, loss in ((0.1, 30.0), (1.0, 52.0))
    ]
    rows.append({**none, "test_loss": math.inf, "train_loss": 1e30, "lr": 9.0})
    found = classified(*rows, facts=LOSS)
    assert found["outcome"].tolist() == ["trained", "untrained", "blowup"]
    assert found["score"].tolist() == [-30.0, -52.7, -52.7]
    assert filled(LOSS, frame(*rows)).selection == "test"


def test_trials_without_a_finite_test_score_do_not_tell_that_learning_rates_are_selected_on_test_data() -> (
    None
):
    seen, unseen = {"validation_accuracy": 0.9}, {"validation_accuracy": math.nan}
    imported = replace(LOSS, score="accuracy")
    for facts, rows, selection in (
        (imported, [NONFINITE, NONFINITE], "validation"),
        (imported, [NONFINITE, unseen], "test"),
        (imported, [NONFINITE, unseen, seen], "validation"),
        (imported, [{**NONFINITE, **seen}, unseen], "test"),
        (replace(imported, validated=True), [NONFINITE, unseen], "validation"),
    ):
        assert filled(facts, frame(*rows)).selection == selection


def test_a_reference_below_what_stands_for_chance_is_no_reference() -> None:
    none = {"test_accuracy": math.nan, "validation_accuracy": math.nan, "validation_loss": math.nan}
    rows = [{**none, "l0": 2.3, "test_loss": loss, "lr": lr} for lr, loss in ((0.1, 0.5), (1.0, 2.2))]
    facts = replace(LOSS, constant_loss=None, reference=-3.0)
    assert "the reference score is no better than chance" in filled(facts, frame(*rows)).assumed[-1]
    assert classified(*rows, facts=facts)["skill"].tolist() == pytest.approx([1.0, 0.1 / 1.8])


def test_what_a_log_does_not_tell_is_said() -> None:
    blank = TaskFacts(chance=None, constant_loss=None, reference=0.9, test_size=None)
    assert [text.split(":")[0] for text in filled(blank, frame({}, {"lr": 1.0})).assumed] == [
        "the constant predictor's loss is not known",
        "chance is not known",
    ]
    nothing = filled(blank, frame({"l0": math.nan}))
    assert "no trial can be called a blow-up" in nothing.assumed[0]
    assert classified(BLOWUP | {"l0": math.nan}, facts=blank)["outcome"].tolist() == ["trained"]


def test_where_nothing_beats_chance_skill_is_still_defined() -> None:
    unknown = TaskFacts(chance=0.1, constant_loss=2.3, reference=None, test_size=1000)
    found = classified(AT_CHANCE, NONFINITE, facts=unknown)
    assert found["outcome"].tolist() == ["untrained", "nonfinite"]


def test_no_trials_give_no_outcomes() -> None:
    found = classify(frame(), {"t": FACTS})
    assert len(found) == 0
    assert {"outcome", "side", "evidence", "score", "skill"} <= set(found.columns)


def test_moving_the_floor_reclassifies_without_new_data() -> None:
    row = {"test_accuracy": 0.2}
    assert classified(row)["outcome"].iloc[0] == "trained"
    assert classified(row, skill_floor=0.2)["outcome"].iloc[0] == "untrained"


def test_the_facts_of_a_task_come_from_the_catalog() -> None:
    task = TaskConfig(
        data=Named(name="fashion-mnist"),
        model=Named(name="mlp"),
        norm="none",
        epochs=1,
        batch_size=1,
        augment="none",
        input_scale=1.0,
        stop_above=0.0,
    )
    facts = task_facts(task)
    assert (facts.chance, facts.test_size, facts.reference, facts.validated) == (0.1, 10_000, 0.88, True)
    assert facts.constant_loss == pytest.approx(math.log(10))
