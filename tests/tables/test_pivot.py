"""Pivots: what is pooled, what is best, what a caption and the notes say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from robustness.errors import SpecError
from robustness.store import open_store
from robustness.summary import Study, load_study, measure
from robustness.tables import Measurement, Spanner, TableLayout, pivot_table, write_measured_csv
from robustness.tables.axes import parse_axes
from robustness.tables.entries import entry, printed
from robustness.tables.measured import measurements, tuned_scores
from robustness.tables.ranking import Pair, ranked
from tests.tables.studies import fill


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two tasks, three optimizers, two initializations, four learning rates, five seeds."""
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('pivot') / 's.db'}", create=True) as store:
        fill(store)
        return load_study(store, "small")


def small(tmp_path: Path, **changes: object) -> Study:
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as store:
        fill(store, **{"task": {"data": "digits"}, **changes})
        return load_study(store, "small")


def m(optimizer: str, value: float, **changes: object) -> Measurement:
    """A score of the study's first task and initialization."""
    plain = Measurement(
        metric="score",
        title="Score",
        task="digits mlp",
        optimizer=optimizer,
        init="default",
        value=value,
        n=5,
        unit="accuracy",
        better="higher",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def cells(layout: TableLayout) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {row[: layout.labels]: row[layout.labels :] for row in layout.rows}


def notes(layout: TableLayout) -> str:
    return "\n".join(f"{mark} {text}" for mark, text in layout.notes)


def test_the_score_is_that_of_the_metric_with_the_deviation_over_seeds(study: Study) -> None:
    scores = tuned_scores(study.tuning)
    rows = measure(study, metrics=["score"])
    assert [(s.task, s.optimizer, s.init) for s in scores] == [(r.task, r.optimizer, r.init) for r in rows]
    np.testing.assert_allclose([s.value for s in scores], [r.value for r in rows], rtol=1e-12)
    best = study.complete.query(
        "task == 'digits mlp' and optimizer == 'momentum' and init == 'default' and lr == 0.1"
    )
    assert scores[0].sd == pytest.approx(best["score"].std())
    assert measurements(rows, scores)[0].sd == scores[0].sd


def test_several_metrics_stand_under_each_column_and_what_cannot_be_pooled_has_its_own_lines(
    study: Study,
) -> None:
    scores = tuned_scores(study.tuning)
    rates = measurements(measure(study, metrics=["divergence_rate"]))
    layout = pivot_table(study, [*scores, *rates], rows=("optimizer",), columns=("task",))
    assert layout.columns == ("Optimizer", "Initialization", *["Score (%)", "Diverged (%)"] * 2)
    assert layout.spanners == (
        (Spanner(text="digits mlp", first=2, last=3), Spanner(text="mnist1d mlp", first=4, last=5)),
    )
    assert cells(layout)["insgd", "all initializations"] == ("", "0.0", "", "0.0")
    assert cells(layout)["insgd", "default"][0] == "91.07 ± 0.51"
    place = [row[:2] for row in layout.rows].index(("momentum", "all initializations"))
    assert layout.asides[place, 3].endswith("(12/40)")
    assert "Not pooled over initializations, so that each has a line of its own: Score." in notes(layout)


def test_what_every_metric_pools_has_no_lines_of_its_own(study: Study) -> None:
    rates = measurements(measure(study, metrics=["divergence_rate"]))
    layout = pivot_table(study, rates, rows=("optimizer",), columns=("task",))
    assert [row[0] for row in layout.rows] == ["momentum", "adam", "insgd"]
    assert layout.columns == ("Optimizer", "digits mlp", "mnist1d mlp")
    assert not layout.spanners
    assert "of n = 40 trials" in layout.caption
    assert "(12/40)" not in layout.asides[0, 1]


def test_levels_of_rows_and_columns_are_as_many_as_asked_for(study: Study) -> None:
    scores = tuned_scores(study.tuning)
    layout = pivot_table(study, scores, rows=(), columns=("task", "init"))
    assert [len(level) for level in layout.spanners] == [2]
    assert layout.columns == ("Optimizer", *["default", "kaiming-normal"] * 2)
    assert len(layout.rows) == 3
    layout = pivot_table(study, scores, rows=("init", "task"), columns=("optimizer",))
    assert layout.columns == ("Initialization", "Task", "momentum", "adam", "insgd")
    assert len(layout.rows) == 4
    # The best of a line, when optimizers stand in columns.
    assert {column for row, column in layout.bold if row == 0} == {2}


def test_metrics_over_all_tasks_keep_a_column_beside_those_of_each(study: Study) -> None:
    both = measurements(measure(study, metrics=["divergence_rate", "iqm"]))
    layout = pivot_table(study, both, rows=("optimizer",), columns=("task",))
    assert [s.text for s in layout.spanners[0]] == ["digits mlp", "mnist1d mlp", "all tasks"]
    assert layout.columns[-1] == "IQM"


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ("optimiser", "", "--rows: there is no axis 'optimiser'; did you mean 'optimizer'"),
        ("task", "lr", "--columns: there is no axis 'lr'"),
        ("task", "optimizer,task", "task stands in the table twice"),
    ],
)
def test_unknown_axes_are_refused(rows: str, columns: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_axes(rows, columns)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("values", "best", "second"),
    [
        ([0.97, 0.95, 0.96], {0}, {2}),
        ([0.97, 0.97001, 0.96], {0, 1}, set()),  # equal as printed; two best have no second
        ([0.97, 0.96, 0.96], {0}, {1, 2}),
        ([0.97, 0.96], {0}, set()),  # the second of two is the last
        ([0.97, 0.97001, 0.97], set(), set()),  # as good as the worst
        ([0.97], set(), set()),
        ([math.nan, 0.96, math.nan], {1}, set()),
        ([math.nan, math.nan], set(), set()),
    ],
)
def test_best_and_second_count_ties_as_printed(values: list[float], best: set[int], second: set[int]) -> None:
    found = ranked([m(str(place), value) for place, value in enumerate(values)])
    assert (found.best, found.second) == (best, second)


