"""Fresh seeds at the tuned setting of each row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.store import CONFIRM, StudyTrial
from robustness.summary.tuned_rows import tuned_rows
from robustness.sweep.samplers.confirming import tuned_lr
from robustness.sweep.samplers.observation import Observation
from robustness.trial import Trial
from tests.builders import space
from tests.summary.frames import frame
from tests.summary.studies import study_of
from tests.sweep.samplers.asked import asked, keys, observation

LRS = [0.01, 0.1, 1.0, 10.0]
BEST = {"sgd": 1.0, "adam": 0.01}


def peaked(trial: Trial) -> Observation:
    return observation(0.9 if trial.cell.lr == BEST[trial.cell.optimizer.name] else 0.3)


def design(**search: Any) -> Any:
    return space(
        optimizers=[{"name": "sgd"}, {"name": "adam"}],
        search={"lr": LRS, "init": ["default", "orthogonal"], "seeds": 3, "confirm": 4, **search},
    )


def fresh(rounds: list[list[StudyTrial]]) -> list[StudyTrial]:
    return [item for part in rounds for item in part if item.reason == CONFIRM]


@pytest.mark.parametrize("search", [{}, {"sampler": "refine", "budget": 1}, {"orders": 2}])
def test_each_row_is_confirmed_at_its_tuned_learning_rate_by_seeds_that_nothing_else_has(
    search: dict[str, Any],
) -> None:
    rounds = asked(design(**search), peaked)
    found = fresh(rounds)
    assert len(found) == 4 * 2 * 2
    assert {(t.optimizer, t.trial.cell.lr) for t in found} == {("sgd", 1.0), ("adam", 0.01)}
    weights = {t.trial.weights_index for part in rounds for t in part if t.reason != CONFIRM}
    orders = {t.trial.order_index for part in rounds for t in part if t.reason != CONFIRM}
    assert not weights & {t.trial.weights_index for t in found}
    assert not orders & {t.trial.order_index for t in found}


def test_a_row_in_which_nothing_trains_is_not_confirmed() -> None:
    found = fresh(asked(design(), lambda t: observation(0.5 * (t.cell.optimizer.name == "sgd"))))
    assert {item.optimizer for item in found} == {"sgd"}


def test_a_row_is_tuned_on_the_seeds_that_could_be_run() -> None:
    def some_fail(trial: Trial) -> Observation | None:
        return None if trial.seed_index == 0 or trial.cell.lr == 0.1 else peaked(trial)

    assert {item.trial.cell.lr for item in fresh(asked(design(), some_fail))} == {1.0, 0.01}


def test_the_order_in_which_trials_end_changes_nothing() -> None:
    assert keys(asked(design(), peaked)) == keys(asked(design(), peaked, backwards=True))


@given(
    st.dictionaries(
        st.sampled_from(LRS),
        st.lists(st.integers(0, 5).map(lambda k: k / 5), min_size=1, max_size=5),
        min_size=1,
    )
)
def test_it_is_the_learning_rate_that_the_read_side_tunes_to(scores: dict[float, list[float]]) -> None:
    trials = frame(
        *(
            {"lr": lr, "seed_index": seed, "validation_accuracy": score}
            for lr, own in scores.items()
            for seed, score in enumerate(own)
        )
    )
    [row] = tuned_rows(study_of(trials)).to_dict("records")
    assert tuned_lr(scores) == row["tuned_lr"]
