"""Metrics of whole studies: what every study must give, whatever happened in it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.importance import FanovaImportanceEvaluator

from robustness.errors import SpecError
from robustness.summary import METRICS, Delta, MetricRow, Study, measure
from robustness.summary.flags import Flag, Remark
from robustness.summary.importance import factorial_shares, sampled_shares
from robustness.summary.rows import check_metrics
from robustness.summary.tasks import TaskConstants, TaskFacts, filled
from tests.summary.frames import AT_CHANCE, BLOWUP, NONFINITE, frame
from tests.summary.studies import fragile_rows, grid_rows, grid_study, study_of


def one(rows: list[MetricRow], **where: Any) -> MetricRow:
    [found] = [row for row in rows if all(getattr(row, name) == value for name, value in where.items())]
    return found


@pytest.fixture(scope="module")
def rows() -> list[MetricRow]:
    return measure(grid_study())


def test_every_metric_is_measured(rows: list[MetricRow]) -> None:
    assert list(dict.fromkeys(row.metric for row in rows)) == list(METRICS)


def test_every_row_is_json_without_nan_and_every_null_is_explained(rows: list[MetricRow]) -> None:
    for plain in json.loads(json.dumps([row.as_json() for row in rows], allow_nan=False)):
        assert list(plain) == [
            "metric",
            "task",
            "optimizer",
            "init",
            "value",
            "low",
            "high",
            "n",
            "unit",
            "note",
            "at",
            "remarks",
        ]
        assert plain["value"] is not None or plain["note"]
        if plain["low"] is not None and plain["high"] is not None:
            assert plain["low"] <= plain["value"] <= plain["high"]


def test_rates_count_trials_and_windows_decades(rows: list[MetricRow]) -> None:
    rate = one(rows, metric="divergence_rate", optimizer="a", init="i")
    assert (rate.value, rate.n, rate.note.split(";")[0]) == (0.2, 30, "6/30")
    pooled = one(rows, metric="divergence_rate", optimizer="b", init=None)
    assert (pooled.n, pooled.note) == (60, "10/60")
    assert pooled.low <= pooled.value <= pooled.high
    window = one(rows, metric="tolerance_window", optimizer="a", init="i")
    assert (window.value, window.unit, window.note, window.n) == (0.0, "decades", "", 6)
    assert (
        one(
            measure(grid_study(), delta=Delta.parse("0.2")),
            metric="tolerance_window",
            optimizer="a",
            init="i",
        ).value
        == 2
    )


def test_the_order_of_trials_does_not_matter() -> None:
    plain = grid_rows()
    places = np.random.default_rng(0).permutation(len(plain))
    shuffled = study_of(frame(*[plain[i] for i in places]))

    def by_name(study: Study) -> dict[tuple[Any, ...], float]:
        names = [
            m for m in METRICS if m not in ("rate_difference", "comparison", "probability_of_improvement")
        ]
        return {(r.metric, r.task, r.optimizer, r.init, r.at): r.value for r in measure(study, metrics=names)}

    ours, theirs = by_name(grid_study()), by_name(shuffled)
    assert {key[:3] for key in ours} == {key[:3] for key in theirs}
    for key, value in ours.items():
        if key[0] != "importance":
            assert theirs[key] == pytest.approx(value, nan_ok=True), key


def test_two_halves_count_what_the_whole_counts() -> None:
    plain = grid_rows()
    halves = [study_of(frame(*[row for row in plain if row["seed_index"] % 2 == half])) for half in (0, 1)]
    for metric in ("nonfinite_rate", "not_trained_rate", "divergence_rate"):
        whole = one(measure(grid_study(), metrics=[metric]), optimizer="b", init=None)
        parts = [one(measure(half, metrics=[metric]), optimizer="b", init=None) for half in halves]
        assert whole.value * whole.n == pytest.approx(sum(part.value * part.n for part in parts))


SCORES = (
    "score",
    "skill",
    "expected_score",
    "cvar_score",
    "iqm",
    "accuracy_spread_worst",
    "expected_best_of_k",
)


@pytest.mark.parametrize("how", [NONFINITE, BLOWUP])
def test_a_diverged_seed_never_improves_a_score(how: dict[str, Any]) -> None:
    plain = grid_rows(optimizers=("a",))
    more = [
        {"optimizer": "a", "init": init, "lr": lr, "seed_index": 6, **how}
        for init in ("i", "j")
        for lr in (0.001, 0.01, 0.1, 1.0, 10.0)
    ]
    before, after = (measure(study_of(frame(*rows)), metrics=SCORES) for rows in (plain, plain + more))
    known = {(row.metric, row.init, row.at): row.value for row in after}
    for row in before:
        assert known[row.metric, row.init, row.at] <= row.value + 1e-12, row
    rates = [
        one(measure(study_of(frame(*rows)), metrics=["divergence_rate"]), init=None).value
        for rows in (plain, plain + more)
    ]
    assert rates[0] < rates[1]


HUGE = {"train_loss": 1e308, "min_train_loss": 1e308, "max_train_loss": 1e308, "l0": 1e308}
ALL_DEAD = [{**NONFINITE, "lr": lr, "seed_index": s} for lr in (0.001, 0.01) for s in range(3)]
CASES: dict[str, list[dict[str, Any]]] = {
    "nothing complete": [{"state": "waiting"}, {"state": "waiting", "optimizer": "p"}],
    "one trial": [{}],
    "one seed": [{"lr": lr} for lr in (0.01, 0.1, 1.0)],
    "one learning rate": [{"seed_index": s, "optimizer": o} for s in range(3) for o in "op"],
    "all diverged": ALL_DEAD,
    "all diverged against one that trains": ALL_DEAD
    + [{**row, "optimizer": "p"} for row in ALL_DEAD]
    + [{"optimizer": "q"}],
    "all constant": [{"lr": lr, "seed_index": s} for lr in (0.1, 1.0, 10.0) for s in range(4)],
    "near the largest number": [{**HUGE, "lr": lr, "seed_index": s} for lr in (0.1, 1.0) for s in range(3)],
    "blown up": [{**BLOWUP, **HUGE, "test_accuracy": 0.1, "lr": lr} for lr in (0.1, 1.0)],
    "different seeds": [{"seed_index": s, "lr": 0.1} for s in range(5)] + [{"seed_index": 0, "lr": 1.0}],
    "different grids": [{"lr": 0.1}, {"lr": 1.0, "optimizer": "p"}, {"lr": 2.0, "optimizer": "p"}],
    "different initializations": [{"init": "x"}, {"init": "y", "optimizer": "p"}],
    "two tasks": [
        {"task": t, "seed_index": s, "lr": lr} for t in "tu" for s in range(2 + (t == "u")) for lr in (0.1, 1)
    ],
    "at chance": [{**AT_CHANCE, "lr": lr} for lr in (0.1, 1.0)],
}


@pytest.mark.parametrize("case", CASES, ids=list(CASES))
def test_every_study_has_its_metrics(case: str) -> None:
    found = measure(study_of(frame(*CASES[case])))
    for row in found:
        plain = row.as_json()
        assert plain["value"] is not None or plain["note"], row
        assert not (math.isfinite(row.low) and not math.isfinite(row.value)), row


def test_a_row_that_never_trains_has_no_tuned_score_and_says_so() -> None:
    found = measure(study_of(frame(*ALL_DEAD)))
    for metric in ("score", "tolerance_window", "tuned_lr"):
        row = one(found, metric=metric, init="i")
        assert (math.isnan(row.value), row.note) == (True, "no learning rate trains")
    assert one(found, metric="expected_score").value == pytest.approx(0.1)
    assert one(found, metric="iqm").value == 0


def test_without_a_learning_rate_for_all_there_is_no_sensitivity_to_tuning_for_each() -> None:
    grids = {"x": (0.01, 0.1, 1.0), "y": (0.03, 0.3, 3.0)}
    rows = [
        {"init": i, "lr": lr, "seed_index": s} for i, lrs in grids.items() for lr in lrs for s in range(5)
    ]
    metrics = ("hyperparameter_sensitivity", "effective_dimension")
    for row in measure(study_of(frame(*rows)), metrics=metrics):
        note = "no learning rate is complete on every task and initialization"
        assert (math.isnan(row.value), row.note) == (True, note)
    # One that only one seed has on both: without that seed there is none.
    rows += [{"init": "y", "lr": 0.1, "seed_index": 0}]
    first, second = measure(study_of(frame(*rows)), metrics=metrics)
    assert (first.value, first.note) == (0.0, "seeds differ between cells: no interval")
    assert second.value == 0


def test_a_window_at_the_grids_edge_is_censored() -> None:
    trials = frame(*[{"lr": lr, "seed_index": s} for lr in (0.1, 1.0, 10.0) for s in range(3)])
    row = one(measure(study_of(trials), metrics=["tolerance_window"]), init="i")
    assert (row.value, row.note) == (2.0, "censored low and high")


def test_an_optimizer_that_trains_in_a_minority_of_seeds_has_a_window_of_0() -> None:
    found = measure(
        study_of(frame(*fragile_rows({"fragile": 4, "six": 6}))),
        metrics=["tolerance_window", "joint_window", "tuned_lr"],
    )
    row = one(found, metric="tolerance_window", optimizer="fragile")
    assert (row.value, row.note) == (0.0, "most seeds train at no learning rate")
    assert one(found, metric="tuned_lr", optimizer="fragile").note == "most seeds train at no learning rate"
    assert one(found, metric="tolerance_window", optimizer="good").value == 2.0
    for metric in (
        "tolerance_window",
        "joint_window",
    ):  # draws in which most do not train are no wide windows
        row = one(found, metric=metric, optimizer="six")
        assert (row.value, row.low, row.high, row.note) == (0.0, 0.0, 0.0, "")


def test_a_window_of_0_is_compared_as_one() -> None:
    found = measure(study_of(frame(*fragile_rows({"fragile": 4, "six": 6}))), metrics=["comparison"])
    row = one(found, optimizer="fragile", at="tolerance_window against good")
    assert (row.value, row.low, row.high) == (-2.0, -2.0, -2.0)
    assert Remark(Flag.MOST_SEEDS_DO_NOT_TRAIN, (0,)) in row.remarks
    row = one(found, optimizer="six", at="tolerance_window against good")
    assert (row.value, row.high) == (-2.0, -2.0)


def test_seeds_that_all_train_leave_the_critical_learning_rate_censored() -> None:
    trials = frame(*[{"lr": lr, "seed_index": s} for lr in (0.1, 1.0) for s in range(3)])
    row = one(measure(study_of(trials), metrics=["critical_lr"]), at="first not trained, 50 % point")
    assert row.as_json()["value"] is None
    assert row.note == "censored high"


def test_a_task_without_an_accuracy_has_the_same_metrics() -> None:
    none = {
        "test_accuracy": math.nan,
        "validation_accuracy": math.nan,
        "validation_loss": math.nan,
        "max_earlier_score": math.nan,
    }
    losses = {0.01: 40.0, 0.1: 25.0, 1.0: 26.0, 10.0: 60.0}
    trials = frame(
        *[
            {**none, "test_loss": loss + s, "train_loss": loss, "lr": lr, "seed_index": s, "l0": 55.0}
            for lr, loss in losses.items()
            for s in range(4)
        ]
    )
    facts = filled(
        TaskFacts(chance=None, constant_loss=52.7, reference=None, test_size=None, score="loss"), trials
    )
    found = measure(study_of(trials, facts))
    assert one(found, metric="tolerance_window").value == 1.0
    assert "selection on test data" in one(found, metric="tolerance_window").note
    assert one(found, metric="score").value == pytest.approx(-26.5)
    assert one(found, metric="score").unit == "minus loss"
    assert one(found, metric="divergence_rate", init=None).value == 0.25


def test_learning_rates_drawn_at_random_stand_in_bins() -> None:
    rng = np.random.default_rng(0)
    lrs = 10 ** rng.uniform(-4, 1, 200)
    rows = [{"lr": lr, "seed_index": i, **(NONFINITE if lr > 1 else {})} for i, lr in enumerate(lrs)]
    found = measure(study_of(frame(*rows)))
    rate = one(found, metric="divergence_rate", init=None, at="")
    assert rate.n == 200
    assert rate.value == pytest.approx((lrs > 1).mean())
    assert one(found, metric="divergence_rate", at="lr 1 to 1.78").value == 1
    assert 3 < one(found, metric="tolerance_window").value < 4.25
    refused = one(found, metric="critical_lr")
    assert math.isnan(refused.value)
    assert "drawn at random" in refused.note


def test_shares_of_variance_are_exact_on_a_full_grid() -> None:
    a, b, c = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0], [0.0, 1.0], indexing="ij")
    shares = factorial_shares(3 * a + b + 0 * c, ["lr", "init", "seed"])
    variances = 9 * np.var([0, 1, 2]), np.var([0, 1])
    assert shares["lr"] == pytest.approx(variances[0] / sum(variances))
    assert shares["init"] == pytest.approx(variances[1] / sum(variances))
    assert shares["lr x init"] == shares["seed"] == shares["rest"] == 0
    assert factorial_shares(a * b, ["x", "y", "z"])["x x y"] > 0.05
    assert factorial_shares(np.ones((2, 2)), ["lr", "seed"]) == {}
    with pytest.raises(ValueError, match="nothing missing"):
        factorial_shares(np.array([math.nan]), ["lr"])


@pytest.mark.slow
def test_the_learning_rate_decides_a_random_design_in_which_it_alone_decides() -> None:
    rng = np.random.default_rng(0)
    settings = pd.DataFrame({"lr": 10 ** rng.uniform(-4, 1, 120), "momentum": rng.uniform(0, 1, 120)})
    shares = sampled_shares(settings, (settings["lr"] > 0.1).to_numpy(float))
    assert shares["lr"] > 0.9
    assert sampled_shares(settings, np.ones(120)) == {}


def test_a_forest_sees_no_more_than_so_many_trials_of_a_large_random_design(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("robustness.summary.importance.MOST", 60)
    lrs = 10 ** np.random.default_rng(0).uniform(-4, 1, 100)
    rows = [{"lr": float(lr), "seed_index": i, **(NONFINITE if lr > 1 else {})} for i, lr in enumerate(lrs)]
    fitted: list[int] = []
    fit = FanovaImportanceEvaluator.evaluate

    def counted(self: Any, study: Any, **options: Any) -> Any:
        fitted.append(len(study.trials))
        return fit(self, study, **options)

    monkeypatch.setattr(FanovaImportanceEvaluator, "evaluate", counted)
    found, again = (measure(study_of(frame(*rows)), metrics=["importance"]) for _ in range(2))
    assert fitted == [60] * 4
    assert found == again
    assert {row.note for row in found} == {
        "not a full grid: Optuna's fANOVA, single axes, on 60 of 100 trials, drawn at random"
    }


@pytest.mark.parametrize(
    ("text", "value", "of_skill"), [("0.02", 0.02, False), ("5%", 0.05, True), ("0", 0, False)]
)
def test_delta_is_a_score_or_a_share_of_skill(text: str, value: float, of_skill: bool) -> None:
    assert Delta.parse(text) == Delta(value, of_skill)


@pytest.mark.parametrize("text", ["-1", "x", "nan", "inf", "", "%"])
def test_another_delta_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="must be a score >= 0"):
        Delta.parse(text)


def test_a_misspelt_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean 'tolerance_window'"):
        check_metrics(["tolerance_windw"])


def test_skill_and_score_agree_on_what_a_delta_is() -> None:
    constants = TaskConstants(chance=0.1, constant_loss=2.3, reference=0.9, test_size=100)
    span = constants.reference - constants.chance
    assert Delta.parse("5%").in_score(span, is_loss=False) == pytest.approx(0.04)
    assert Delta.parse("0.05").in_score(span, is_loss=False) == 0.05
    assert Delta.parse("0.05").in_score(span, is_loss=True) == pytest.approx(0.04)


def test_a_log_in_which_no_loss_is_finite_is_measured() -> None:
    none = dict.fromkeys(
        ("test_accuracy", "validation_accuracy", "validation_loss", "max_earlier_score"), math.nan
    )
    dead = {**NONFINITE, **none, "l0": math.nan, "train_loss": math.inf, "test_loss": math.nan}
    trials = frame(
        *[
            {**dead, "lr": lr, "seed_index": s, "optimizer": o}
            for o in "op"
            for lr in (0.1, 1.0)
            for s in (0, 1)
        ]
    )
    facts = filled(
        TaskFacts(chance=None, constant_loss=None, reference=None, test_size=None, score="loss"), trials
    )
    assert any("no loss is finite" in text for text in facts.assumed)
    found = measure(study_of(trials, facts))
    assert one(found, metric="divergence_rate", optimizer="o", init=None).value == 1
    assert all(row.note for row in found if math.isnan(row.value))


def test_a_divergence_without_a_loss_to_cap_it_at_is_not_left_out_of_the_sensitivity() -> None:
    trials = frame(*[{"lr": lr, **(NONFINITE if lr == 10 else {}), "l0": math.nan} for lr in (0.1, 1.0, 10)])
    facts = filled(TaskFacts(chance=0.1, constant_loss=None, reference=0.9, test_size=None), trials)
    row = one(measure(study_of(trials, facts), metrics=["lr_sensitivity"]))
    assert (math.isnan(row.value), row.note) == (True, "no training losses, or nothing to cap them at")


def test_one_missing_square_does_not_make_a_joint_window_untrained() -> None:
    plain = [row for row in grid_rows(optimizers=("a",)) if not (row["init"] == "j" and row["lr"] == 0.001)]
    row = one(measure(study_of(frame(*plain)), metrics=["joint_window"]))
    assert (row.value, row.unit) == (0.0, "decades")


def test_a_window_that_ends_at_a_missing_square_is_censored_and_draws_without_it_give_no_interval() -> None:
    rows = [{"lr": lr, "seed_index": 0} for lr in (0.01, 0.1, 1.0, 10.0)]
    rows += [{"lr": 0.1, "seed_index": s} for s in range(1, 8)]
    row = one(measure(study_of(frame(*rows)), metrics=["tolerance_window"]), init="i")
    assert math.isnan(row.low)
    assert "most seeds lack the tuned learning rate: no interval" in row.note
    gap = frame(*[{"lr": lr, "seed_index": s} for lr in (0.01, 0.1, 10.0) for s in range(4)])
    other = frame(*[{"lr": 1.0, "init": "other", "seed_index": s} for s in range(4)])
    row = one(measure(study_of(pd.concat([gap, other])), metrics=["tolerance_window"]), init="i")
    assert "censored" in row.note


def test_optimizers_with_other_seeds_and_initializations_are_compared_where_they_meet() -> None:
    plain = [
        r for r in grid_rows() if not (r["optimizer"] == "b" and (r["init"] == "j" or r["seed_index"] == 5))
    ]
    row = one(measure(study_of(frame(*plain)), metrics=["rate_difference"]))
    assert row.n == 5
    assert row.note.startswith("4/25 less 5/25, at nominal learning rates")
    assert row.value == pytest.approx(-0.04)


def test_two_censored_windows_are_not_called_equal() -> None:
    trials = frame(
        *[{"lr": lr, "seed_index": s, "optimizer": o} for o in "op" for lr in (0.1, 1.0) for s in range(3)]
    )
    row = one(measure(study_of(trials), metrics=["comparison"]), at="tolerance_window against o")
    assert math.isnan(row.value)
    assert row.remarks == (Remark(Flag.BOTH_CENSORED),)


def test_the_samples_that_look_at_earlier_trials_have_no_best_of_k_and_say_why() -> None:
    study = replace(grid_study(), spec={"search": {"sampler": "tpe"}})
    rows = measure(study, metrics=["expected_best_of_k"])
    assert {row.note for row in rows} == {"settings were chosen by tpe, where scores are best"}


def test_where_nothing_trains_nothing_is_lost_by_a_transfer() -> None:
    def dead(seeds: int) -> list[dict[str, Any]]:
        return [
            {"init": init, "lr": lr, "seed_index": s, **(AT_CHANCE if s < seeds else {})}
            for init in ("i", "j")
            for lr in (0.01, 0.1)
            for s in range(5)
        ]

    for seeds in (5, 3):
        [row] = measure(study_of(frame(*dead(seeds))), metrics=["transfer_regret"])
        assert math.isnan(row.value)
        assert row.note == "most seeds train at no learning rate"
    [row] = measure(study_of(frame(*dead(2))), metrics=["transfer_regret"])
    assert row.value == 0
