"""The numbers behind the figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustness.figures.best_of_k import best_of_k_info
from robustness.figures.critical import critical_info
from robustness.figures.difference import difference_info
from robustness.figures.learning import learning_info, telling_cell
from robustness.figures.profile import profile_info
from robustness.figures.spread import spread_info
from robustness.figures.style import fitted, text_width, wrapped
from robustness.store import open_store
from robustness.summary.cubes import cubes
from robustness.summary.epochs import cell_epochs
from tests.builders import dead_epoch, epoch
from tests.figures.studies import diverges_above, study

ADAM = "<b>adam</b>"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def is_adam(trial: Any) -> bool:
    return (
        trial.optimizer.name == "adam" if hasattr(trial, "optimizer") else trial.cell.optimizer.name == "adam"
    )


def test_a_difference_is_a_minus_b_over_the_same_seeds(tmp_path: Path) -> None:
    def complete(t: Any) -> Any:
        if is_adam(t) and t.seed_index == 2 and t.cell.lr == 1.0:
            return None
        return [dead_epoch(1)] if t.cell.lr == 1.0 and is_adam(t) else [epoch(1)]

    found = study(tmp_path, complete)
    [task] = found.tasks
    info = difference_info(found, cubes(found), task, ADAM, "sgd")
    assert info.difference_IL.tolist() == [[0, 0, 1]] * 2
    assert info.n_a_IL.tolist() == info.n_b_IL.tolist() == [[3, 3, 2]] * 2
    assert (
        difference_info(found, cubes(found), task, "sgd", ADAM).difference_IL == -info.difference_IL
    ).all()
    assert difference_info(found, cubes(found), task, ADAM, "sgd", "not-trained").k_a_IL[0, 2] == 2


def test_a_spread_is_of_the_tuned_learning_rate_and_counts_the_untrained_at_chance(tmp_path: Path) -> None:
    def complete(t: Any) -> Any:
        if t.cell.lr != 0.1:
            return [epoch(1, validation_accuracy=0.5, test_accuracy=0.5)]
        return [dead_epoch(1)] if t.seed_index == 2 else [epoch(1, test_accuracy=0.8 + 0.1 * t.seed_index)]

    found = study(tmp_path, complete)
    [task] = found.tasks
    box = spread_info(found, cubes(found), task).boxes[0]
    chance = found.facts[task].chance
    assert box.tuned_lr == 0.1
    assert box.score_S.tolist() == [0.8, 0.9, chance]
    assert box.trained_S.tolist() == [True, True, False]
    assert box.quartiles[2] == 0.8


def test_a_profile_is_the_share_of_runs_above_each_skill(tmp_path: Path) -> None:
    found = study(tmp_path, lambda t: [epoch(1, test_accuracy=0.3 if t.seed_index == 0 else 0.91)])
    [task] = found.tasks
    info = profile_info(found, cubes(found), task, rng=rng())
    profile = info.profiles[0]
    assert profile.runs == 6
    assert profile.share_P[0] == 1
    assert profile.share_P[int(np.searchsorted(info.taus_P, 0.5))] == pytest.approx(2 / 3)
    assert profile.share_P[-1] == 0
    assert (profile.low_P <= profile.share_P).all()
    assert (profile.high_P >= profile.share_P).all()


def test_the_best_of_k_rises_to_the_best_of_all(tmp_path: Path) -> None:
    score = {0.01: 0.5, 0.1: 0.7, 1.0: 0.9}
    found = study(
        tmp_path, lambda t: [epoch(1, test_accuracy=score[t.cell.lr], validation_accuracy=score[t.cell.lr])]
    )
    [task] = found.tasks
    line = best_of_k_info(found, cubes(found), task, rng=rng()).panels[0][1][0]
    assert line.ks_K.tolist() == [1, 2, 3]
    assert line.score_K[0] == pytest.approx(0.7)
    assert (np.diff(line.score_K) > 0).all()


def test_critical_learning_rates_have_gaps_and_ends_beyond_the_grid(tmp_path: Path) -> None:
    dies = {0: {1.0}, 1: {0.1}, 2: set()}
    found = study(tmp_path, lambda t: [dead_epoch(1)] if t.cell.lr in dies[t.seed_index] else [epoch(1)])
    [task] = found.tasks
    row = critical_info(found, cubes(found), task, rng=rng()).rows[0]
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
        epochs = cell_epochs(store, "small", task=task, optimizer="sgd", lr=1.0004, init="default")
    info = learning_info(found, epochs, cell)
    alive, dead, _ = info.runs
    assert (alive.outcome, dead.outcome) == ("trained", "nonfinite")
    assert (dead.died, dead.step) == (2.0, 1.0)
    assert dead.epochs_E.tolist() == [0, 1, 2]
    np.testing.assert_equal(dead.loss_E, [2.3, 0.5, math.nan])
    np.testing.assert_equal(alive.score_E, [math.nan, 0.91, 0.91])
    assert math.isnan(alive.died)


def test_the_telling_cell_of_a_row_that_only_breaks_whole_is_where_it_breaks(tmp_path: Path) -> None:
    found = study(tmp_path, diverges_above(0.05))
    [task] = found.tasks
    cell = telling_cell(found, task)
    assert cell is not None
    assert cell.lr == 0.1


def test_text_is_wrapped_and_cut_by_its_width_and_escaped_after() -> None:
    assert wrapped("aa bb cc", text_width("aa bb", 10) + 1, 10) == ["aa bb", "cc"]
    assert wrapped("aaaa", text_width("aa", 10) + 0.1, 10) == ["aa", "aa"]
    assert wrapped("95\u00a0% of", text_width("95\u00a0%", 10) + 0.1, 10) == ["95\u00a0%", "of"]
    assert wrapped("", 10, 10) == []
    assert fitted("<b>\nx", 100, 10) == "&lt;b&gt; x"
    assert fitted("abcdefgh", text_width("abc…", 10) + 0.1, 10) == "abc…"
