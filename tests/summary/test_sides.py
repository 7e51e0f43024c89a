"""Sides by rule version 3: case by case, against a slow reference, and on the quickstart's trials."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robustness.summary import TaskConstants, Thresholds, classify
from robustness.summary.tasks import ROW
from tests.summary.frames import AT_CHANCE, BLOWUP, FACTS, NONFINITE, frame

QUICKSTART = Path(__file__).parents[1] / "data" / "outcomes" / "quickstart.csv"
RISEN = {**AT_CHANCE, "train_loss": 2.31}
COLLAPSED = {**AT_CHANCE, "max_earlier_score": 0.5}


def classified(*rows: dict[str, Any], only_lr_varies: bool = True, **thresholds: float) -> pd.DataFrame:
    return classify(frame(*rows), {"t": FACTS}, Thresholds(**thresholds), only_lr_varies=only_lr_varies)  # type: ignore[arg-type]


def side(*rows: dict[str, Any], of: int = 0) -> tuple[str, str]:
    labelled = classified(*rows).iloc[of]
    return str(labelled["side"]), str(labelled["evidence"])


def other_seeds(lr: float, trained: int, untrained: int = 0) -> list[dict[str, Any]]:
    """Trials of seeds 1, 2, ... of the row at a learning rate."""
    return [
        {"lr": lr, "seed_index": seed, **({} if seed <= trained else AT_CHANCE)}
        for seed in range(1, 1 + trained + untrained)
    ]


def test_nonfinite_and_blowup_are_diverged() -> None:
    assert side(NONFINITE) == ("diverged", "nonfinite")
    assert side(BLOWUP) == ("diverged", "blowup")
    assert side({"stopped": 1.0, **AT_CHANCE}) == ("diverged", "blowup")


def test_an_untrained_trial_that_fell_below_half_of_an_earlier_skill_has_collapsed() -> None:
    assert side(COLLAPSED) == ("diverged", "collapsed")
    # Skill 0.11 before and 0.09 now is a wobble about the floor.
    wobbling = {"max_earlier_score": 0.1 + 0.11 * 0.87, "test_accuracy": 0.1 + 0.09 * 0.87}
    assert side({**AT_CHANCE, **wobbling}) == ("unresolved", "")
    assert side({**AT_CHANCE, **wobbling, "test_accuracy": 0.1 + 0.05 * 0.87})[1] == "collapsed"
    assert side({**COLLAPSED, "test_accuracy": math.nan})[1] == "collapsed"


def test_an_earlier_skill_counts_above_the_floor_of_the_outcome_and_not_above_a_tenth() -> None:
    small = TaskConstants(chance=0.1, constant_loss=2.3, reference=0.97, test_size=20)
    floor = 0.1 + 3.09 * math.sqrt(0.1 * 0.9 / 20)
    for accuracy, evidence in ((floor - 1e-6, ""), (floor + 1e-6, "collapsed")):
        trials = frame({**AT_CHANCE, "max_earlier_score": accuracy})
        assert classify(trials, {"t": small})["evidence"].tolist() == [evidence]


def test_a_collapse_weighs_more_than_a_larger_learning_rate_that_trains() -> None:
    assert side({**COLLAPSED, "lr": 0.01}, {"lr": 0.1}) == ("diverged", "collapsed")


def test_above_a_learning_rate_that_trains_for_its_seed_a_trial_diverged() -> None:
    assert side({**AT_CHANCE, "lr": 1.0}, {"lr": 0.1}) == ("diverged", "smaller-lr-trains")
    assert side({**AT_CHANCE, "lr": 0.3}, {"lr": 0.1}, {"lr": 1.0}) == ("diverged", "smaller-lr-trains")


def test_below_a_learning_rate_that_trains_for_its_seed_a_trial_stalled_however_its_loss_wobbled() -> None:
    assert side({**AT_CHANCE, "lr": 0.01}, {"lr": 0.1}) == ("stalled", "larger-lr-trains")
    assert side({**RISEN, "lr": 0.01}, {"lr": 0.1}) == ("stalled", "larger-lr-trains")


def test_its_own_seed_outweighs_all_others() -> None:
    rows = [{**AT_CHANCE, "lr": 0.01}, {"lr": 0.1}, *other_seeds(0.001, trained=9)]
    assert side(*rows) == ("stalled", "larger-lr-trains")


def test_another_row_is_no_evidence() -> None:
    assert side({**AT_CHANCE, "lr": 1.0}, {"lr": 0.1, "init": "other"}) == ("unresolved", "")


def test_where_its_seed_says_nothing_most_of_at_least_three_other_seeds_do() -> None:
    trial = {**AT_CHANCE, "lr": 1.0}
    assert side(trial, *other_seeds(0.1, trained=2)) == ("unresolved", "")
    assert side(trial, *other_seeds(0.1, trained=3)) == ("diverged", "smaller-lr-trains-other-seeds")
    assert side(trial, *other_seeds(0.1, trained=2, untrained=1))[0] == "diverged"
    assert side(trial, *other_seeds(0.1, trained=2, untrained=2)) == ("unresolved", "")
    assert side(trial, *other_seeds(9.0, trained=3)) == ("stalled", "larger-lr-trains-other-seeds")
    assert side(trial, *other_seeds(9.0, trained=3), *other_seeds(0.1, trained=3))[0] == "diverged"


def test_a_seed_is_not_one_of_its_other_seeds() -> None:
    trials = [{**AT_CHANCE, "lr": 1.0}, {**AT_CHANCE, "lr": 0.1}]
    assert side(*trials, *other_seeds(0.1, trained=2)) == ("unresolved", "")
    assert side(*trials, *other_seeds(0.1, trained=2, untrained=1))[1] == "smaller-lr-trains-other-seeds"


def test_a_rise_of_the_loss_counts_where_no_row_says_anything() -> None:
    rise = 0.003 * 2.3
    assert side({**AT_CHANCE, "train_loss": 2.3 + 1.01 * rise}) == ("diverged", "loss-rise")
    assert side({**AT_CHANCE, "train_loss": 2.3 + 0.99 * rise}) == ("unresolved", "")
    assert side({**RISEN, "lr": 0.01}, *other_seeds(0.1, trained=3))[0] == "stalled"


def test_a_rise_of_a_large_loss_is_measured_against_its_own_minimum() -> None:
    large = {**AT_CHANCE, "l0": 128.0, "min_train_loss": 112.0}
    assert side({**large, "train_loss": 112.0 + 0.3}) == ("unresolved", "")
    assert side({**large, "train_loss": 112.0 + 0.4}) == ("diverged", "loss-rise")


def test_a_loss_that_stayed_at_a_minimum_of_zero_did_not_rise() -> None:
    flat = frame({"train_loss": 0.0, "min_train_loss": 0.0, "test_accuracy": 0.1, "max_earlier_score": 0.1})
    constants = TaskConstants(chance=0.1, constant_loss=0.0, reference=0.97, test_size=360)
    assert classify(flat, {"t": constants})["side"].tolist() == ["unresolved"]


def test_where_more_than_the_learning_rate_varies_only_the_trial_itself_is_evidence() -> None:
    rows = [{"lr": 0.01, "seed_index": seed} for seed in range(4)]
    rows += [
        {"lr": 0.1, "seed_index": seed, **end}
        for seed, end in enumerate((AT_CHANCE, RISEN, COLLAPSED, BLOWUP))
    ]
    assert set(classified(*rows)["side"]) == {"trained", "diverged"}
    labelled = classified(*rows, only_lr_varies=False).iloc[4:]
    assert labelled["side"].tolist() == ["unresolved", "diverged", "diverged", "diverged"]
    assert labelled["evidence"].tolist() == ["", "loss-rise", "collapsed", "blowup"]


def test_how_many_other_seeds_speak_and_how_far_a_collapse_falls_are_thresholds() -> None:
    rows = ({**AT_CHANCE, "lr": 1.0}, *other_seeds(0.1, trained=2))
    assert classified(*rows, fewest_other_seeds=2)["side"].iloc[0] == "diverged"
    assert classified(COLLAPSED, collapse=0.0)["side"].tolist() == ["unresolved"]


# -- any small study -------------------------------------------------------------------------------

LRS = (0.01, 0.1, 1.0, 10.0)
ENDS: tuple[dict[str, float], ...] = (
    {},
    {},
    AT_CHANCE,
    AT_CHANCE,
    RISEN,
    COLLAPSED,
    BLOWUP,
    NONFINITE,
    {"stopped": 1.0},
    {**AT_CHANCE, "test_accuracy": math.nan},
    {**AT_CHANCE, "train_loss": math.inf, "l0": math.inf},
    {**AT_CHANCE, "train_loss": math.nan, "min_train_loss": math.nan},
)
TRIALS = st.builds(
    lambda place, end: {**place, **end},
    st.fixed_dictionaries(
        {
            "init": st.sampled_from(["i", "j"]),
            "lr": st.sampled_from(LRS),
            "seed_index": st.integers(0, 5),
        }
    ),
    st.sampled_from(ENDS)
    | st.fixed_dictionaries(
        {
            "test_accuracy": st.floats(0, 1),
            "train_loss": st.floats(0, 1e308) | st.just(math.nan) | st.just(math.inf),
            "min_train_loss": st.floats(0, 1e308) | st.just(math.nan),
            "first_nonfinite_step": st.just(math.nan) | st.integers(1, 9).map(float),
            "max_earlier_score": st.floats(0, 1) | st.just(math.nan),
            "l0": st.floats(0, 1e308) | st.just(math.nan),
        }
    ),
)
# Squares may be missing, and some are there twice.
STUDIES = st.lists(TRIALS, min_size=1, max_size=24)


def said(trial: dict[str, Any], trials: list[dict[str, Any]]) -> tuple[str, str]:
    """Side and evidence of a trial, as METRICS words the rule; slow."""
    outcome, skill = trial["outcome"], trial["skill"]
    if outcome == "trained":
        return "trained", ""
    if outcome in ("nonfinite", "blowup"):
        return "diverged", outcome
    span = FACTS.reference - FACTS.chance
    floor = max(0.1, 3.09 * math.sqrt(FACTS.chance * (1 - FACTS.chance) / 360) / span)
    earlier = (trial["max_earlier_score"] - FACTS.chance) / span
    if earlier > floor and (0 if math.isnan(skill) else skill) < earlier / 2:
        return "diverged", "collapsed"
    row = [other for other in trials if all(other[name] == trial[name] for name in ROW)]
    own = [other for other in row if other["seed_index"] == trial["seed_index"]]
    trained_lrs = [other["lr"] for other in own if other["outcome"] == "trained"]
    if any(lr < trial["lr"] for lr in trained_lrs):
        return "diverged", "smaller-lr-trains"
    if any(lr > trial["lr"] for lr in trained_lrs):
        return "stalled", "larger-lr-trains"
    speaking_lrs = []
    for lr in LRS:
        others = [other for other in row if other["seed_index"] != trial["seed_index"] and other["lr"] == lr]
        tried = {other["seed_index"] for other in others}
        trained = {other["seed_index"] for other in others if other["outcome"] == "trained"}
        if len(tried) >= 3 and len(trained) > len(tried) / 2:
            speaking_lrs.append(lr)
    if any(lr < trial["lr"] for lr in speaking_lrs):
        return "diverged", "smaller-lr-trains-other-seeds"
    if any(lr > trial["lr"] for lr in speaking_lrs):
        return "stalled", "larger-lr-trains-other-seeds"
    least = trial["min_train_loss"]
    rise = trial["train_loss"] - least
    if not math.isnan(least) and rise > 0 and rise >= 0.003 * max(FACTS.constant_loss, abs(least)):
        return "diverged", "loss-rise"
    return "unresolved", ""


@given(STUDIES)
@example([{**AT_CHANCE, "lr": 1.0, "seed_index": 0}, *other_seeds(0.1, 2, 1), *other_seeds(0.01, 3)])
def test_sides_and_evidence_are_those_of_a_slow_reading_of_the_rule(rows: list[dict[str, Any]]) -> None:
    labelled = classified(*rows)
    trials: list[dict[str, Any]] = labelled.to_dict("records")  # type: ignore[assignment]
    expected = [said(trial, trials) for trial in trials]
    assert list(zip(labelled["side"], labelled["evidence"], strict=True)) == expected


@given(STUDIES)
def test_nothing_that_diverged_by_its_row_or_its_loss_lies_below_what_trains_for_its_seed(
    rows: list[dict[str, Any]],
) -> None:
    labelled = classified(*rows)
    by_itself = ["nonfinite", "blowup", "collapsed"]
    judged = labelled[(labelled["side"] == "diverged") & ~labelled["evidence"].isin(by_itself)]
    assert (judged["lr"] >= smallest_trained_lrs(labelled).loc[judged.index].fillna(0)).all()


def smallest_trained_lrs(labelled: pd.DataFrame) -> pd.Series[float]:
    """For each trial the smallest learning rate that trains for its seed; NaN where none does."""
    seeds = [labelled[name] for name in (*ROW, "seed_index")]
    return labelled["lr"].where(labelled["outcome"] == "trained").groupby(seeds).transform("min")


@given(STUDIES, st.randoms())
def test_labels_do_not_depend_on_the_order_of_the_trials(rows: list[dict[str, Any]], random: Any) -> None:
    labelled = classified(*rows)
    places = list(range(len(rows)))
    random.shuffle(places)
    shuffled = classified(*[rows[place] for place in places])
    for column in ("outcome", "side", "evidence"):
        assert shuffled[column].tolist() == labelled[column].iloc[places].tolist()


@given(STUDIES)
def test_every_trial_has_one_outcome_and_a_side_that_fits(rows: list[dict[str, Any]]) -> None:
    labelled = classified(*rows)
    assert set(labelled["outcome"]) <= {"trained", "untrained", "nonfinite", "blowup"}
    assert ((labelled["side"] == "trained") == (labelled["outcome"] == "trained")).all()
    assert labelled.loc[labelled["outcome"].isin(["nonfinite", "blowup"]), "side"].eq("diverged").all()
    without = labelled["side"].isin(["trained", "unresolved"])
    assert ((labelled["evidence"] == "") == without).all()
    assert labelled["score"].between(0, 1).all()


# -- the quickstart --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quickstart() -> pd.DataFrame:
    """Its 1,280 trials, as `robustness run studies/quickstart.toml` ended them, to six digits; classified."""
    recorded = pd.read_csv(QUICKSTART)
    trials = frame(*recorded.assign(max_train_loss=math.nan).to_dict("records"))  # type: ignore[arg-type]
    digits = TaskConstants(chance=37 / 360, constant_loss=2.302483, reference=0.97, test_size=360)
    return classify(trials, {"t": digits})


def test_no_trial_of_the_quickstart_diverged_below_the_smallest_learning_rate_that_trains_for_its_seed(
    quickstart: pd.DataFrame,
) -> None:
    diverged = quickstart[quickstart["side"] == "diverged"]
    assert not (diverged["lr"] < smallest_trained_lrs(quickstart).loc[diverged.index]).any()
    assert quickstart["side"].value_counts().to_dict() == {"trained": 834, "diverged": 250, "stalled": 196}
    assert quickstart["evidence"].value_counts().to_dict() == {
        "": 834,
        "larger-lr-trains": 196,
        "smaller-lr-trains": 155,
        "blowup": 74,
        "collapsed": 21,
    }


def test_the_four_trials_of_the_quickstart_that_noise_had_called_diverged_stalled(
    quickstart: pd.DataFrame,
) -> None:
    names = ["optimizer", "init", "seed_index"]
    for lr, optimizer, init, seed in (
        (1e-3, "insgd", "kaiming-normal", 1),
        (1e-4, "sgd", "normal std=2 (bad)", 0),
        (4.64159e-4, "momentum", "kaiming-normal", 1),
        (1e-4, "adam", "normal std=2 (bad)", 0),
    ):
        row = quickstart[(quickstart[names] == [optimizer, init, seed]).all(axis=1)]
        [trial] = row[np.isclose(row["lr"], lr)].to_dict("records")
        assert (trial["side"], trial["evidence"]) == ("stalled", "larger-lr-trains")
