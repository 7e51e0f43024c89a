"""Chaotic trials: what marks them in every engine, and that only they depend on how they are trained."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from robustness.summary.outcome import Thresholds
from robustness.training import train
from robustness.training.records import Log
from robustness.trial import TrialRecord
from tests.builders import trials
from tests.training.test_packed import NOWHERE, packed

CALM = {name: 0.5 for name in ("parameter_norm", "distance", "clamped_share")} | {
    f"{part}_{figure}": 0.5 for part in ("validation", "test") for figure in ("loss", "accuracy")
}


def is_flagged(record: TrialRecord) -> bool:
    return record.max_loss_rise > Thresholds().chaotic_rise * max(record.l0, math.log(10))


def test_the_largest_rise_is_that_of_all_steps_across_epochs_and_checkpoints() -> None:
    [trial] = trials(task={"epochs": 3}, search={"lr": [0.1], "seeds": 1})
    losses = [[2.3, 2.0, 2.2], [2.5, 1.0, 1.1], [1.0, 0.9, 0.8]]
    log = Log(trial, 3, 2.3, [])
    largest = []
    for epoch in losses:
        log = Log.of_state(trial, 3, log.state())
        log.add(epoch, CALM, 0.1)
        largest.append(log.max_loss_rise)
    assert largest == pytest.approx([0.2, 0.3, 0.3])
    every = [loss for epoch in losses for loss in epoch]
    assert log.record().max_loss_rise == max(after - before for before, after in pairwise(every))


@pytest.mark.parametrize(
    ("losses", "rise"),
    [([2.0, 1.0, 0.5], 0.0), ([2.0], 0.0), ([2.0, math.inf], math.inf), ([2.0, math.nan, 1.0], math.inf)],
)
def test_a_loss_that_never_rises_has_no_rise_and_one_that_is_not_finite_an_infinite_one(
    losses: list[float], rise: float
) -> None:
    [trial] = trials(search={"lr": [0.1], "seeds": 1})
    log = Log(trial, len(losses), 2.3, [])
    log.add(losses, CALM, 0.1)
    assert log.record().max_loss_rise == rise


def test_insgd_at_learning_rate_1_is_flagged_where_packs_and_single_trials_part() -> None:
    """Their largest losses are below 1.22 times where they began; they ended up to 4.2 points apart, unmarked."""
    found = trials(
        optimizers=[{"name": "insgd"}],
        search={"lr": [1.0], "seeds": 8},
        task={"batch_size": 32, "epochs": 6},
    )
    records = packed(found)
    for trial in found:
        alone, together = train(trial, root=NOWHERE), records[trial.key]
        apart = abs(alone.epochs[-1].test_accuracy - together.epochs[-1].test_accuracy)
        assert apart <= 0.01 or (is_flagged(alone) and is_flagged(together))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [
        ({"name": "sgd"}, [0.3, 0.7, 1.5]),
        ({"name": "sgd", "momentum": 0.9}, [0.1, 0.3, 0.6]),
        ({"name": "insgd"}, [0.3, 0.7, 1.5]),
        ({"name": "adam"}, [0.01, 0.03, 0.1]),
        ({"name": "rmsprop"}, [0.003, 0.007, 0.015]),
    ],
    ids=["sgd", "momentum", "insgd", "adam", "rmsprop"],
)
def test_a_trial_that_is_not_flagged_ends_within_a_point_of_itself_alone(
    optimizer: dict[str, object], lr: list[float]
) -> None:
    found = trials(optimizers=[optimizer], search={"lr": lr, "seeds": 4}, task={"epochs": 5})
    records = packed(found)
    calm = [trial for trial in found if not is_flagged(records[trial.key])]
    assert calm
    for trial in calm:
        alone, together = train(trial, root=NOWHERE), records[trial.key]
        assert alone.nonfinite == together.nonfinite
        assert abs(alone.epochs[-1].test_accuracy - together.epochs[-1].test_accuracy) <= 0.01
