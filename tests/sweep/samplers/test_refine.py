"""Refine: learning rates where a grid does not yet tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.sweep.samplers.refine import addition
from tests.builders import space as space_of
from tests.sweep.samplers.asked import asked, observation

LRS = [1e-3, 1e-2, 1e-1, 1.0]
SEARCH = {"sampler": "refine", "lr": LRS, "budget": 3, "seeds": 2, "init": ["default", "orthogonal"]}


def added(*skill: float) -> tuple[float, str]:
    values = np.array([skill])
    return addition(np.array(LRS), values, values, ["default"], 1.0)


def test_an_optimum_at_the_edge_moves_it_by_a_step_of_the_grid() -> None:
    assert added(0.1, 0.2, 0.5, 0.9) == (10.0, "optimum at the upper edge: default")
    assert added(0.9, 0.5, 0.2, 0.0) == (1e-4, "optimum at the lower edge: default")


def test_a_window_at_the_edge_moves_it_too() -> None:
    assert added(0.1, 0.2, 0.9, 0.88) == (10.0, "window reaches the upper edge: default")


def test_else_the_neighbours_that_differ_most_get_one_between_them() -> None:
    lr, why = added(0.1, 0.4, 0.9, 0.0)
    assert lr == pytest.approx(math.sqrt(0.1))
    assert why == "0.1 and 1 differ by 0.9 in skill: default"


def test_where_nothing_trains_smaller_ones_are_tried() -> None:
    assert added(0.0, 0.0, 0.0, 0.0) == (1e-4, "nothing trains")


@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), min_size=4, max_size=4))
def test_it_always_adds_a_learning_rate_that_is_new(skill: list[float]) -> None:
    lr, why = added(*skill)
    assert 0 < lr < math.inf
    assert why
    assert lr not in LRS


def test_every_optimizer_gets_the_same_number_each_addition_on_all_initializations_and_seeds() -> None:
    space = space_of(search=SEARCH, optimizers=[{"name": "sgd"}, {"name": "adam"}])
    rounds = asked(space, lambda t: observation(0.9 if 5e-3 < t.cell.lr < 0.5 else 0.0))
    assert [len(part) for part in rounds] == [2 * 4 * 4, *[2 * 4] * 3]
    assert all(item.reason == "" for item in rounds[0])
    assert all(item.reason for part in rounds[1:] for item in part)
    lrs = {item.trial.cell.lr for part in rounds[1:] for item in part}
    assert len(lrs) == 3
    assert space.trial_count == sum(map(len, rounds))


def test_failed_executions_are_missing_and_do_not_stop_it() -> None:
    space = space_of(search=SEARCH)
    rounds = asked(space, lambda t: None if t.cell.lr == 0.1 else observation(0.5))
    assert len(rounds) == 4
