"""The preset `released` against steps of the authors' own code, and against fixed multipliers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustness import INSGD
from robustness.optimizers.power import released_power
from robustness.optimizers.rules.power import Measure
from robustness.training import train
from tests.builders import trials

TRAJECTORIES = json.loads((Path(__file__).parents[1] / "data" / "released_trajectories.json").read_text())
LABELS = torch.tensor([0, 1, 2, 1, 0])


def closed_form(shape: tuple[int, ...], phase: float) -> Tensor:
    """The inputs of data/released_trajectories.json: no random numbers, so that anybody can rebuild them."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (torch.sin(0.7 * i + phase) * (1 + 0.5 * torch.cos(0.31 * i * phase + 1))).reshape(shape)


def network(kind: str) -> tuple[nn.Sequential, tuple[int, ...]]:
    if kind == "conv":
        net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
        shape: tuple[int, ...] = (5, 2, 6, 6)
    else:
        net = nn.Sequential(nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 3))
        shape = (5, 4, 12) if kind == "tokens" else (5, 12)
    net = net.double()
    with torch.no_grad():
        for j, parameter in enumerate(net.parameters()):
            parameter.copy_(0.2 * closed_form(tuple(parameter.shape), j + 1.5))
    return net, shape


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_it_reproduces_the_steps_of_the_authors_code(name: str) -> None:
    config = TRAJECTORIES[name]["config"]
    net, shape = network(name.split("_")[0])
    optimizer = INSGD(
        net,
        lr=config["lr"],
        momentum=config["momentum"],
        weight_decay=config["wd"],
        norm=f"l{config['norm_t']}",
        preset="released",
    )
    for t, step in enumerate(TRAJECTORIES[name]["steps"]):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(closed_form(shape, 3 + t)), LABELS)
        loss.backward()
        optimizer.step()
        assert loss.item() == pytest.approx(step["loss"], abs=1e-9)
        for parameter, (total, squares, first, last) in zip(net.parameters(), step["params"], strict=True):
            flat = parameter.detach().flatten()
            assert flat.sum().item() == pytest.approx(total, abs=1e-9)
            assert flat.square().sum().item() == pytest.approx(squares, abs=1e-9)
            assert flat[0].item() == pytest.approx(first, abs=1e-9)
            assert flat[-1].item() == pytest.approx(last, abs=1e-9)


def standardized_step(
    net: nn.Sequential,
    inputs: list[Tensor],
    norm: str,
    momentum: float,
    decay: float,
    buffers: dict[Any, Tensor],
    *,
    nesterov: bool,
) -> None:
    """The released update written out, from a standardized copy of each input."""
    factor = math.sqrt(1 + 1e-6) / (math.sqrt(1 - momentum) + 1e-6)
    for layer, x in zip(net, inputs, strict=False):
        for kind, parameter in layer.named_parameters():
            assert parameter.grad is not None
            gradient = parameter.grad + decay * parameter.detach()
            buffers[parameter] = (
                gradient if parameter not in buffers else momentum * buffers[parameter] + gradient
            )
            update = gradient + momentum * buffers[parameter] if nesterov else buffers[parameter]
            if kind == "weight":
                dims = (2, 3) if x.ndim == 4 else (1,)
                z = (x - x.mean(dims, keepdim=True)) / x.std(dims, keepdim=True).clamp_min(0.01)
                magnitudes = z.square() if norm == "l2" else z.abs()
                if x.ndim == 4:
                    power = magnitudes.sum(dims).mean(0)[None, :, None, None]
                else:
                    power = magnitudes.sum(-1).mean() + 0.1
                update = update / power.log().clamp_min(0.01) * factor
            with torch.no_grad():
                parameter.sub_(0.05 * update)


def loss_over_tokens(outputs: Tensor) -> Tensor:
    """Cross-entropy of (5, 3) logits, or of their mean over the tokens of (5, T, 3)."""
    return F.cross_entropy(outputs.mean(1) if outputs.ndim == 3 else outputs, LABELS)


@pytest.mark.parametrize("kind", ["conv", "linear", "tokens"])
@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize(
    ("momentum", "decay", "nesterov"),
    [(0.9, 5e-4, False), (0.9, 5e-4, True), (0.0, 0.0, False), (0.5, 1e-2, True)],
)
def test_the_closed_form_equals_a_standardized_copy(
    kind: str, norm: str, momentum: float, decay: float, nesterov: bool
) -> None:
    net, shape = network(kind)
    twin, _ = network(kind)
    optimizer = INSGD(
        net,
        lr=0.05,
        momentum=momentum,
        weight_decay=decay,
        norm=norm,
        preset="released",
        nesterov=nesterov,
    )
    buffers: dict[Any, Tensor] = {}
    for t in range(10):
        x = closed_form(shape, 3 + t)
        if t >= 5 and kind == "conv":
            x[:, 0] *= 1e-3  # a channel that is almost constant: its deviation is clamped
        optimizer.zero_grad()
        loss_over_tokens(net(x)).backward()
        optimizer.step()
        inputs = [x]
        for layer in twin:
            inputs.append(layer(inputs[-1]))
        twin.zero_grad()
        loss_over_tokens(inputs[-1]).backward()
        detached = [i.detach() for i in inputs]
        standardized_step(twin, detached, norm, momentum, decay, buffers, nesterov=nesterov)
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


