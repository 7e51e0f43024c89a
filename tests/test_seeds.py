"""What random draws depend on, and what not."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import torch

from robustness import seeds
from robustness.inits import initialize, weighted_layers
from robustness.tasks import build_model
from robustness.trial import Trial
from tests.builders import trials

DRAWS: dict[str, Any] = {
    "weights": lambda t: seeds.weight_generator(t, "body.1.weight"),
    "order": lambda t: seeds.order_generator(t, 1),
    "augment": lambda t: seeds.augment_generator(t, 1),
    "dropout": lambda t: seeds.dropout_generator(t, 1),
}


def drawn(purpose: str, trial: Trial) -> float:
    return torch.rand(1, dtype=torch.float64, generator=DRAWS[purpose](trial)).item()


BASE = {"search": {"lr": 0.1, "seeds": 1}}
CHANGES: dict[str, dict[str, Any]] = {
    "optimizer": {"optimizers": [{"name": "adam", "eps": 1e-3}]},
    "lr": {"search": {"lr": 0.2, "seeds": 1}},
    "epochs": {"task": {"epochs": 7}},
    "batch size": {"task": {"batch_size": 32}},
    "norm": {"task": {"norm": "batch"}},
    "init": {"search": {"lr": 0.1, "seeds": 1, "init": "orthogonal"}},
    "model": {"task": {"model": "toy-cnn"}},
    "data": {"task": {"data": "mnist1d"}},
    "root seed": {"search": {"lr": 0.1, "seeds": 1, "seed": 1}},
}
DEPENDS = {
    "weights": {"init", "model", "data", "root seed"},
    "order": {"data", "root seed"},
    "augment": {"data", "root seed"},
    "dropout": {"model", "data", "root seed"},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("purpose", DRAWS)
def test_a_draw_depends_on_its_parts_and_nothing_else(purpose: str, change: str) -> None:
    [before], [after] = trials(**BASE), trials(**{**BASE, **CHANGES[change]})
    assert (drawn(purpose, before) != drawn(purpose, after)) == (change in DEPENDS[purpose])


def test_crossed_seeds_pair_each_weights_with_each_data_order() -> None:
    found = trials(search={"lr": 0.1, "seeds": 3, "orders": 2})
    assert len(found) == 6
    pairs = {(drawn("weights", trial), drawn("order", trial)) for trial in found}
    assert len(pairs) == 6
    assert [len(set(part)) for part in zip(*pairs, strict=True)] == [3, 2]
    assert {drawn("dropout", trial) for trial in found} == {drawn("dropout", trial) for trial in found[:2]}
    assert len({trial.key for trial in found}) == 6
    assert all(Trial.from_dict(trial.as_dict()) == trial for trial in found)


def test_a_study_with_one_data_order_a_seed_has_the_keys_that_it_always_had() -> None:
    [trial] = trials(search={"lr": 0.1, "seeds": 1, "orders": 1})
    assert "orders" not in trial.as_dict()


@pytest.mark.parametrize("purpose", DRAWS)
def test_every_seed_index_draws_anew(purpose: str) -> None:
    found = {drawn(purpose, trial) for trial in trials(search={"lr": 0.1, "seeds": 20})}
    assert len(found) == 20


def test_a_deep_network_starts_alike_whatever_its_norm() -> None:
    weights = []
    for norm in ("none", "batch", "layer", "group"):
        [trial] = trials(**BASE, task={"depth": 3, "norm": norm})
        model = build_model(trial.cell.task)
        initialize(model, trial.cell.init, partial(seeds.weight_generator, trial))
        weights.append([layer.get_parameter("weight") for _, layer in weighted_layers(model)])
    for others in weights[1:]:
        assert all(torch.equal(a, b) for a, b in zip(weights[0], others, strict=True))


def test_purposes_and_epochs_do_not_share_a_stream() -> None:
    [trial] = trials(**BASE)
    draws = {drawn(purpose, trial) for purpose in DRAWS}
    draws |= {
        torch.rand(1, dtype=torch.float64, generator=seeds.order_generator(trial, e)).item() for e in (2, 3)
    }
    assert len(draws) == 6


def test_another_process_draws_the_same() -> None:
    code = "import torch; from robustness.seeds import generator; print(torch.rand(1, generator=generator('p', 1, 'x')).item())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{torch.rand(1, generator=seeds.generator('p', 1, 'x')).item()}\n"}