def test_the_direction_is_the_metrics() -> None:
    rates = [
        m(o, v, metric="divergence_rate", better="lower", unit="share")
        for o, v in zip("abc", (0.3, 0, 1), strict=True)
    ]
    assert ranked(rates).best == {1}
    assert not ranked([dataclasses.replace(rate, better="") for rate in rates]).best


def test_optimizers_are_ranked_within_a_task_and_initialization() -> None:
    measured = [m("a", 0.9), m("b", 0.8), m("a", 0.1, init="x"), m("b", 0.2, init="x")]
    assert ranked(measured).best == {0, 3}


def test_a_dagger_marks_what_the_test_tells_from_the_best(study: Study) -> None:
    asked: list[Pair] = []

    def test(pairs: Sequence[Pair]) -> list[float]:
        asked.extend(pairs)
        return [0.01, math.nan]

    measured = [m("momentum", 0.97), m("adam", 0.95), m("insgd", 0.96)]
    layout = pivot_table(study, measured, rows=("optimizer",), columns=("task", "init"), test=test)
    assert [(pair.best, pair.other) for pair in asked] == [("momentum", "adam"), ("momentum", "insgd")]
    assert layout.marks == {(1, 1): "†"}
    assert (
        "† Worse than the best by the paired test over seeds, p < 0.05 after Holm's correction over 1 comparison. Tested: Score."
        in notes(layout)
    )
    none = pivot_table(
        study, measured, rows=("optimizer",), columns=("task",), test=lambda pairs: [0.5] * len(pairs)
    )
    assert not none.marks
    assert "No difference from the best is significant" in notes(none)


def test_footnotes_have_letters_once_and_what_all_share_has_none(study: Study) -> None:
    measured = [
        m("momentum", 0.97, note="selection on test data"),
        m("adam", math.nan, note="no learning rate trains; selection on test data"),
        m("insgd", 0.95, n=3, note="selection on test data"),
    ]
    layout = pivot_table(study, measured, rows=("optimizer",), columns=("task",))
    assert layout.labels == 2
    assert layout.marks == {(1, 2): "a", (2, 2): "b"}
    assert cells(layout)[layout.rows[1][: layout.labels]] == ("–",)
    text = notes(layout)
    assert "a No learning rate trains." in text
    assert "b n = 3 seeds." in text
    assert " Score: selection on test data." in text


def test_a_censored_window_is_at_least_as_wide() -> None:
    window = m("a", 1.4, metric="tolerance_window", unit="decades", note="censored high", low=1.2, high=2.0)
    assert entry(window, "sd") == ("≥ 1.40", "[1.20, 2.00]")


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({"sd": 0.003}, ("97.50 ± 0.30", "")),
        ({}, ("97.50", "")),
        ({"value": math.nan, "low": 0.0}, ("–", "")),
        ({"metric": "skill", "unit": "skill", "low": 0.9, "high": 1.0}, ("0.975", "[0.900, 1.000]")),
        ({"metric": "tuned_lr", "unit": "log10 lr", "value": -2.0}, ("0.01", "")),
        ({"metric": "critical_lr", "unit": "log10 lr", "value": math.inf}, ("> grid", "")),
        ({"metric": "difference", "low": -0.01, "high": 1}, ("+97.50", "[−1.00, +100.00]")),
        ({"unit": "loss", "value": 1234567.0}, ("1.235e+06", "")),
        ({"unit": "loss", "value": -math.inf}, ("−∞", "")),
    ],
)
def test_numbers_have_the_digits_of_their_unit(changes: dict[str, object], texts: tuple[str, str]) -> None:
    assert entry(m("a", 0.975, **changes) if "value" not in changes else m("a", **changes), "sd") == texts


