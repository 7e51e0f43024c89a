"""INSGD as people use it: schedulers, autocast, accumulation, compilation, several ranks, long runs."""

from __future__ import annotations

import copy
import gc
import itertools
import math
import pickle
import tracemalloc
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from robustness import INSGD
from tests.optimizers.test_insgd import numbers


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def first(net: nn.Sequential) -> nn.Linear:
    layer = net[0]
    assert isinstance(layer, nn.Linear)
    return layer


def batch(step: int = 0) -> tuple[Tensor, Tensor]:
    return numbers(6, 4, seed=step).float(), torch.arange(6) % 3


def train(net: nn.Module, optimizer: INSGD, steps: range) -> None:
    for step in steps:
        x, labels = batch(step)
        optimizer.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()


def hooks(net: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


def test_a_script_of_eight_lines_with_a_scheduler_autocast_and_accumulation_learns() -> None:
    net, (x, labels) = small(), batch()
    before = F.cross_entropy(net(x), labels).item()
    optimizer = INSGD(net, lr=0.1, momentum=0.9, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    for _ in range(30):
        for half in (slice(0, 3), slice(3, 6)):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(net(x[half]), labels[half]) / 2
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    assert F.cross_entropy(net(x), labels).item() < 0.5 * before
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)


def test_a_state_dict_continues_to_the_bit() -> None:
    net = small().bfloat16().float()
    optimizer = INSGD(net, momentum=0.9)
    train(net, optimizer, range(5))
    twin = copy.deepcopy(net)
    other = INSGD(twin, momentum=0.9)
    other.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    for model, opt in ((net, optimizer), (twin, other)):
        train(model, opt, range(5, 10))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


def test_powers_stay_in_float32_whatever_the_parameters_are() -> None:
    net = small().bfloat16()
    optimizer = INSGD(net)
    F.cross_entropy(net(batch()[0].bfloat16()), batch()[1]).backward()
    optimizer.step()
    assert optimizer.state[first(net).weight]["power"].dtype == torch.float32
    other = INSGD(net)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[first(net).weight]["power"].dtype == torch.float32
    assert other.state[first(net).weight]["power"] == optimizer.state[first(net).weight]["power"]


def test_half_precision_inputs_do_not_overflow_in_the_power() -> None:
    net = nn.Linear(4, 2).half()
    optimizer = INSGD(net)
    net(torch.full((3, 4), 1000.0).half()).float().sum().backward()
    optimizer.step()
    assert optimizer.state[net.weight]["power"].item() == 4e6


def test_a_step_that_a_grad_scaler_skips_does_not_touch_the_power() -> None:
    net, (x, labels) = small(), batch()
    optimizer = INSGD(net)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    powers = []
    for factor in (1.0, math.inf, 1.0):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x * (1.0 if factor == 1 else 7.0)), labels) * factor
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        powers.append(optimizer.state[first(net).weight]["power"].clone())
    assert powers[0] == powers[1]
    torch.testing.assert_close(powers[2], powers[0])


def test_evaluating_between_steps_leaves_no_trace() -> None:
    net = small()
    twin = copy.deepcopy(net)
    optimizers = [INSGD(net), INSGD(twin)]
    for step in range(3):
        for model, optimizer in zip((net, twin), optimizers, strict=True):
            train(model, optimizer, range(step, step + 1))
        with torch.no_grad():
            twin(100 * batch()[0])
        twin(100 * batch()[0])  # with gradients, but never used
    assert torch.equal(first(net).weight, first(twin).weight)


def test_after_close_the_model_has_no_hooks() -> None:
    net = small()
    optimizer = INSGD(net)
    assert hooks(net) == 4
    optimizer.close()
    assert hooks(net) == 0


def test_the_hooks_go_with_the_optimizer() -> None:
    net = small()
    optimizer = INSGD(net)
    train(net, optimizer, range(2))
    reference = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert reference() is None
    assert hooks(net) == 0


def test_a_model_can_be_copied_and_pickled_while_it_is_trained() -> None:
    net = small()
    optimizer = INSGD(net)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        other(batch()[0]).sum().backward()
    assert optimizer._observer.collected() == {}


def test_ten_thousand_steps_do_not_grow_memory() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    optimizer = INSGD(net)
    x = torch.randn(2, 1, 4, 4)

    def steps(count: int) -> int:
        for _ in range(count):
            optimizer.zero_grad()
            net(x.clone()).sum().backward()
            optimizer.step()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    steps(500)
    early = tracemalloc.get_traced_memory()[0]
    late = steps(9_500)
    tracemalloc.stop()
    assert late - early < 50_000
    assert sum(t.numel() for state in optimizer.state.values() for t in state.values()) < 3 * sum(
        p.numel() for p in net.parameters()
    )


