"""What an audit says of a study, section by section, and that it answers whatever happened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustness.store import open_store
from robustness.summary import Study, load_study
from robustness.summary.audit import AuditInfo, audit_info
from robustness.summary.audit_rows import ChangeableLabels
from robustness.summary.findings import FindingCode, study_findings
from robustness.wording.audit import SECTIONS as EVERY_SECTION
from robustness.wording.audit import audit_as_json, section_text
from tests.builders import dead_epoch, epoch, record, save, trials
from tests.importers.logs import DATA, imported
from tests.summary.frames import FACTS, NONFINITE, frame
from tests.summary.studies import fragile_rows, grid_rows, grid_study, study_of
from tests.summary.test_measure import CASES
from tests.wording.test_warnings import SHAPED

SECTIONS = ("budgets", "missing", "edges", "defaults", "selection", "labels")


def of(*rows: dict[str, Any], **changes: Any) -> AuditInfo:
    return audit_info(study_of(frame(*rows), **changes))


def says(info: AuditInfo, name: str) -> str:
    return section_text(info, name)


def verdicts(info: AuditInfo) -> dict[str, str]:
    return {name: getattr(info, name).verdict for name in SECTIONS}


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    """A study in a real store, its trials as `complete(trial)` says; None leaves them waiting."""

    def made(complete: Any, **changes: Any) -> Study:
        with open_store(str(tmp_path / "s.db"), create=True) as store:
            held = store.acquire(save(store, **changes))
            for trial in trials(**changes):
                epochs = complete(trial)
                if epochs is not None:
                    dead = any(np.isnan(row.test_accuracy) for row in epochs)
                    store.finish(held, [record(trial, *epochs, step=1 if dead else None)])
            return load_study(store, "small")

    return made


def test_a_sound_study_is_ok_in_every_section() -> None:
    info = of(*SHAPED)
    assert verdicts(info) == dict.fromkeys(SECTIONS, "ok") | {"defaults": "look"}
    assert "default" in says(info, "defaults")
    known = of(*({**row, "lr": row["lr"] / 100} for row in SHAPED))  # sgd's default, 0.001, among them
    assert verdicts(known) == dict.fromkeys(SECTIONS, "ok")


def test_budgets_count_trials_settings_and_seeds_of_each_optimizer(stored: Any) -> None:
    search = {"lr": [0.01, 0.1, 1.0], "init": ["default", "orthogonal"], "seeds": 2}
    optimizers = [{"name": "sgd"}, {"name": "adam", "lr": [0.1, 1.0]}]
    study = stored(
        lambda t: None if t.seed_index == 1 and t.cell.lr == 1.0 else [epoch(1)],
        search=search,
        optimizers=optimizers,
    )
    info = audit_info(study)
    sgd, adam = info.budgets.rows
    assert (sgd.trials, sgd.complete, sgd.missing, sgd.failed) == (12, 10, 2, 0)
    assert (sgd.inits, sgd.fewest_lrs, sgd.most_lrs, sgd.seeds, sgd.drawn) == (2, 3, 3, 2, False)
    assert (adam.trials, adam.most_lrs) == (8, 2)
    assert info.budgets.verdict == "bad"
    assert "different numbers of trials on digits mlp. 4 of 20 trials are missing (0 failed)" in says(
        info, "budgets"
    )


def test_equal_budgets_are_said_with_their_size() -> None:
    info = audit_info(grid_study())
    assert (info.budgets.verdict, says(info, "budgets")) == (
        "ok",
        "Every optimizer gets the same budget, 60 trials.",
    )


def test_a_square_that_lacks_planned_trials_is_apart_from_one_that_was_given_fewer_seeds() -> None:
    lost = {**SHAPED[0], "state": "failed"}
    info = of(lost, *SHAPED[1:-1])
    first, last = info.missing.rows
    assert (first.lr, first.complete, first.planned, first.seeds) == (0.01, 11, 12, 12)
    assert (last.lr, last.complete, last.planned, last.seeds) == (1.0, 11, 11, 12)
    assert info.missing.verdict == "look"
    for words in (
        "Trials that were planned are missing in 1 of 3 squares.",
        "Fewer seeds were run in 1 of 3 squares",
    ):
        assert words in says(info, "missing")


def test_a_square_without_any_trial_is_bad() -> None:
    info = of(*({**row, "state": "waiting" if row["lr"] == 1.0 else "complete"} for row in SHAPED))
    assert (info.missing.verdict, len(info.missing.rows)) == ("bad", 1)
    assert "In 1 of these none is complete" in says(info, "missing")


def test_an_optimum_at_the_edge_is_bad_and_a_censored_window_is_worth_a_look() -> None:
    def study(best: float, others: float) -> AuditInfo:
        scores = {lr: best if lr == 1.0 else others for lr in (0.01, 0.1, 1.0)}
        return of(
            *(
                {**row, "test_accuracy": scores[row["lr"]], "validation_accuracy": scores[row["lr"]]}
                for row in SHAPED
            )
        )

    edge = study(0.95, 0.5)
    [row] = edge.edges.rows
    assert (edge.edges.verdict, row.tuned, row.window) == ("bad", "high", "high")
    wide = of(*({**row, "test_accuracy": 0.94} for row in SHAPED))
    [row] = wide.edges.rows
    assert (wide.edges.verdict, row.tuned, row.window, row.cut) == ("look", "", "low and high", False)
    assert "a missing square in 1 of 1 row. It is at least as wide" in says(wide, "edges")


def test_a_window_that_ends_at_a_missing_square_is_censored() -> None:
    rows = [row for row in SHAPED if row["lr"] != 0.01]
    more = [{**row, "lr": 0.001, "init": "j"} for row in SHAPED[:12]]
    there = [{**row, "init": "j"} for row in rows] + more
    low = [{**row, "lr": 0.01, "test_accuracy": 0.5} for row in rows[:12]]
    edges = of(*rows, *low, *there).edges
    assert [row.cut for row in edges.rows] == [True, True]


def test_a_row_in_which_a_minority_of_seeds_trains_has_no_edge() -> None:
    info = of(*fragile_rows({"fragile": 4}))
    assert says(info, "edges") == "Most seeds train at no learning rate in 1 of 2 rows."
    [_, row] = info.edges.rows
    assert (row.trains, row.mostly, row.tuned, row.window, row.cut) == (True, False, "", "", False)


def test_rows_in_which_nothing_trains_are_named_and_have_no_tuned_score() -> None:
    info = of(*({**row, **NONFINITE} for row in SHAPED))
    [row] = info.edges.rows
    assert (info.edges.verdict, row.trains, row.init) == ("look", False, "i")
    [against] = info.defaults.rows
    assert np.isnan([against.tuned_lr, against.tuned_score, against.gain]).all()


def test_the_tuned_learning_rate_stands_beside_the_default() -> None:
    optimizers = {"a": {"name": "adam"}, "b": {"name": "unheard-of"}}
    info = audit_info(replace(grid_study(), optimizers=optimizers))
    first = info.defaults.rows[0]
    assert (first.optimizer, first.init, first.tuned_lr, first.default_lr, first.tried_lr) == (
        "a",
        "i",
        0.1,
        0.001,
        0.001,
    )
    assert first.gain == pytest.approx(first.tuned_score - first.default_score)
    assert first.low <= first.gain <= first.high
    assert first.n == 6
    unknown = info.defaults.rows[-1]
    assert np.isnan([unknown.default_lr, unknown.tried_lr, unknown.gain]).all()
    assert info.defaults.verdict == "look"
    assert "in 2 of 2 rows" in says(info, "defaults")
    assert "2 rows cannot be compared" in says(info, "defaults")


def test_selection_on_test_data_is_bad_and_few_seeds_are_worth_a_look() -> None:
    assert of(*SHAPED).selection.verdict == "ok"
    few = of(*(row for row in SHAPED if row["seed_index"] < 3))
    assert few.selection.verdict == "look"
    assert "3 seeds: below 10" in says(few, "selection")
    on_test = of(*SHAPED, facts=replace(FACTS, selection="test"))
    assert on_test.selection.verdict == "bad"
    assert "t: there are no validation scores" in says(on_test, "selection")
    assert "on the same data are too good" in says(on_test, "selection")


def test_what_labels_rest_on_is_counted_and_rows_with_gaps_are_named() -> None:
    rows = grid_rows(optimizers=("a",), inits=("i",))
    for row in rows:
        row["max_loss_rise"] = 9.0 if row["lr"] == 1.0 else 0.1
        if row["lr"] == 0.1 and row["seed_index"] == 4:
            row |= NONFINITE
    [found] = of(*rows).labels.rows
    assert found.complete == 30
    assert found.changeable == ChangeableLabels(own_seed=6, other_seeds=0, loss_rise=0)
    assert (found.chaotic, found.seed_rows) == (6, 6)
    assert [(gap.init, gap.seeds) for gap in found.gaps] == [("i", (4,))]
    text = says(of(*rows), "labels")
    for words in (
        "6 of 30 labels can change",
        "6 on other learning rates of their seed",
        "6 trials are chaotic",
        "1 of 6 rows of a seed",
    ):
        assert words in text


def test_trials_that_a_sampler_added_are_counted_by_reason() -> None:
    study = grid_study()
    assert audit_info(study).additions is None
    assert audit_info(replace(study, trials=study.trials.assign(reason=""))).additions is None
    reason = pd.Series([""] * len(study.trials), dtype=object)
    reason[:3], reason[3:5] = "edge of the window", "between two rates"
    info = audit_info(replace(study, trials=study.trials.assign(reason=reason)))
    found = info.additions
    assert found is not None
    assert [(row.optimizer, row.reason, row.trials) for row in found.rows] == [
        ("a", "edge of the window", 3),
        ("a", "between two rates", 2),
    ]
    assert found.verdict == "look"
    assert "different numbers of them on t" in says(info, "additions")
    even = pd.Series(["edge"] * len(study.trials))
    found = audit_info(replace(study, trials=study.trials.assign(reason=even))).additions
    assert found is not None
    assert found.verdict == "ok"


@pytest.mark.parametrize("case", CASES, ids=list(CASES))
def test_every_study_has_an_audit_that_is_json_without_nan(case: str) -> None:
    plain = json.loads(json.dumps(audit_as_json(of(*CASES[case])), allow_nan=False))
    assert list(plain) == ["study", "title", *EVERY_SECTION]
    for name in SECTIONS:
        assert plain[name]["verdict"] in ("ok", "look", "bad")
        assert plain[name]["says"]


def test_a_study_without_trials_has_an_audit() -> None:
    info = of()
    assert says(info, "budgets") == "The study has no trials yet."
    assert verdicts(info) == dict.fromkeys(SECTIONS, "look")


@pytest.mark.parametrize(
    ("complete", "edges"),
    [
        (lambda t: None, "Nothing is complete yet."),
        (lambda t: [dead_epoch(1)], "No learning rate trains in 1 of 1 row."),
    ],
    ids=["nothing yet", "all diverged"],
)
def test_a_stored_study_is_audited_whatever_happened(complete: Any, edges: str, stored: Any) -> None:
    info = audit_info(stored(complete, search={"lr": [0.1, 1.0], "seeds": 1}))
    assert says(info, "edges") == edges
    assert json.dumps(audit_as_json(info), allow_nan=False)


def test_an_imported_study_is_audited_and_its_tuned_rates_are_selected_on_test_data(tmp_path: Path) -> None:
    info = audit_info(imported(tmp_path, "deepobs", DATA / "deepobs"))
    assert info.selection.verdict == "bad"
    assert [(row.complete, row.planned, row.seeds) for row in info.missing.rows] == [(1, 1, 3)] * 2
    assert [row.lr for row in info.missing.rows] == [1e-5, 10.0]


def test_a_second_hyperparameter_of_an_import_is_worth_a_look(tmp_path: Path) -> None:
    info = audit_info(imported(tmp_path, "csv", DATA / "csv" / "noseed.csv"))
    settings = info.settings
    assert settings is not None
    assert (settings.verdict, says(info, "settings")) == (
        "look",
        "An optimizer has several labels by its other settings, and each label is tuned by itself: weight_decay.",
    )
    [row] = settings.rows
    assert (row.task, row.optimizer, row.setting, row.values, row.inside) == (
        "task",
        "sgd",
        "weight_decay",
        2,
        False,
    )


def test_settings_that_vary_inside_rows_are_worth_a_look(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    rows = [f"sgd,{lr},{seed},0.9,{seed // 2}" for lr in (0.1, 1.0) for seed in range(4)]
    table.write_text("\n".join(["optimizer,lr,seed,test_accuracy,weight_decay", *rows]))
    info = audit_info(imported(tmp_path, "csv", table))
    settings = info.settings
    assert settings is not None
    assert [(row.optimizer, row.setting, row.values, row.inside) for row in settings.rows] == [
        ("sgd", "weight_decay", 2, True)
    ]
    assert settings.verdict == "look"
    assert "so they are no repetitions: weight_decay" in says(info, "settings")


def test_an_import_without_other_settings_is_ok_and_a_study_that_was_run_is_not_asked(tmp_path: Path) -> None:
    settings = audit_info(imported(tmp_path, "deepobs", DATA / "deepobs")).settings
    assert settings is not None
    assert (settings.verdict, settings.rows) == ("ok", ())
    assert audit_info(grid_study()).settings is None


def test_rows_inside_which_another_setting_varies_are_not_asked_for_monotony(tmp_path: Path) -> None:
    """A larger momentum fails at a learning rate above which a smaller one trains: that is no gap of one row."""
    table = tmp_path / "runs.csv"
    rows = [
        f"sgd,{lr},{seed},{accuracy},{momentum}"
        for seed in range(4)
        for lr, accuracy, momentum in ((0.1, 0.1, 0.99), (1.0, 0.9, 0.5))
    ]
    table.write_text("\n".join(["optimizer,lr,seed,test_accuracy,momentum", *rows]))
    info = audit_info(imported(tmp_path, "csv", table))
    [labels] = info.labels.rows
    assert (labels.seed_rows, labels.gaps) == (0, ())
    assert FindingCode.NON_MONOTONE_ROWS not in {finding.code for finding in info.labels.findings}


def test_of_learning_rates_drawn_at_random_no_square_lacks_a_seed() -> None:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = [
        {"lr": float(lr), "seed_index": i} for i, lr in enumerate(10 ** rng.uniform(-4, 1, 60))
    ]
    rows[7]["state"] = "failed"
    info = of(*rows)
    [budget] = info.budgets.rows
    assert (budget.drawn, budget.most_lrs) == (True, 60)
    assert [(row.complete, row.planned, row.seeds) for row in info.missing.rows] == [(0, 1, 1)]
    assert info.labels.rows[0].seed_rows == 0


def test_edge_has_no_budget_to_compare_and_no_tuned_rate_to_select(stored: Any) -> None:
    search = {"sampler": "edge", "lr": {"low": 0.01, "high": 1.0}, "seeds": 2}
    study = stored(lambda t: [epoch(1)], search={"lr": [0.1, 1.0], "seeds": 2})
    info = audit_info(replace(study, spec={**study.spec, "search": {**study.spec["search"], **search}}))
    assert says(info, "budgets").startswith("edge tried as much as each row needed, 4 trials in all.")
    for name in ("edges", "defaults", "selection"):
        assert says(info, name).startswith("Learning rates were chosen by edge")
        assert (getattr(info, name).verdict, getattr(info, name).rows) == ("ok", ())
    codes = {finding.code for finding in study_findings(replace(study, spec=study.spec))}
    assert FindingCode.CHOSEN_BY_EDGE not in codes


def test_warnings_and_the_audit_are_the_same_findings() -> None:
    study = grid_study()
    codes = {finding.code for finding in study_findings(study)}
    asked = {finding.code for name in SECTIONS for finding in getattr(audit_info(study), name).findings}
    assert FindingCode.CHANGEABLE_LABELS in codes & asked
    assert asked - codes <= {FindingCode.TUNING_AGAINST_DEFAULT, FindingCode.NO_DEFAULT_COMPARED}
