"""The numbers behind the figures."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustness.figures.best_of_k import best_of_k_info
from robustness.figures.critical import critical_info
from robustness.figures.curves import curves_info
from robustness.figures.difference import difference_info
from robustness.figures.gallery import Request, draw
from robustness.figures.importance import draw_importance, importance_info, is_slow, lacking
from robustness.figures.learning import cell_epochs, draw_learning, learning_info, telling_cell
from robustness.figures.profile import profile_info
from robustness.figures.spread import draw_spread, spread_info
from robustness.figures.style import COLUMN, PAGE, fitted, still, text_width, told_apart, wrapped
from robustness.store import CONFIRM, open_store
from robustness.summary import wilson
from robustness.summary.audit import audit_info
from robustness.summary.measure import measure
from tests.builders import dead_epoch, epoch
from tests.figures.studies import diverges_above, study, texts
from tests.summary.frames import AT_CHANCE, frame
from tests.summary.studies import grid_study, study_of

ADAM = "<b>adam</b>"


def is_adam(trial: Any) -> bool:
    optimizer = trial.optimizer if hasattr(trial, "optimizer") else trial.cell.optimizer
    return bool(optimizer.name == "adam")


def test_a_difference_is_a_minus_b_over_the_same_seeds(tmp_path: Path) -> None:
    def complete(t: Any) -> Any:
        if is_adam(t) and t.seed_index == 2 and t.cell.lr == 1.0:
            return None
        return [dead_epoch(1)] if t.cell.lr == 1.0 and is_adam(t) else [epoch(1)]

    found = study(tmp_path, complete)
    [task] = found.tasks
    info = difference_info(found, task, ADAM, "sgd")
    assert info.difference_IL.tolist() == [[0, 0, 1]] * 2
    assert info.n_a_IL.tolist() == info.n_b_IL.tolist() == [[3, 3, 2]] * 2
    assert (difference_info(found, task, "sgd", ADAM).difference_IL == -info.difference_IL).all()
    assert difference_info(found, task, ADAM, "sgd", "not-trained").k_a_IL[0, 2] == 2


def test_a_spread_is_of_the_tuned_learning_rate_and_counts_the_untrained_at_chance(tmp_path: Path) -> None:
    def complete(t: Any) -> Any:
        if t.cell.lr != 0.1:
            return [epoch(1, validation_accuracy=0.5, test_accuracy=0.5)]
        return [dead_epoch(1)] if t.seed_index == 2 else [epoch(1, test_accuracy=0.8 + 0.1 * t.seed_index)]

    found = study(tmp_path, complete)
    [task] = found.tasks
    box = spread_info(found, task).boxes[0]
    chance = found.facts[task].chance
    assert box.tuned_lr == 0.1
    assert box.score_S.tolist() == [0.8, 0.9, chance]
    assert box.trained_S.tolist() == [True, True, False]
    assert box.quartiles[2] == 0.8


def test_a_profile_is_the_share_of_runs_above_each_skill(tmp_path: Path) -> None:
    found = study(tmp_path, lambda t: [epoch(1, test_accuracy=0.3 if t.seed_index == 0 else 0.91)])
    [task] = found.tasks
    info = profile_info(found, task)
    profile = info.profiles[0]
    assert profile.runs == 6
    assert profile.share_P[0] == 1
    assert profile.share_P[int(np.searchsorted(info.taus_P, 0.5))] == pytest.approx(2 / 3)
    assert profile.share_P[-1] == 0
    assert (profile.low_P <= profile.share_P).all()
    assert (profile.high_P >= profile.share_P).all()


def confirmed_rows(task: str, fresh: int) -> list[dict[str, Any]]:
    """Six seeds on three learning rates, every second one worse, and fresh ones at 0.1, all of them worse."""
    places = [(lr, s, 0.9 - 0.3 * (s % 2), "") for lr in (0.01, 0.1, 1.0) for s in range(6)]
    places += [(0.1, 100 + s, 0.6, CONFIRM) for s in range(fresh)]
    return [
        {
            "task": task,
            "lr": lr,
            "seed_index": seed,
            "reason": reason,
            "test_accuracy": score,
            "validation_accuracy": 0.95 if lr == 0.1 else 0.9,
        }
        for lr, seed, score, reason in places
    ]


def test_profile_and_spread_are_of_the_fresh_seeds_as_the_metrics_are() -> None:
    found = study_of(frame(*confirmed_rows("t", 5)))
    request = Request(study=found, task="t")
    info = profile_info(found, "t")
    assert info.profiles[0].runs == 5
    for row in measure(found, metrics=["performance_profile"]):
        tau = float(row.at.split("> ")[1])
        assert info.profiles[0].share_P[int(np.searchsorted(info.taus_P, tau))] == row.value
    assert "n = 5 runs an optimizer (fresh seeds × initializations)" in info.subtitle
    spread = spread_info(found, "t")
    assert spread.boxes[0].score_S.tolist() == [0.6] * 5
    assert spread.boxes[0].tuned_lr == 0.1
    assert "n = 5 fresh seeds a box." in spread.subtitle
    assert any("fresh seeds" in text for text in texts(draw("spread", request)))


def test_the_spread_of_a_metric_is_that_of_the_fresh_seeds_too() -> None:
    found = study_of(frame(*confirmed_rows("t", 5)))
    rows = measure(found, metrics=["accuracy_spread_worst"])
    [over_seeds] = [row for row in rows if row.at == "over seeds at the tuned learning rate"]
    assert (over_seeds.value, over_seeds.n) == (0.6, 5)


def test_the_band_of_a_profile_is_the_interval_of_every_rate_and_has_a_width_where_all_seeds_agree() -> None:
    found = study_of(frame(*[{"lr": 0.1, "seed_index": s, **AT_CHANCE} for s in range(4)]))
    [profile] = profile_info(found, "t").profiles
    assert profile.share_P[100] == profile.low_P[100] == 0
    assert profile.high_P[100] == pytest.approx(wilson(0, 4).high)


def test_where_nothing_trains_no_learning_rate_is_called_tuned() -> None:
    found = study_of(
        frame(*[{"lr": lr, "seed_index": s, **AT_CHANCE} for lr in (0.1, 1.0) for s in range(4)])
    )
    info = spread_info(found, "t")
    assert info.frame()["tuned_lr"].isna().all()
    hover = [text for trace in draw_spread(info).data for text in trace.text or ()]
    assert len(hover) == 4
    assert all("no learning rate trains" in text for text in hover)
    [edges] = audit_info(found).edges.rows
    assert math.isnan(edges.tuned_lr)


def test_until_all_tasks_have_their_fresh_seeds_figures_are_of_the_others_as_the_metrics_are() -> None:
    found = study_of(frame(*confirmed_rows("t", 5), *confirmed_rows("u", 4)))
    spread = spread_info(found, "t")
    assert len(spread.boxes[0].score_S) == 6
    assert "n = 6 seeds a box." in spread.subtitle


def test_a_spread_of_trials_drawn_at_random_says_trials() -> None:
    lrs = np.geomspace(0.01, 1, 60)
    found = study_of(frame(*[{"lr": float(lr), "seed_index": i} for i, lr in enumerate(lrs)]))
    info = spread_info(found, "t")
    assert info.title == "Spread over trials at the tuned learning rate: t"
    assert "in bins of a quarter decade" in info.subtitle
    assert info.subtitle.endswith(f"n = {len(info.boxes[0].score_S)} trials a box.")
    assert info.notes == ("Box: quartiles and median; whiskers: range; points: trials.",)
    assert not any("seed" in text for text in texts(draw_spread(info)))


def test_a_shift_between_trials_drawn_at_random_says_trials_and_of_two_grids_seeds() -> None:
    lrs = np.geomspace(0.01, 1, 60)
    drawn = study_of(
        frame(*[{"optimizer": o, "lr": float(lr), "seed_index": i} for o in "ab" for i, lr in enumerate(lrs)])
    )
    found = texts(draw("shift", Request(study=drawn, task="t")))
    assert any("n = 60 trials" in text.replace("<br>", " ") for text in found)
    assert not any("seed" in text for text in found)
    grid = texts(draw("shift", Request(study=grid_study(), task="t")))
    assert any("Median over seeds, n = 6." in text.replace("<br>", " ") for text in grid)
    assert [text for text in grid if text.startswith("shifted")] == [
        "shifted +0.00 decades: i",
        "shifted +0.00 decades: j",
    ]


def test_an_x_is_a_seed_that_did_not_train_and_nothing_else() -> None:
    labels = [f"o{i}" for i in range(8)]
    rows = [
        {"optimizer": name, "seed_index": s, **(AT_CHANCE if (name, s) == ("o0", 0) else {})}
        for name in labels
        for s in range(3)
    ]
    found = study_of(frame(*rows))
    info = spread_info(found, "t")
    assert "× did not train" in info.notes[0]
    points = [trace for trace in draw_spread(info).data if trace.type == "scatter"]
    legend = [trace.marker.symbol for trace in points if trace.showlegend is not False]
    assert len(legend) == 8
    assert not any("x" in symbol for symbol in legend)
    assert [symbol for trace in points for symbol in np.ravel(trace.marker.symbol)].count("x-thin") == 1


def test_the_best_of_k_rises_to_the_best_of_all(tmp_path: Path) -> None:
    score = {0.01: 0.5, 0.1: 0.7, 1.0: 0.9}
    found = study(
        tmp_path, lambda t: [epoch(1, test_accuracy=score[t.cell.lr], validation_accuracy=score[t.cell.lr])]
    )
    [task] = found.tasks
    line = best_of_k_info(found, task).panels[0][1][0]
    assert line.ks_K.tolist() == [1, 2, 3]
    assert line.score_K[0] == pytest.approx(0.7)
    assert (np.diff(line.score_K) > 0).all()


def test_the_best_of_k_of_thousands_of_random_trials_has_no_band() -> None:
    lrs = np.linspace(0.01, 1, 2_001)
    found = study_of(frame(*[{"lr": float(lr), "seed_index": i} for i, lr in enumerate(lrs)]))
    line = best_of_k_info(found, "t").panels[0][1][0]
    assert len(line.ks_K) == 64
    assert not np.isnan(line.score_K).any()
    assert np.isnan([line.low_K, line.high_K]).all()


def test_several_trials_of_one_setting_have_no_interval_in_figures_as_in_metrics() -> None:
    lrs = np.repeat(np.geomspace(0.01, 1, 60), 2)
    trials = frame(*[{"lr": float(lr), "seed_index": i % 2} for i, lr in enumerate(lrs)])
    drawn: dict[str, Any] = {
        "spec": {"search": {"sampler": "qmc"}},
        "settings": trials[["lr"]].rename(columns={"lr": "momentum"}),
    }
    clustered = replace(study_of(trials), **drawn)
    alone = replace(study_of(trials.assign(seed_index=0)), **drawn)
    bands = [best_of_k_info(found, "t").panels[0][1][0].low_K for found in (alone, clustered)]
    assert [bool(np.isnan(low_K).all()) for low_K in bands] == [False, True]
    assert np.isnan(profile_info(clustered, "t").profiles[0].low_P).all()
    assert curves_info(clustered, "t").band == "range"


def test_critical_learning_rates_have_gaps_and_ends_beyond_the_grid(tmp_path: Path) -> None:
    dies = {0: {1.0}, 1: {0.1}, 2: set()}
    found = study(tmp_path, lambda t: [dead_epoch(1)] if t.cell.lr in dies[t.seed_index] else [epoch(1)])
    [task] = found.tasks
    row = critical_info(found, task).rows[0]
    assert row.first_S.tolist() == [0.0, -1.0, math.inf]
    assert row.last_S.tolist() == [-1.0, 0.0, 0.0]
    assert row.monotone_S.tolist() == [True, False, True]
    assert row.half.value == 0.0
    assert row.half.high == math.inf


def test_learning_curves_mark_the_epoch_in_which_a_trial_died(tmp_path: Path) -> None:
    def complete(t: Any) -> Any:
        dead = t.cell.lr == 1.0 and t.seed_index == 1
        return [epoch(1), dead_epoch(2)] if dead else [epoch(1), epoch(2)]

    found = study(tmp_path, complete)
    [task] = found.tasks
    cell = telling_cell(found, task)
    assert cell is not None
    assert (cell.lr, cell.optimizer, cell.init) == (1.0, "sgd", "default")
    with open_store(str(tmp_path / "s.db")) as store:
        epochs = cell_epochs(store, found, replace(cell, lr=1.0004))
    info = learning_info(found, epochs, cell)
    alive, dead, _ = info.runs
    assert (alive.outcome, dead.outcome) == ("trained", "nonfinite")
    assert (dead.died, dead.step) == (2.0, 1.0)
    assert dead.epochs_E.tolist() == [0, 1, 2]
    np.testing.assert_equal(dead.loss_E, [2.3, 0.5, math.nan])
    np.testing.assert_equal(alive.score_E, [math.nan, 0.91, 0.91])
    assert math.isnan(alive.died)
    assert info.notes[0].startswith("Cross: ")
    other = replace(cell, lr=0.1)
    assert "Cross" not in learning_info(found, epochs.iloc[:0], other).notes[0]


def test_the_telling_cell_of_a_row_that_only_breaks_whole_is_where_it_breaks(tmp_path: Path) -> None:
    found = study(tmp_path, diverges_above(0.05))
    [task] = found.tasks
    cell = telling_cell(found, task)
    assert cell is not None
    assert cell.lr == 0.1


def deciding(trial: Any) -> Any:
    """The score by learning rate and initialization, hardly by seed; sgd alone diverges."""
    if trial.cell.lr == 1.0 and not is_adam(trial):
        return [dead_epoch(1)]
    score = 0.9 - 0.2 * (trial.cell.lr != 0.1) - 0.1 * (trial.cell.init.name == "orthogonal")
    return [epoch(1, test_accuracy=score + 0.001 * trial.seed_index)]


def test_the_parts_of_a_bar_sum_to_one_and_small_ones_are_in_the_rest(tmp_path: Path) -> None:
    found = study(tmp_path, deciding)
    [task] = found.tasks
    info = importance_info(found, task)
    assert info.terms == ("lr", "init", "optimizer", "optimizer x lr", "rest")
    by_name = {(bar.optimizer, bar.of): bar for bar in info.bars}
    assert [bar.optimizer for bar in info.bars[::2]] == ["sgd", ADAM, None]
    for bar in info.bars:
        assert not bar.shares or math.fsum(bar.shares) == pytest.approx(1)
    lr, init, *_, rest = by_name[ADAM, "score"].shares
    variances = np.var([0.2, 0.0, 0.2]), np.var([0.0, 0.1])
    assert lr == pytest.approx(variances[0] / sum(variances), abs=1e-3)
    assert init == pytest.approx(variances[1] / sum(variances), abs=1e-3)
    assert 0 < rest < 0.01
    assert (by_name[ADAM, "divergence"].shares, by_name[ADAM, "divergence"].why) == (
        (),
        "all values are equal",
    )
    assert by_name["sgd", "divergence"].shares[0] == pytest.approx(1)
    assert info.subtitle.endswith("n = 18 trials an optimizer, 3 seeds.")
    assert "below 3 % in every bar (seed, pairs without a pattern of their own)" in info.notes[0]


def test_a_column_shortens_the_names_of_axes_and_says_what_they_mean(tmp_path: Path) -> None:
    found = study(tmp_path, deciding)
    [task] = found.tasks
    info = importance_info(found, task)
    page, column = (texts(draw_importance(info, size)) for size in (PAGE, COLUMN))
    assert {"optimizer × learning rate", "learning rate", "share of variance", "rest"} <= set(page)
    assert {"opt × lr", "lr", "share of variance", "rest"} <= set(column)
    assert any("opt: optimizer; lr: learning rate; init: initialization." in text for text in column)
    assert "<i>all values are equal</i>" in page


def test_of_half_a_grid_a_forest_estimates_single_axes_and_the_bar_says_so(tmp_path: Path) -> None:
    def complete(t: Any) -> Any:
        missing = not is_adam(t) and t.cell.lr == 1.0 and t.seed_index == 4
        return None if missing else [epoch(1, test_accuracy=0.9 - 0.3 * (t.cell.lr == 0.1))]

    search = {"lr": [0.01, 0.1, 1.0], "init": ["default", "orthogonal"], "seeds": 5}
    found = study(tmp_path, complete, search=search)
    [task] = found.tasks
    assert is_slow(found, task)
    info = importance_info(found, task)
    assert [bar.is_sampled for bar in info.bars] == [True, False, False, False]
    assert info.bars[0].shares[0] > 0.9
    assert "n = 28 to 30 trials" in info.subtitle
    for words in ("*: not a full grid", "No bar over all optimizers"):
        assert words in info.notes[0]
    assert "sgd *" in texts(draw_importance(info))


def test_without_a_variance_there_is_no_importance_and_the_reason_is_told(tmp_path: Path) -> None:
    found = study(tmp_path, lambda t: [dead_epoch(1)])
    [task] = found.tasks
    assert lacking(found, task) == "all values are equal"
    assert lacking(found, "nothing") == "no trial is complete"


def test_a_loss_that_hardly_moves_has_two_ticks_or_a_linear_axis(tmp_path: Path) -> None:
    for last, kind in ((1.0, "log"), (5.65, None)):
        folder = tmp_path / str(last)
        folder.mkdir()
        found = study(folder, lambda t, last=last: [epoch(1, train_loss=last)])
        [task] = found.tasks
        cell = telling_cell(found, task)
        assert cell is not None
        with open_store(str(folder / "s.db")) as store:
            info = learning_info(found, cell_epochs(store, found, cell), cell)
        flat = [replace(run, loss_E=np.array([6.1 if last > 2 else 2.3, last])) for run in info.runs]
        axis = draw_learning(replace(info, runs=tuple(flat))).layout.yaxis
        assert axis.type == kind
        shown = [tick for tick in axis.tickvals or () if axis.range[0] <= np.log10(tick) <= axis.range[1]]
        assert kind is None or len(shown) >= 2


def test_what_is_read_by_pointing_is_not_said_on_paper(tmp_path: Path) -> None:
    found = study(tmp_path, diverges_above(0.5))
    figure = draw("difference", Request(study=found, task=list(found.tasks)[0]))
    assert any("on hover" in text for text in texts(figure))
    paper = still(figure)
    assert not any("on hover" in note["text"] for note in paper["layout"]["annotations"])
    assert len(paper["layout"]["annotations"]) == len(figure.layout.annotations) - 1
    assert paper["layout"]["height"] < figure.layout.height


def test_labels_that_differ_at_their_ends_are_told_apart_in_a_column(tmp_path: Path) -> None:
    start = "stochastic gradient descent with a very long name and momentum"
    optimizers = [{"name": "sgd", "label": f"{start} {m}", "momentum": m} for m in (0.5, 0.9)]
    found = study(tmp_path, diverges_above(0.5), optimizers=[*optimizers, {"name": "adam"}])
    request = Request(study=found, task=list(found.tasks)[0], size=COLUMN)
    for name in ("curves", "critical-lr", "spread", "profile", "best-of-k"):
        names = [
            trace.name for trace in draw(name, request).data if trace.showlegend is not False and trace.name
        ]
        assert len(set(names)) == 3, name
        assert any(text.endswith("0.9") for text in names), name
        assert all(text_width(text, COLUMN.font) < COLUMN.width - 60 for text in names), name


@pytest.mark.parametrize("size", [PAGE, COLUMN], ids=["page", "column"])
def test_ticks_of_neighbouring_panels_do_not_meet(size: Any) -> None:
    rows = [{"init": i, "lr": 10.0**e, "seed_index": 0} for i in "ij" for e in range(-4, 3)]
    figure = draw("curves", Request(study=study_of(frame(*rows)), task="t", size=size))
    inner = size.width - figure.layout.margin.l - figure.layout.margin.r
    ends = []
    for axis in (figure.layout.xaxis, figure.layout.xaxis2):
        low, high = axis.range
        for value, text in zip(axis.tickvals, axis.ticktext, strict=True):
            share = axis.domain[0] + (axis.domain[1] - axis.domain[0]) * (value - low) / (high - low)
            half = text_width(text, size.font) / 2
            ends += [share * inner - half, share * inner + half]
    assert len(ends) >= 8
    assert all(left <= right for left, right in itertools.pairwise(ends))


def test_text_is_wrapped_and_cut_by_its_width_and_escaped_after() -> None:
    assert wrapped("aa bb cc", text_width("aa bb", 10) + 1, 10) == ["aa bb", "cc"]
    assert wrapped("aaaa", text_width("aa", 10) + 0.1, 10) == ["aa", "aa"]
    assert wrapped("95\u00a0% of", text_width("95\u00a0%", 10) + 0.1, 10) == ["95\u00a0%", "of"]
    assert wrapped("5 % of", text_width("95 %", 10) + 0.1, 10) == ["5\u00a0%", "of"]
    assert wrapped("", 10, 10) == []
    assert told_apart(["a b", "a b c"], 100, 10) == ["a b", "a b c"]
    width = text_width("abc…h1", 10) + 0.1
    assert told_apart(["abcdefgh1", "abcdefgh2", "x"], width, 10) == ["abc…h1", "abc…h2", "x"]
    assert fitted("<b>\nx", 100, 10) == "&lt;b&gt; x"
    assert fitted("abcdefgh", text_width("abc…", 10) + 0.1, 10) == "abc…"