def test_a_rate_shows_its_count_where_counts_differ() -> None:
    rate = m("a", 0.125, metric="divergence_rate", unit="share", n=40, low=0.05, high=0.25)
    assert entry(rate, "interval", counts=True) == ("12.5", "[5.0, 25.0] (5/40)")
    assert printed(rate, -0.0001) == "0.0"


def test_a_loss_task_is_shown_in_losses_and_the_lowest_is_best(study: Study) -> None:
    rows = [
        dataclasses.replace(row, unit="minus loss", value=-row.value, low=-row.high, high=-row.low)
        for row in measure(study, metrics=["score", "accuracy_spread_sd"])
        if row.task == "digits mlp" and row.init == "default"
    ]
    scores = [found for found in measurements(rows) if found.metric == "score"]
    assert {s.unit for s in scores} == {"loss"}
    assert {s.better for s in scores} == {"lower"}
    assert all(s.value > 0 and s.low <= s.value <= s.high for s in scores)
    layout = pivot_table(study, scores, rows=("optimizer",), columns=())
    assert layout.columns[-1] == "Score (loss)"
    assert "test loss of the final epoch" in layout.caption


def test_the_caption_states_n_the_rule_the_spread_and_the_budget(study: Study) -> None:
    rows = measure(study, metrics=["score", "tolerance_window"])
    measured = measurements(rows)
    for spread, words in (
        ("sd", "mean ± standard deviation over seeds"),
        ("interval", "mean over seeds, at"),
    ):
        caption = pivot_table(
            study, measured, rows=("optimizer",), columns=("task",), spread=spread, delta="5 % of skill"
        ).caption
        for text in (
            words,
            "n = 5 seeds",
            "Rule version 3, skill floor 0.1.",
            "Budget: 2 epochs, batch 64.",
            "95 % intervals over whole seeds",
            "delta 5 % of skill",
            "Best in bold, second underlined.",
        ):
            assert text in caption, text


def test_warnings_stand_in_the_notes_and_the_rest_are_counted(study: Study) -> None:
    scores = tuned_scores(study.tuning)
    layout = pivot_table(
        study, scores, rows=("optimizer",), columns=(), warnings=[f"warning {k}." for k in range(9)]
    )
    assert "warning 5." in notes(layout)
    assert "warning 6." not in notes(layout)
    assert "And 3 more warnings, in the report." in notes(layout)
    assert "5 seeds: below 10" in notes(layout)


def test_one_seed_has_no_spread_and_says_so(tmp_path: Path) -> None:
    study = small(tmp_path, search={"lr": [0.1], "init": ["default"], "seeds": 1})
    scores = tuned_scores(study.tuning)
    assert all(math.isnan(score.sd) for score in scores)
    layout = pivot_table(study, scores, rows=("optimizer",), columns=("task",))
    assert "One seed: neither standard deviations nor intervals" in notes(layout)
    assert "n = 1 seed." in layout.caption
    assert cells(layout)["adam",] == ("–",)


def test_an_optimizer_that_never_trains_is_a_dash_with_a_note(tmp_path: Path) -> None:
    study = small(tmp_path, search={"lr": [1.0, 5.0], "init": ["default"], "seeds": 3})
    layout = pivot_table(study, tuned_scores(study.tuning), rows=("optimizer",), columns=("task",))
    assert cells(layout)["momentum",] == ("–",)
    assert "a No learning rate trains." in notes(layout)


def test_a_study_with_nothing_complete_has_an_empty_table(tmp_path: Path) -> None:
    study = small(tmp_path, leave=120)
    layout = pivot_table(study, tuned_scores(study.tuning), rows=("optimizer",), columns=("task",))
    assert layout.rows == ()


def test_csv_has_metrics_in_columns_and_rows_by_task_optimizer_and_initialization(study: Study) -> None:
    scores = tuned_scores(study.tuning)
    rates = measurements(measure(study, metrics=["divergence_rate"]))
    measured = [dataclasses.replace(found, note="=cmd|' /C calc'!A0") for found in (*scores, *rates)]
    header, *lines = write_measured_csv(measured).splitlines()
    assert header == (
        "task,optimizer,init,score,score low,score high,score sd,score n,score unit,score note,"
        "divergence_rate,divergence_rate low,divergence_rate high,divergence_rate n,divergence_rate unit,"
        "divergence_rate note"
    )
    assert len(lines) == 2 * 3 * 3
    assert "'=cmd" in lines[0]
    assert ",=cmd" not in "\n".join(lines)
    assert float(lines[0].split(",")[3]) == scores[0].value
