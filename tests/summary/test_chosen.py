"""What is said of trials that a sampler chose or added."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from robustness.figures.critical import critical_info
from robustness.report import answer
from robustness.spec import expand, parse
from robustness.store import open_store
from robustness.summary import MetricRow, Study, load_study, measure
from robustness.summary.comparison.comparing import compare, compare_cell
from robustness.summary.flags import Flag, Remark
from robustness.summary.importance import importance_rows
from robustness.summary.winners import winners
from robustness.sweep.samplers.sampling import Sampling
from robustness.tables import pivot_table, standard_table, write_markdown
from robustness.tables.measured import measurements
from robustness.trial import Trial, TrialRecord
from robustness.wording.remarks import row_note
from robustness.wording.warnings import study_warnings
from tests.builders import dead_epoch, epoch, record, spec

RANGE = {"low": 1e-3, "high": 100.0}
MOMENTUM = {"name": "sgd", "momentum": {"low": 0.5, "high": 0.99}}


def said(row: MetricRow) -> str:
    return row_note(row)


def trained(trial: Trial, accuracy: float) -> TrialRecord:
    return record(trial, epoch(1, test_accuracy=accuracy, validation_accuracy=accuracy))


def diverged(trial: Trial) -> TrialRecord:
    return record(trial, dead_epoch(1), step=3)


def momentum(trial: Trial) -> float:
    return float(dict(trial.cell.optimizer.arguments)["momentum"])  # type: ignore[arg-type]


def ran(folder: Path, plain: dict[str, Any], result: Any, rounds: int = 1_000) -> Study:
    """A study of this spec in which trials end as `result` says, without training; None fails."""
    study = parse(plain)
    space = expand(study)
    with open_store(f"sqlite:///{folder / 'store.db'}", create=True) as store:
        lease = store.acquire(store.register(study.name))
        sampling = Sampling(space, store)
        asked = sampling.begin()
        tasks = {task.label: task.config.as_dict() for task in space.tasks}
        texts = {"title": "", "question": "", "spec": json.loads(study.model_dump_json()), "tasks": tasks}
        store.save_study(lease, trials=asked, **texts)
        while asked and rounds:
            rounds -= 1
            found = {item.trial.key: result(item.trial) for item in asked}
            records = [one for one in found.values() if one is not None]
            store.finish(lease, records)
            asked = sampling.ended(records) if records else []
            asked += sampling.given_up([key for key, one in found.items() if one is None])
            store.extend(lease, asked) if asked else None
        store.release(lease)
        return load_study(store, study.name)


def of(**search: Any) -> dict[str, Any]:
    optimizers = search.pop("optimizers", [{"name": "sgd"}])
    return spec(optimizers=optimizers, search={"lr": RANGE, "seeds": 3, **search})


def test_importance_of_drawn_settings_is_theirs_and_not_the_learning_rates(tmp_path: Path) -> None:
    plain = of(sampler="qmc", budget=40, optimizers=[MOMENTUM])
    found = ran(tmp_path, plain, lambda t: trained(t, 0.3 + 0.6 * momentum(t)))
    shares = {row.at: row.value for row in importance_rows(found) if row.at.endswith("for score")}
    assert shares["sgd.momentum for score"] > 0.8
    assert shares["lr for score"] < 0.2


def test_rates_of_drawn_settings_with_several_seeds_have_no_interval(tmp_path: Path) -> None:
    plain = of(sampler="qmc", budget=40, optimizers=[MOMENTUM])
    found = ran(tmp_path, plain, lambda t: diverged(t) if momentum(t) > 0.9 else trained(t, 0.9))
    rates = measure(found, metrics=["divergence_rate"])
    assert 0.1 < rates[0].value < 0.3
    assert rates[0].n == 120
    assert all(row.low != row.low for row in rates)
    assert "not independent" in said(rates[0])


def test_a_tuned_baseline_names_the_setting_that_it_found(tmp_path: Path) -> None:
    plain = of(sampler="tpe", budget=20, optimizers=[MOMENTUM])
    found = ran(tmp_path, plain, lambda t: trained(t, 0.95 - 0.5 * abs(momentum(t) - 0.9)))
    [won] = winners(found)
    assert won.settings.keys() == {"sgd.momentum"}
    assert won.score == pytest.approx(0.95 - 0.5 * abs(won.settings["sgd.momentum"] - 0.9))
    assert won.seeds == 3
    assert won.text in answer(found)[0]
    table = write_markdown(standard_table(found))
    assert "Diverged" not in table
    assert f"momentum {won.settings['sgd.momentum']:.3g}" in table


def test_an_edge_whose_search_is_not_over_is_not_called_beyond_what_was_tried(tmp_path: Path) -> None:
    found = ran(tmp_path, of(sampler="edge"), lambda t: trained(t, 0.9), rounds=2)
    assert "is not known yet in 1 of 1 row" in answer(found)[0]
    over = ran(tmp_path / "..", of(sampler="edge") | {"name": "whole"}, lambda t: trained(t, 0.9))
    assert "beyond what was tried in 1 of 1 row" in answer(over)[0]


def test_the_interval_of_a_first_failure_reaches_down_to_what_was_not_checked(tmp_path: Path) -> None:
    def result(trial: Trial) -> TrialRecord:
        return trained(trial, 0.9) if trial.cell.lr < 1.5 else diverged(trial)

    checked = ran(tmp_path, of(sampler="edge"), result)
    unchecked = ran(tmp_path, of(sampler="edge", check=0) | {"name": "unchecked"}, result)
    for study, low in ((checked, 0.2), (unchecked, -0.05)):
        row = measure(study, metrics=["critical_lr"])[0]
        assert row.at == "first failure tried, 50 % point"
        assert [row.value, row.low, row.high] == pytest.approx([0.2, low, 0.2])
        info = critical_info(study, row.task or "")
        assert info.rows[0].half.low == pytest.approx(low)


def test_seeds_that_never_train_are_not_counted_among_those_whose_end_is_known(tmp_path: Path) -> None:
    def result(trial: Trial) -> TrialRecord:
        alive = trial.seed_index == 0 and trial.cell.lr < 1.5
        return trained(trial, 0.9) if alive else diverged(trial)

    found = ran(tmp_path, of(sampler="edge", seeds=5), result)
    row = measure(found, metrics=["critical_lr"])[0]
    assert row.n == 1
    assert "4 of 5 seeds train nowhere" in said(row)
    assert "no interval" in answer(found)[0]


def test_rates_of_a_refined_grid_are_those_of_its_design_everywhere(tmp_path: Path) -> None:
    plain = of(sampler="refine", budget=4, lr=[0.01, 0.1, 1.0])
    found = ran(tmp_path, plain, lambda t: diverged(t) if t.cell.lr > 0.5 else trained(t, 0.9))
    assert len(found.trials) == (3 + 4) * 3
    rate = measure(found, metrics=["divergence_rate"])[-1]
    assert [rate.value, rate.n] == pytest.approx([1 / 3, 9])
    assert "33.3 %" in answer(found)[0]
    assert "3/9 |" in write_markdown(standard_table(found))


def scattered(trial: Trial) -> TrialRecord:
    """Best around 0.1, dead above 3; neighbours differ, so that the best single trial is better than its bin."""
    log = math.log10(trial.cell.lr)
    noise = 0.1 * math.sin(1e4 * log + trial.seed_index)
    return diverged(trial) if log > 0.5 else trained(trial, 0.8 - 0.1 * abs(log + 1) + noise)


@pytest.mark.parametrize(
    ("search", "seeds"),
    [
        ({"sampler": "random", "budget": 80, "seeds": 1}, "trials"),
        ({"sampler": "qmc", "budget": 20, "seeds": 3, "optimizers": [MOMENTUM]}, "3 seeds"),
    ],
    ids=["a trial each", "seeds that share settings"],
)
def test_tables_of_drawn_learning_rates_tune_and_count_as_the_metrics_do(
    search: dict[str, Any], seeds: str, tmp_path: Path
) -> None:
    found = ran(tmp_path, of(**search), scattered)
    score, tuned = (measure(found, metrics=[name])[0] for name in ("score", "tuned_lr"))
    rate = measure(found, metrics=["divergence_rate"])[0]
    layout = standard_table(found)
    [row] = layout.rows
    assert row[3] == f"{10**tuned.value:.3g}"
    assert row[4].startswith(f"{100 * score.value:.2f} ± ")
    assert row[5] == str(score.n)
    assert row[8] == f"{round(rate.value * rate.n)}/{rate.n}"
    if seeds == "trials":
        interval = f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
        assert row[7] == interval
        assert f"({interval}; {row[8].replace('/', ' of ')})" in answer(found)[0]
    assert "standard deviation over n trials" in layout.caption
    assert f"interval over {seeds}." in layout.caption
    pivot = pivot_table(
        found, measurements(measure(found, metrics=["score"])), rows=("optimizer",), columns=()
    )
    assert "over trials, at the learning rate (drawn ones in 4 bins a decade)" in pivot.caption
    assert f"n = {score.n} trials." in pivot.caption
    assert not any("seed" in text for _, text in pivot.notes)


def beyond_the_design(folder: Path) -> Study:
    """No learning rate of the design diverges, and the largest trains best; all that are added above it diverge."""
    plain = of(
        sampler="refine", budget=4, lr=[0.01, 0.1, 1.0], optimizers=[{"name": "sgd"}, {"name": "adam"}]
    )
    return ran(
        folder,
        plain,
        lambda t: diverged(t) if t.cell.lr > 1.5 else trained(t, 0.9 + 0.05 * math.log10(t.cell.lr)),
    )


def test_what_is_said_of_a_rate_names_the_learning_rates_that_it_leaves_out(tmp_path: Path) -> None:
    found = beyond_the_design(tmp_path)
    assert "over the learning rates of the design (3 of 7)" in answer(found)[0]
    assert "over the learning rates of the design (3 of 7)" in standard_table(found).caption
    for row in measure(found, metrics=["divergence_rate", "rate_difference"]):
        assert row.value == 0
        assert "without the 4 learning rates that were added" in said(row)
    plain = ran(
        tmp_path / "..", of(lr=[0.1, 1.0], sampler="grid") | {"name": "plain"}, lambda t: trained(t, 0.9)
    )
    assert "over all learning rates" in standard_table(plain).caption
    assert "over all learning rates" in answer(plain)[0]


def test_the_note_of_the_iqm_counts_the_trials_that_the_rate_counts(tmp_path: Path) -> None:
    notes = {said(row) for row in measure(beyond_the_design(tmp_path), metrics=["iqm"])}
    assert notes == {
        "0.0 % of all trials diverged; without the 4 learning rates that were added; all seeds agree"
    }


def test_a_comparison_of_rates_counts_no_learning_rates_that_were_added(tmp_path: Path) -> None:
    found = beyond_the_design(tmp_path)
    [whole] = compare(found, "sgd", "adam", "divergence_rate")
    assert whole.difference == 0
    assert Remark(Flag.ADDED_LRS_LEFT_OUT, (1, 4)) in whole.remarks
    [cell] = compare_cell(found, "sgd", "adam", "divergence_rate", lr=10.0)
    assert cell.remarks == (Remark(Flag.ADDED_LRS_LEFT_OUT, (0, 1)),)


def test_a_warning_names_what_diverged_at_learning_rates_that_were_added_alone(tmp_path: Path) -> None:
    found = beyond_the_design(tmp_path)
    dead = int((found.complete["side"] == "diverged").sum()) // 2
    assert dead > 0
    [text] = [text for text in study_warnings(found) if text.startswith("No trial of the design diverged")]
    assert f"sgd on digits mlp ({dead} of 12)" in text
    inside = ran(
        tmp_path / "..",
        of(sampler="refine", budget=4, lr=[0.01, 0.1, 1.0]) | {"name": "inside"},
        lambda t: diverged(t) if t.cell.lr > 0.5 else trained(t, 0.9),
    )
    assert not any(text.startswith("No trial of the design diverged") for text in study_warnings(inside))


def test_a_failed_execution_leaves_its_row_of_edge_open(tmp_path: Path) -> None:
    found = ran(tmp_path, of(sampler="edge"), lambda t: None if t.cell.lr > 0.5 else trained(t, 0.9))
    assert found.counts["complete"] > 0
    assert "is not known yet" in answer(found)[0]