@pytest.mark.filterwarnings("ignore")  # torch.compile's own deprecations
def test_a_compiled_model_takes_the_same_steps() -> None:
    plain = small()
    compiled: Any = torch.compile(copy.deepcopy(plain), backend="aot_eager")
    for model in (plain, compiled):
        train(model, INSGD(model), range(4))
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def _rank(rank: int, folder: str) -> None:
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    net = small()
    model = DistributedDataParallel(net)
    optimizer = INSGD(model)
    for step in range(3):
        x, labels = batch(step)
        half = slice(3 * rank, 3 * rank + 3)
        optimizer.zero_grad()
        F.cross_entropy(model(x[half]), labels[half]).backward()
        optimizer.step()
    torch.save([p.detach() for p in net.parameters()], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_take_the_steps_of_one_process_on_the_whole_batch(tmp_path: Path) -> None:
    spawn(_rank, args=(str(tmp_path),), nprocs=2)
    net = small()
    train(net, INSGD(net), range(3))
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    for whole, first, second in zip(net.parameters(), *ranks, strict=True):
        assert torch.equal(first, second)
        torch.testing.assert_close(whole.detach(), first, rtol=0, atol=1e-5)


def test_parameter_groups_are_given_as_modules_or_as_patterns_of_names() -> None:
    net = small()
    optimizer = INSGD(
        net, lr=0.1, groups=[{"modules": [net[2]], "lr": 0.5}, {"names": ["*.bias"], "weight_decay": 0.3}][:1]
    )
    assert [len(g["params"]) for g in optimizer.param_groups] == [2, 2]
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.1]
    optimizer.close()
    optimizer = INSGD(net, groups=[{"names": ["*.bias"], "lr": 0.0}])
    before = [p.detach().clone() for p in net.parameters()]
    train(net, optimizer, range(1))
    moved = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
    assert moved == [True, False, True, False]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([{"names": ["head.*"]}], "no parameter is called 'head.*'"),
        ([{"lr": 0.1}], "needs `modules` or `names`"),
        ([{"names": ["*"], "learning_rate": 0.1}], r"got \['learning_rate', 'names'\]"),
        ([{"names": ["*"]}, {"names": ["0.bias"]}], r"groups\[1\]: 0.bias is in groups\[0\] too"),
        ([{"modules": [nn.Linear(2, 2)]}], "is not the model's"),
        ([{"names": ["*"], "lr": -1.0}], "lr must be >= 0, got -1.0"),
    ],
)
def test_bad_groups_are_refused(groups: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        INSGD(small(), groups=groups)


def test_frozen_layers_are_left_alone() -> None:
    net = small()
    first(net).requires_grad_(False)
    before = first(net).weight.clone()
    optimizer = INSGD(net)
    train(net, optimizer, range(2))
    assert hooks(net) == 2
    assert torch.equal(first(net).weight, before)


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (nn.Sequential(nn.LSTM(3, 4)), "0.weight_ih_l0"),
        (nn.GRUCell(3, 4), "weight_ih"),
        (nn.Bilinear(2, 2, 2), "weight"),
        (nn.Sequential(nn.MultiheadAttention(4, 2)), "0.out_proj.weight"),
    ],
)
def test_a_layer_whose_input_cannot_be_seen_is_refused_by_name(net: nn.Module, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: the input of this .* cannot be seen"):
        INSGD(net)
    assert hooks(net) == 0
    INSGD(net, plain=["*weight*"])


def test_a_weight_used_behind_the_layers_back_is_an_error_by_name() -> None:
    net = nn.Linear(3, 2)
    optimizer = INSGD(net)
    F.linear(torch.ones(1, 3), net.weight).sum().backward()
    with pytest.raises(RuntimeError, match="weight has a gradient, but no forward pass"):
        optimizer.step()


def test_a_parameter_without_a_layer_input_takes_the_step_of_sgd() -> None:
    net = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4))
    optimizer = INSGD(net, lr=0.1, momentum=0.0)
    before = [p.detach().clone() for p in net.parameters()]
    net(torch.arange(5)).square().sum().backward()
    optimizer.step()
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.detach(), old - 0.1 * parameter.grad)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lr": -0.1}, "lr must be >= 0, got -0.1"),
        ({"lr": math.nan}, "lr must be >= 0, got nan"),
        ({"momentum": 1.0}, "momentum must be >= 0 and < 1, got 1.0"),
        ({"beta": -0.1}, "beta must be >= 0 and < 1, got -0.1"),
        ({"dampening": 2.0}, "dampening must be >= 0 and <= 1, got 2.0"),
        ({"eps": 0.0}, "eps must be > 0, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0, got -1.0"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs momentum > 0"),
        ({"norm": "l3"}, "norm must be one of l1, l2, got 'l3'"),
        ({"preset": "mine"}, "preset must be one of paper, released, got 'mine'"),
        ({"granularity": "row"}, "granularity must be one of"),
        ({"damping": "sqrt"}, "damping must be one of"),
        ({"power_init": "one"}, "power_init must be one of first, zero, got 'one'"),
        (
            {"preset": "released", "beta": 0.5},
            "beta has no place in preset 'released'; it must be 0.9, got 0.5",
        ),
        ({"preset": "released", "damping": "log1p"}, "damping has no place in preset 'released'"),
    ],
)
def test_a_bad_argument_is_refused_with_name_value_and_rule(arguments: dict[str, Any], words: str) -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=words):
        INSGD(net, **arguments)
    assert hooks(net) == 0


@pytest.mark.parametrize("preset", ["paper", "released"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_leaves_a_state_and_no_exception(value: float, preset: str) -> None:
    net = nn.Linear(3, 2)
    optimizer = INSGD(net, preset=preset)
    for x in (torch.full((3, 3), value), torch.ones(3, 3)):
        optimizer.zero_grad()
        net(x).sum().backward()
        optimizer.step()
    assert not torch.isfinite(net.weight).all()


def test_a_closure_is_called_with_gradients_and_its_loss_returned() -> None:
    net = nn.Linear(2, 1)
    optimizer = INSGD(net)

    def closure() -> float:
        optimizer.zero_grad()
        loss = net(torch.ones(3, 2)).square().sum()
        loss.backward()
        return float(loss.item())

    losses = list(itertools.islice(iter(lambda: optimizer.step(closure), None), 30))
    assert losses[-1] < losses[0]
