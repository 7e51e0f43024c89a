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
from tests.builders import dead_epoch, epoch, record, save, trials
from tests.importers.logs import DATA, imported
from tests.summary.frames import FACTS, NONFINITE, frame
from tests.summary.studies import fragile_rows, grid_rows, grid_study, study_of
from tests.summary.test_measure import CASES
from tests.summary.test_warnings import SHAPED

SECTIONS = ("budgets", "missing", "edges", "defaults", "selection", "labels")


def of(*rows: dict[str, Any], **changes: Any) -> AuditInfo:
    return audit_info(study_of(frame(*rows), **changes))


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
    assert "default" in info.defaults.says
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
    assert "different numbers of trials on digits mlp; 4 of 20 trials are missing, 0" in info.budgets.says


def test_equal_budgets_are_said_with_their_size() -> None:
    info = audit_info(grid_study())
    assert (info.budgets.verdict, info.budgets.says) == (
        "ok",
        "every optimizer gets the same budget, 60 trials",
    )


def test_a_square_that_lacks_planned_trials_is_apart_from_one_that_was_given_fewer_seeds() -> None:
    lost = {**SHAPED[0], "state": "failed"}
    info = of(lost, *SHAPED[1:-1])
    first, last = info.missing.rows
    assert (first.lr, first.complete, first.planned, first.seeds) == (0.01, 11, 12, 12)
    assert (last.lr, last.complete, last.planned, last.seeds) == (1.0, 11, 11, 12)
    assert info.missing.verdict == "look"
    for words in ("1 of 3 squares lack trials that were planned", "1 of 3 squares were given fewer seeds"):
        assert words in info.missing.says


def test_a_square_without_any_trial_is_bad() -> None:
    info = of(*({**row, "state": "waiting" if row["lr"] == 1.0 else "complete"} for row in SHAPED))
    assert (info.missing.verdict, len(info.missing.rows)) == ("bad", 1)
    assert "1 have none" in info.missing.says


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
    assert "censored in 1 of 1 row" in wide.edges.says


def test_a_window_that_ends_at_a_missing_square_is_censored() -> None:
    rows = [row for row in SHAPED if row["lr"] != 0.01]
    more = [{**row, "lr": 0.001, "init": "j"} for row in SHAPED[:12]]
    there = [{**row, "init": "j"} for row in rows] + more
    low = [{**row, "lr": 0.01, "test_accuracy": 0.5} for row in rows[:12]]
    edges = of(*rows, *low, *there).edges
    assert [row.cut for row in edges.rows] == [True, True]


def test_a_row_in_which_a_minority_of_seeds_trains_has_no_edge() -> None:
    info = of(*fragile_rows({"fragile": 4}))
    assert info.edges.says == "most seeds train at no learning rate in 1 of 2 rows"
    [_, row] = info.edges.rows
    assert (row.trains, row.mostly, row.tuned, row.window, row.cut) == (True, False, "", "", False)


def test_rows_in_which_nothing_trains_are_named_and_have_no_tuned_score() -> None:
    info = of(*({**row, **NONFINITE} for row in SHAPED))
    [row] = info.edges.rows
    assert (info.edges.verdict, row.trains, row.name) == ("look", False, "o on t, i")
    [against] = info.defaults.rows
    assert np.isnan([against.tuned_lr, against.tuned_score, against.gain]).all()
    assert against.note == "no learning rate trains"


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
    assert unknown.note == "no default learning rate is known"
    assert info.defaults.verdict == "look"
    assert "in 2 of 2 rows" in info.defaults.says
    assert "2 cannot be compared" in info.defaults.says


def test_selection_on_test_data_is_bad_and_few_seeds_are_worth_a_look() -> None:
    assert of(*SHAPED).selection.verdict == "ok"
    few = of(*(row for row in SHAPED if row["seed_index"] < 3)).selection
    assert few.verdict == "look"
    assert "with 3 seeds" in few.says
    on_test = of(*SHAPED, facts=replace(FACTS, selection="test")).selection
    assert on_test.verdict == "bad"
    assert "the same test data and seeds on t" in on_test.says


def test_what_labels_rest_on_is_counted_and_rows_with_gaps_are_named() -> None:
    rows = grid_rows(optimizers=("a",), inits=("i",))
    for row in rows:
        row["max_train_loss"] = 99.0 if row["lr"] == 1.0 else 2.4
        if row["lr"] == 0.1 and row["seed_index"] == 4:
            row |= NONFINITE
    [found] = of(*rows).labels.rows
    assert (found.complete, found.smaller_lr_trains, found.larger_lr_trains) == (30, 0, 6)
    assert (found.chaotic, found.seed_rows) == (6, 6)
    assert [(gap.init, gap.seeds) for gap in found.gaps] == [("i", (4,))]
    says = of(*rows).labels.says
    for words in ("6 of 30 labels rest", "6 trials are chaotic", "1 of 6 rows of a seed"):
        assert words in says


def test_trials_that_a_sampler_added_are_counted_by_reason() -> None:
    study = grid_study()
    assert audit_info(study).additions is None
    assert audit_info(replace(study, trials=study.trials.assign(reason=""))).additions is None
    reason = pd.Series([""] * len(study.trials), dtype=object)
    reason[:3], reason[3:5] = "edge of the window", "between two rates"
    found = audit_info(replace(study, trials=study.trials.assign(reason=reason))).additions
    assert found is not None
    assert [(row.optimizer, row.reason, row.trials) for row in found.rows] == [
        ("a", "edge of the window", 3),
        ("a", "between two rates", 2),
    ]
    assert found.verdict == "look"
    assert "different numbers of them on t" in found.says
    even = pd.Series(["edge"] * len(study.trials))
    found = audit_info(replace(study, trials=study.trials.assign(reason=even))).additions
    assert found is not None
    assert found.verdict == "ok"


@pytest.mark.parametrize("case", CASES, ids=list(CASES))
def test_every_study_has_an_audit_that_is_json_without_nan(case: str) -> None:
    plain = json.loads(json.dumps(of(*CASES[case]).as_json(), allow_nan=False))
    assert list(plain) == ["study", "title", *SECTIONS, "additions"]
    for name in SECTIONS:
        assert plain[name]["verdict"] in ("ok", "look", "bad")
        assert plain[name]["says"]


def test_a_study_without_trials_has_an_audit() -> None:
    info = of()
    assert info.budgets.says == "the study has no trials yet"
    assert verdicts(info) == dict.fromkeys(SECTIONS, "look")


@pytest.mark.parametrize(
    ("complete", "edges"),
    [
        (lambda t: None, "nothing is complete yet"),
        (lambda t: [dead_epoch(1)], "nothing trains in 1 of 1 row"),
    ],
    ids=["nothing yet", "all diverged"],
)
def test_a_stored_study_is_audited_whatever_happened(complete: Any, edges: str, stored: Any) -> None:
    info = audit_info(stored(complete, search={"lr": [0.1, 1.0], "seeds": 1}))
    assert info.edges.says == edges
    assert json.dumps(info.as_json(), allow_nan=False)


def test_an_imported_study_is_audited_and_its_tuned_rates_are_selected_on_test_data(tmp_path: Path) -> None:
    info = audit_info(imported(tmp_path, "deepobs", DATA / "deepobs"))
    assert info.selection.verdict == "bad"
    assert [(row.complete, row.planned, row.seeds) for row in info.missing.rows] == [(1, 1, 3)] * 2
    assert [row.lr for row in info.missing.rows] == [1e-5, 10.0]


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
