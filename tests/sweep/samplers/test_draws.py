"""Points that are drawn before anything runs, and settings that TPE asks for."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from robustness.spec import Axis
from robustness.trial import Trial
from tests.builders import space as space_of
from tests.builders import spec
from tests.sweep.samplers.asked import asked, keys, observation

OPTIMIZERS = [
    {"name": "sgd", "momentum": {"low": 0.5, "high": 0.99}},
    {
        "name": "adam",
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
        "lr": {"low": 1e-5, "high": 1.0},
    },
]
SEARCH = {"lr": {"low": 1e-3, "high": 10.0}, "seeds": 2, "init": ["default", "orthogonal"]}


def drawn(sampler: str, budget: int = 16, **changes: Any) -> list[Trial]:
    space = space_of(
        **{"optimizers": OPTIMIZERS, **changes}, search={**SEARCH, "sampler": sampler, "budget": budget}
    )
    [only] = asked(space, lambda _: observation(0.5))
    return [item.trial for item in only]


@pytest.mark.parametrize("sampler", ["qmc", "random"])
def test_all_see_the_same_points_each_in_its_own_range(sampler: str) -> None:
    trials = drawn(sampler)
    assert len(trials) == 16 * 2 * 2 * 2
    places: dict[tuple[str, str, int], list[float]] = {}
    for trial in trials:
        low, decades = (1e-3, 4) if trial.cell.optimizer.name == "sgd" else (1e-5, 5)
        unit = math.log10(trial.cell.lr / low) / decades
        key = (trial.cell.optimizer.name, trial.cell.init.name, trial.seed_index)
        places.setdefault(key, []).append(round(unit, 9))
    first, *others = places.values()
    assert len(set(first)) == 16
    assert all(other == pytest.approx(first, abs=1e-8) for other in others)


def values_of(argument: str, optimizer: str, trials: Sequence[Trial]) -> set[float]:
    arguments = [t.cell.optimizer.arguments for t in trials if t.cell.optimizer.name == optimizer]
    values = {dict(given)[argument] for given in arguments}
    assert all(isinstance(value, float) for value in values)
    return {float(value) for value in values if isinstance(value, float)}


def test_an_optimizers_own_axis_is_drawn_for_it_alone_and_within_its_range() -> None:
    trials = drawn("qmc", budget=64)
    momenta = values_of("momentum", "sgd", trials)
    decays = values_of("weight_decay", "adam", trials)
    assert len(momenta) == len(decays) == 64
    assert 0.5 <= min(momenta) < 0.53
    assert 0.96 < max(momenta) <= 0.99
    assert sum(1e-6 <= decay < 1e-4 for decay in decays) == pytest.approx(32, abs=2)  # even in the logarithm


def test_sobol_points_fill_each_half_of_every_axis_evenly_and_random_ones_do_not_have_to() -> None:
    lrs = {trial.cell.lr for trial in drawn("qmc", budget=128)}
    quarters = [sum(1e-3 * 10**q <= lr < 1e-3 * 10 ** (q + 1) for lr in lrs) for q in range(4)]
    assert sum(quarters) >= 128 - 1
    assert {trial.cell.lr for trial in drawn("random", budget=128)} != lrs


def test_the_draws_depend_on_the_studys_seed_alone() -> None:
    code = (
        "import json,sys; from robustness.spec import expand, parse\n"
        "from robustness.sweep.samplers.lines import lines_of\n"
        "print(json.dumps([i.trial.key for line in lines_of(expand(parse(json.load(sys.stdin)))) for i in next(line)]))"
    )
    plain = spec(optimizers=OPTIMIZERS, search={**SEARCH, "sampler": "qmc", "budget": 16})
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(plain), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [trial.key for trial in drawn("qmc")]
    other = space_of(optimizers=OPTIMIZERS, search={**SEARCH, "sampler": "qmc", "budget": 16, "seed": 1})
    assert not keys(asked(other, lambda _: observation(0.5))) & {t.key for t in drawn("qmc")}


def test_batch_size_warm_up_and_an_initializations_scale_can_be_drawn() -> None:
    space = space_of(
        task={"batch_size": {"low": 16, "high": 256, "log": True}},
        optimizers=[{"name": "sgd", "warmup_epochs": {"low": 0.0, "high": 1.0}}],
        search={
            "sampler": "qmc",
            "budget": 32,
            "lr": {"low": 1e-3, "high": 1.0},
            "init": {"name": "normal", "std": {"low": 1e-3, "high": 1.0, "log": True}},
            "seeds": 1,
        },
    )
    [only] = asked(space, lambda _: observation(0.5))
    cells = [item.trial.cell for item in only]
    sizes = {cell.task.batch_size for cell in cells}
    assert all(isinstance(size, int) and 16 <= size <= 256 for size in sizes)
    assert len(sizes) > 20
    assert len({dict(cell.init.arguments)["std"] for cell in cells}) == 32
    assert {(item.task, item.optimizer, item.init) for item in only} == {("digits mlp", "sgd", "normal")}


@pytest.mark.parametrize("log", [True, False])
def test_each_whole_number_of_an_axis_has_its_share_the_ends_included(log: bool) -> None:
    axis = Axis(name="x", field="x", low=1, high=4, log=log, whole=True)
    values = [axis.value(k / 1000) for k in range(1001)]
    assert {1, 2, 3, 4} == set(values)
    assert min(values.count(k) for k in (1, 2, 3, 4)) > (110 if log else 245)


def near(trial: Trial) -> float:
    """Best at lr 0.1 with momentum 0.9."""
    momentum = float(dict(trial.cell.optimizer.arguments)["momentum"])  # type: ignore[arg-type]
    return max(1 - abs(math.log10(trial.cell.lr) + 1) / 3 - abs(momentum - 0.9), 0.0)


TPE = {
    "optimizers": OPTIMIZERS[:1],
    "search": {**SEARCH, "sampler": "tpe", "budget": 40, "seeds": 1, "init": "default"},
}


def test_tpe_asks_for_its_budget_in_rounds_of_ten_and_learns() -> None:
    rounds = asked(space_of(**TPE), lambda trial: observation(near(trial)))
    assert [len(part) for part in rounds] == [10] * 4
    values = [[near(item.trial) for item in part] for part in rounds]
    assert sum(values[3]) / 10 > sum(values[0]) / 10


def test_what_tpe_asks_does_not_depend_on_the_order_of_completion() -> None:
    forwards = asked(space_of(**TPE), lambda trial: observation(near(trial)))
    backwards = asked(space_of(**TPE), lambda trial: observation(near(trial)), backwards=True)
    assert keys(forwards) == keys(backwards)


@pytest.mark.parametrize("answer", [observation(0.0), None])
def test_tpe_spends_its_budget_where_everything_diverges_or_fails(answer: Any) -> None:
    rounds = asked(space_of(**TPE), lambda _: answer)
    assert sum(map(len, rounds)) == 40