def test_the_power_of_a_standardized_input_is_a_constant_of_the_layer() -> None:
    net = nn.Conv2d(3, 4, 3)
    optimizer = INSGD(net, preset="released")
    for scale in (0.1, 1.0, 50.0):
        optimizer.zero_grad()
        net(scale * torch.randn(5, 3, 32, 32)).sum().backward()
        [power] = optimizer._observer.collected().values()
        assert power.log().flatten().tolist() == pytest.approx([math.log(1023)] * 3, abs=1e-5)
        assert math.log(1023) == pytest.approx(6.9305, abs=1e-4)


def test_a_map_of_one_position_takes_a_step_316_times_as_long() -> None:
    net = nn.Conv2d(3, 2, 1, bias=False)
    before = net.weight.detach().clone()
    optimizer = INSGD(net, lr=1e-4, momentum=0.9, preset="released")
    net(torch.randn(4, 3, 1, 1)).sum().backward()
    optimizer.step()
    assert net.weight.grad is not None
    ratio = (before - net.weight.detach()) / (1e-4 * net.weight.grad)
    torch.testing.assert_close(ratio, torch.full_like(ratio, 316.2), rtol=2e-3, atol=0)


@pytest.mark.parametrize(("features", "tokens", "times"), [(64, 1, 414.0), (512, 1, 624.0), (64, 4, 1.07)])
def test_a_linear_layer_is_normalized_over_tokens_and_not_over_features(
    features: int, tokens: int, times: float
) -> None:
    """How much longer steps on (B, T, F) are than on (B T, F), where features are standardized."""
    inputs = torch.randn(8, tokens, features, generator=torch.Generator().manual_seed(0))
    powers = []
    for x in (inputs, inputs.flatten(0, 1)):
        total, count, _ = released_power(nn.Linear(features, 2), x, "l2")
        powers.append((total / count).log().clamp_min(0.01).item())
    assert powers[1] / powers[0] == pytest.approx(times, rel=0.01)


def test_every_further_axis_of_a_linear_layers_input_counts_rows() -> None:
    """Of (B, H, W, F) the authors' code standardizes the second axis, and takes norms over the last."""
    x = closed_form((3, 4, 2, 5), 1.0)
    total, count, clamped = released_power(nn.Linear(5, 2), x, "l2")
    z = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
    assert (total / count).item() == pytest.approx(z.square().sum(-1).mean().item() + 0.1, rel=1e-9)
    assert (count, clamped.sum().item()) == (24, 0)


def test_the_share_of_clamped_deviations_is_told() -> None:
    net = nn.Conv2d(4, 2, 3)
    optimizer = INSGD(net, preset="released")
    assert math.isnan(optimizer.clamped_share())
    x = torch.randn(5, 4, 6, 6)
    x[:, 0] = 0.0
    net(x).sum().backward()
    assert optimizer.clamped_share() == pytest.approx(0.25)


@pytest.mark.parametrize("level", [0.7, 3.3, 100.3])
@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a pack"])
def test_a_channel_that_does_not_vary_has_no_power_in_float32(
    together: bool, norm: str, level: float
) -> None:
    x = torch.full((5, 3, 28, 28), level)
    layer, measure = nn.Conv2d(3, 4, 3), Measure(what="released", norm=norm)
    if together:
        power = torch.empty(1, 3)
        clamped = measure.of_pack(layer, x.movedim(0, -1)[None], x, power)
        assert clamped is not None
    else:
        power, clamped = measure.of_trial(layer, x)
    assert power.flatten().tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    assert clamped.item() == 1


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_where_nothing_is_clamped_it_is_sgd_with_fixed_multipliers(activation: str, tmp_path: Path) -> None:
    """200 steps of toy-cnn on 16x16 images: the same losses with tanh, others with ReLU, whose dead channels clamp."""
    losses, clamped = [], 0.0
    for name, arguments in (("insgd", {"preset": "released"}), ("sgd-layerwise", {})):
        [trial] = trials(
            optimizers=[{"name": name, **arguments}],
            task={
                "data": "synthetic",
                "side": 16,
                "train_size": 1_300,
                "model": "toy-cnn",
                "activation": activation,
                "dropout": 0.0,
                "batch_size": 64,
                "epochs": 10,
            },
            search={"lr": 0.05, "seeds": 1},
        )
        record = train(trial, root=tmp_path, dtype=torch.float64)
        losses.append([row.train_loss for row in record.epochs])
        if name == "insgd":
            clamped = max(row.clamped_share for row in record.epochs)
    difference = max(abs(a - b) for a, b in zip(*losses, strict=True))
    if activation == "tanh":
        assert clamped == 0
        assert difference < 1e-6
    else:
        assert clamped > 0
        assert difference > 1e-3


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 4, 3, groups=2), nn.Conv1d(2, 2, 3), nn.ConvTranspose2d(2, 2, 3)]
)
def test_layers_that_the_released_code_cannot_run_are_refused_by_name(layer: nn.Module) -> None:
    with pytest.raises(
        ValueError, match=r"^0: the released code runs Linear and ungrouped Conv2d layers only"
    ):
        INSGD(nn.Sequential(layer), preset="released")
