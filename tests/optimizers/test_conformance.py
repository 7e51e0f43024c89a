"""One suite for every registered optimizer, ours and torch's; and those of other packages."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robustness.catalog import OPTIMIZERS
from robustness.catalog.more_optimizers import signatures
from robustness.errors import SpecError
from robustness.optimizers import build_optimizer
from robustness.optimizers.schedules import factor
from robustness.optimizers.signatures import read_signatures
from robustness.training import train
from robustness.trial import Named, Value
from tests.builders import spec, trials

NAMES = [entry.name for entry in OPTIMIZERS]
PRESETS: dict[str, dict[str, Value]] = {"insgd released": {"preset": "released"}, "insgd l1": {"norm": "l1"}}
ALL = [*NAMES, *PRESETS]
# Learning rates at which a quadratic falls in forty steps.
LRS = {
    "adadelta": 10.0,
    "lars": 3.0,
    "nlms": 1.0,
    "normalized-gradient": 0.05,
    "adagrad": 0.1,
    "adafactor": 0.1,
}


def named(name: str) -> Named:
    return OPTIMIZERS.get(name.split()[0]).fill(PRESETS.get(name, {}))


def quadratic(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor]:
    """A linear layer whose outputs should all be one, and inputs whose power is not near the pole at 1."""
    torch.manual_seed(0)
    return nn.Linear(6, 4).to(dtype), torch.randn(16, 6).to(dtype) * 2


def steps(net: nn.Module, x: Tensor, optimizer: Any, count: int) -> list[float]:
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = (net(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_a_quadratic_falls_in_every_precision(name: str, dtype: torch.dtype) -> None:
    net, x = quadratic(dtype)
    losses = steps(net, x, build_optimizer(named(name), net, LRS.get(name, 0.02)), 40)
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.dtype == dtype for p in net.parameters())


@pytest.mark.parametrize("name", ALL)
def test_a_state_dict_continues_to_the_bit(name: str) -> None:
    net, x = quadratic()
    optimizer = build_optimizer(named(name), net, LRS.get(name, 0.02))
    steps(net, x, optimizer, 5)
    twin = copy.deepcopy(net)
    other = build_optimizer(named(name), twin, LRS.get(name, 0.02))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert steps(net, x, optimizer, 5) == steps(twin, x, other, 5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ALL)
def test_a_gradient_that_is_not_finite_is_no_exception(name: str, value: float) -> None:
    net, x = quadratic()
    optimizer = build_optimizer(named(name), net, 0.01)
    losses = steps(net, x, optimizer, 2)
    losses += steps(net, torch.full_like(x, value), optimizer, 1) + steps(net, x, optimizer, 2)
    assert not math.isfinite(losses[2])


@pytest.mark.parametrize("name", NAMES)
def test_an_argument_out_of_its_bounds_is_refused_with_name_value_and_rule(name: str) -> None:
    for argument in OPTIMIZERS.get(name).arguments:
        bad: Any = "nonsense"
        if argument.low > -math.inf:
            bad = (
                [argument.low - 1] * (argument.length or 1) if argument.kind == "floats" else argument.low - 1
            )
        with pytest.raises(ValueError, match="must be .*, got"):
            argument.check(bad)
    with pytest.raises(ValueError, match=f"{name} takes no 'momentumm'"):
        OPTIMIZERS.get(name).argument("momentumm")


@pytest.mark.parametrize(
    "name", ["sgd-frozen", "sgd-scaled", "sgd-layerwise", "lars", "lamb", "normalized-gradient", "nlms"]
)
def test_our_own_classes_refuse_what_the_catalog_refuses(name: str) -> None:
    entry = OPTIMIZERS.get(name)
    for argument in entry.own:
        if argument.kind == "float":
            with pytest.raises(SpecError, match=f"{argument.name} must be"):
                build_optimizer(entry.fill({argument.name: -1.0}), nn.Linear(2, 2), 0.1)
    with pytest.raises(SpecError, match="lr must be >= 0"):
        build_optimizer(entry.fill({}), nn.Linear(2, 2), -0.1)


def test_muon_takes_matrices_and_leaves_the_rest_to_adamw() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    twin = copy.deepcopy(net)
    x = torch.randn(3, 1, 4, 4)
    optimizer = build_optimizer(named("muon"), net, 0.01)
    assert [len(g["params"]) for g in optimizer.param_groups] == [1, 3]
    reference = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.1)
    for model, opt in ((net, optimizer), (twin, reference)):
        steps(model, x, opt, 1)
    assert torch.equal(net[0].weight, twin[0].weight)  # type: ignore[arg-type]
    assert not torch.equal(net[2].weight, twin[2].weight)  # type: ignore[arg-type]


def test_a_normalized_gradient_moves_by_the_learning_rate() -> None:
    net, x = quadratic()
    before = torch.cat([p.detach().flatten() for p in net.parameters()])
    steps(net, x, build_optimizer(named("normalized-gradient"), net, 0.3), 1)
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.3, rel=1e-5)


def test_frozen_and_scaled_sgd_look_once() -> None:
    for name in ("sgd-frozen", "sgd-scaled", "sgd-layerwise"):
        net, x = quadratic()
        optimizer = build_optimizer(named(name), net, 0.01)
        steps(net, x, optimizer, 1)
        assert not net._forward_hooks
        multiplier = optimizer.state[net.weight]["multiplier"].item()  # type: ignore[index]
        power = math.log(x.square().sum(1).mean().item())
        expected = {"sgd-layerwise": math.sqrt(1 + 1e-6) / (math.sqrt(0.1) + 1e-6) / math.log(5.1)}.get(
            name, 1 / power
        )
        assert multiplier == pytest.approx(expected, rel=1e-6)
        rest = optimizer.state[net.bias]["multiplier"].item()  # type: ignore[index]
        assert rest == pytest.approx(expected if name == "sgd-scaled" else 1.0, rel=1e-6)


@pytest.mark.parametrize("name", ["sgd-frozen", "sgd-scaled", "insgd"])
def test_a_step_that_a_scaler_skipped_leaves_no_power(name: str) -> None:
    net, x = quadratic()
    optimizer = build_optimizer(named(name), net, 0.01)
    net(100 * x).sum().backward()  # its gradients overflow, so that nobody steps
    steps(net, x, optimizer, 1)
    found = optimizer.state[net.weight]  # type: ignore[index]
    power = x.square().sum(1).mean().item()
    if name == "insgd":
        assert found["power"].item() == pytest.approx(power, rel=1e-6)
    else:
        assert found["multiplier"].item() == pytest.approx(1 / math.log(power), rel=1e-6)


# -- schedules, warm-up, clipping ------------------------------------------------------------------


def recipe(**arguments: Any) -> dict[str, Any]:
    return dict(OPTIMIZERS.get("sgd").fill(arguments).arguments)


def test_schedules_are_their_formulas() -> None:
    def factors(**arguments: Any) -> list[float]:
        return [factor(recipe(**arguments), step, 10, 4) for step in range(40)]

    assert factors() == [1.0] * 40
    stepped = factors(schedule="step", milestones=(1.0, 3.0), decay_factor=0.2)
    assert stepped == pytest.approx([1.0] * 10 + [0.2] * 20 + [0.04] * 10)
    assert factor(recipe(schedule="step", milestones=(0.07,)), 7, 100, 1) == pytest.approx(0.1)
    cosine = factors(schedule="cosine")
    assert cosine == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 40)) for step in range(40)])
    warm = factors(warmup_epochs=0.5)
    assert warm == pytest.approx([0.2, 0.4, 0.6, 0.8, *[1.0] * 36])
    assert factors(warmup_epochs=1.0, schedule="cosine")[10] == pytest.approx(1.0)


def test_a_learning_rate_that_warms_up_from_zero_survives_what_breaks_a_constant_one() -> None:
    options = {"search": {"lr": 1.0, "seeds": 1}, "task": {"epochs": 6}}
    cold, warm = (
        train(
            trials(optimizers=[{"name": "sgd", "momentum": 0.9, **more}], **options)[0], root=Path("/nowhere")
        )
        for more in ({}, {"warmup_epochs": 4.0, "schedule": "cosine"})
    )
    assert warm.epochs[-1].test_accuracy > cold.epochs[-1].test_accuracy + 0.1


def test_clipping_bounds_the_step() -> None:
    [trial] = trials(
        optimizers=[{"name": "sgd", "clip_norm": 1e-3}], search={"lr": 1.0, "seeds": 1}, task={"epochs": 1}
    )
    record = train(trial, root=Path("/nowhere"))
    assert 0 < record.epochs[-1].distance <= 19 * 1e-3 * 1.001


def test_inputs_can_be_scaled() -> None:
    plain, scaled = (
        train(
            trials(search={"lr": 0.01, "seeds": 1}, task={"epochs": 1, "input_scale": s})[0],
            root=Path("/nowhere"),
        )
        for s in (1.0, 16.0)
    )
    assert scaled.l0 > 1.5 * plain.l0


# -- other packages --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # pytorch-optimizer's own
def test_the_table_of_pytorch_optimizer_is_that_of_the_installed_package() -> None:
    torch.manual_seed(2)
    torch.rand(15)  # a start from here once lost Shampoo: the table must not hang on what was drawn before
    assert json.loads(json.dumps(read_signatures())) == signatures()
    assert len(signatures()) > 100


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("short", ["lion", "adan", "schedulefreesgd", "schedulefreeadamw", "sophiah"])
def test_an_optimizer_of_pytorch_optimizer_trains_a_trial(short: str) -> None:
    name = f"pytorch-optimizer:{short}"
    if short == "sophiah":  # it needs Hessian products, so it is not in the table
        with pytest.raises(SpecError, match="unknown optimizer 'pytorch-optimizer:sophiah'"):
            trials(optimizers=[{"name": name}])
        return
    lr = {"lion": 1e-3, "adan": 1e-2, "schedulefreesgd": 1.0, "schedulefreeadamw": 1e-2}[short]
    [trial] = trials(
        optimizers=[{"name": name, "weight_decay": 1e-4}], search={"lr": lr, "seeds": 1}, task={"epochs": 5}
    )
    assert train(trial, root=Path("/nowhere")).epochs[-1].test_accuracy > 0.7
    with pytest.raises(SpecError, match="must be a number, got 'x'"):
        trials(optimizers=[{"name": name, "weight_decay": "x"}])


@pytest.mark.slow
def test_an_installed_packages_optimizer_is_named_like_ours(tmp_path: Path) -> None:
    """The example package of the README, really installed, into a folder of its own."""
    site = tmp_path / "site"
    source = Path(__file__).parents[1] / "plugin"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            site,
            source,
        ],
        check=True,
        capture_output=True,
    )
    study = tmp_path / "study.json"
    study.write_text(json.dumps(spec(optimizers=[{"name": "halving", "every": [50, 100]}])))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = (
        "import sys; from pathlib import Path; from robustness.spec import *; from robustness.training import train\n"
        f"found = [t for t, _ in expand(parse(read_file(Path({str(study)!r})))).trials()]\n"
        "print(len(found), train(found[0], root=Path('/nowhere')).epochs[-1].test_accuracy > 0.3)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "8 True\n", done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "robustness.cli", "catalog", "halving"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "every = 100: steps between halvings (a whole number, >= 1)" in listed.stdout
