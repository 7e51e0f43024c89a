"""How large a study is said to be before it runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.spec.first_failure_search import most_places
from robustness.spec.trial_counts import expected_places
from tests.builders import space
from tests.sweep.samplers.asked import asked, observation

EDGE = {"sampler": "edge", "lr": {"low": 1e-3, "high": 100.0}, "seeds": 3, "init": ["default", "orthogonal"]}


def test_a_study_by_edge_is_about_as_large_as_its_sampler_makes_it_and_never_larger() -> None:
    study = space(search=EDGE)
    counts = study.trial_counts
    for critical in (0.37, 0.04, 9.0):

        def trains_up_to(trial: Any, critical: float = critical) -> Any:
            return observation(0.9 * (trial.cell.lr <= critical))

        rounds = asked(study, trains_up_to)
        trials = sum(map(len, rounds))
        assert trials <= counts.most
        assert trials == pytest.approx(counts.expected, rel=0.3)
    assert study.size_text == "about 94 trials, at most 192 in 202 cells to choose from"
    assert study.trial_count == counts.most


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ({"lr": [0.1, 1.0], "seeds": 3}, "6 trials in 2 cells"),
        ({"lr": [0.1, 1.0], "seeds": 3, "confirm": 5}, "at most 11 trials in 2 cells"),
        ({"sampler": "tpe", "budget": 1, "lr": {"low": 0.1, "high": 1.0}, "seeds": 1}, "1 trial in 1 cell"),
    ],
)
def test_what_does_not_depend_on_results_is_stated_as_it_is(search: dict[str, object], text: str) -> None:
    assert space(search=search).size_text == text


@given(st.integers(1, 200), st.floats(0, 1), st.integers(1, 40), st.integers(0, 30))
def test_what_is_expected_of_a_row_is_at_most_what_is_possible(
    size: int, start: float, decade: int, check: int
) -> None:
    lattice = {"size": size, "start": round(start * (size - 1)), "decade": decade, "check": check}
    assert 1 <= expected_places(**lattice) <= most_places(**lattice) <= size
