"""INSGD's published algorithm against its definition, written as loops, on every kind of layer."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from robustness import INSGD
from robustness.optimizers import power
from tests.optimizers.loop_reference import LoopINSGD, linear_power, powers_of_weight

STEPS = 20
Passes = list[tuple[nn.Module, Tensor]]


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def loss_of(outputs: Tensor) -> Tensor:
    """A bounded loss with curvature on outputs of any shape."""
    return (outputs - 0.3).tanh().square().sum() / len(outputs)


def agree(
    net: nn.Module,
    shape: tuple[int, ...],
    *,
    forward: Callable[[Any, Tensor], Tensor] = lambda net, x: net(x),
    norm: str = "l2",
    granularity: str = "channel",
    steps: int = STEPS,
    **options: Any,
) -> None:
    """Train two copies, one by INSGD, one by the loops, whose layer inputs come from plain pre-hooks."""
    torch.manual_seed(0)
    net = net.double()
    twin = copy.deepcopy(net)
    optimizer = INSGD(net, lr=0.1, norm=norm, granularity=granularity, **{"momentum": 0.0, **options})
    reference = LoopINSGD(lr=0.1, norm=norm, **options)
    passes: Passes = []
    for module in twin.modules():
        if hasattr(module, "weight"):
            module.register_forward_pre_hook(
                lambda m, args: passes.append((m, args[0].detach())) if torch.is_grad_enabled() else None
            )
    for step in range(steps):
        x = numbers(*shape, seed=step)
        optimizer.zero_grad()
        loss_of(forward(net, x)).backward()
        optimizer.step()
        passes.clear()
        twin.zero_grad()
        loss_of(forward(twin, x)).backward()
        for name, parameter in twin.named_parameters():
            seen = [
                powers_of_weight(m, inputs, norm, granularity)
                for m, inputs in passes
                if m.weight is parameter and not isinstance(m, nn.LayerNorm)
            ]
            reference.step(name, parameter, seen or None)
    for (name, ours), theirs in zip(net.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10, msg=partial("{}: {}".format, name))


LAYERS: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "linear": lambda: (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), (4, 6)),
    "linear on sequences": lambda: (
        nn.Sequential(nn.Linear(6, 3), nn.LayerNorm(3), nn.Flatten(), nn.Linear(9, 3)),
        (4, 3, 6),
    ),
    "conv2d": lambda: (
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)),
        (4, 2, 4, 4),
    ),
    "strided, dilated conv2d": lambda: (nn.Conv2d(2, 3, 3, stride=2, dilation=2, padding=1), (3, 2, 7, 7)),
    "grouped conv2d": lambda: (
        nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)),
        (4, 4, 4, 4),
    ),
    "depthwise conv2d": lambda: (nn.Conv2d(3, 6, 3, groups=3, stride=2), (4, 3, 5, 5)),
    "conv1d": lambda: (nn.Conv1d(3, 4, 3), (4, 3, 7)),
    "conv3d": lambda: (nn.Conv3d(2, 2, 2), (2, 2, 3, 3, 3)),
    "transposed conv2d": lambda: (nn.ConvTranspose2d(3, 4, 3, stride=2), (2, 3, 4, 4)),
    "grouped transposed conv1d": lambda: (nn.ConvTranspose1d(4, 6, 3, groups=2), (2, 4, 5)),
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9, "weight_decay": 5e-2},
    {"momentum": 0.5, "dampening": 0.3, "beta": 0.5},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-2, "decoupled_weight_decay": True},
    {"power_init": "zero", "eps": 0.2, "damping": "log1p"},
    {"damping": "none", "eps": 1.0, "maximize": True},
]


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_agrees_with_the_loops(name: str, norm: str) -> None:
    agree(*LAYERS[name](), norm=norm, momentum=0.9)


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_agrees_with_the_loops(options: dict[str, Any], foreach: bool) -> None:
    net, shape = LAYERS["conv2d"]()
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # The loops know nothing of `foreach`: it must change nothing.
        original = INSGD.__init__
        patch.setattr(INSGD, "__init__", lambda self, *a, **k: original(self, *a, foreach=foreach, **k))
        agree(net, shape, **options)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("granularity", ["layer", "patch"])
@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "strided, dilated conv2d", "grouped conv2d", "depthwise conv2d"]
)
def test_every_granularity_agrees_with_the_loops(name: str, granularity: str, norm: str) -> None:
    agree(*LAYERS[name](), norm=norm, granularity=granularity, steps=5)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("granularity", ["channel", "layer", "patch"])
@pytest.mark.parametrize("name", ["linear on sequences", "conv2d"])
def test_a_batch_in_parts_is_the_whole_batch(
    name: str, granularity: str, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven examples in parts of two or three, the last part shorter."""
    net, shape = LAYERS[name]()
    monkeypatch.setattr(power, "CACHED_NUMBERS", 3 * math.prod(shape[1:]))
    agree(net, (7, *shape[1:]), norm=norm, granularity=granularity, steps=3)


class Twice(nn.Module):
    """One layer used twice in a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(self.layer(x).relu())
        return y


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.two(self.one(x).relu())
        return y


class Shortcut(nn.Module):
    """Two convolutions that read the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.shortcut = (nn.Conv2d(2, 2, k, padding=k // 2) for k in (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x).relu() + self.shortcut(x)
        return y


@pytest.mark.parametrize("net", [Twice, Tied])
def test_a_weight_that_is_used_twice_averages_its_powers(net: type[nn.Module]) -> None:
    agree(net(), (5, 4), momentum=0.9)


def test_layers_that_share_an_input_measure_what_each_reads() -> None:
    agree(Shortcut(), (3, 2, 4, 4), momentum=0.9)


def test_an_input_that_was_changed_in_place_is_measured_again() -> None:
    net = nn.Conv2d(2, 2, 3).double()
    optimizer = INSGD(net, beta=0.0)
    x = numbers(3, 2, 4, 4, seed=0)
    powers = []
    for _ in range(2):
        net(x).sum().backward()
        optimizer.step()
        powers.append(optimizer.state[net.weight]["power"].clone())
        x.mul_(3.0)
    torch.testing.assert_close(powers[1], 9 * powers[0])


def test_accumulated_gradients_average_their_powers() -> None:
    agree(
        LAYERS["linear"]()[0],
        (6, 6),
        forward=lambda net, x: torch.cat([net(x[:2]), net(x[2:])]),
        momentum=0.9,
    )


def test_after_an_infinite_power_a_layer_stands_still() -> None:
    net = nn.Linear(3, 2, bias=False)
    optimizer = INSGD(net, lr=0.1)
    for size in (1e20, 1.0):  # the square of the first overflows
        optimizer.zero_grad()
        net(size * torch.ones(2, 3)).sum().backward()
        before = net.weight.detach().clone()
        optimizer.step()
        torch.testing.assert_close(net.weight.detach(), before, rtol=0, atol=0)
    assert optimizer.state[net.weight]["power"].item() == math.inf


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_layer_counts_once(reentrant: bool) -> None:
    """Its forward pass runs twice, without gradients or to be thrown away; compared with a plain pass."""
    nets = [nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).double()]
    nets.append(copy.deepcopy(nets[0]))
    optimizers = [INSGD(net, momentum=0.9) for net in nets]
    for step in range(5):
        x = numbers(5, 4, seed=step).requires_grad_()
        outputs = [nets[0](x), checkpoint(nets[1], x, use_reentrant=reentrant) + 0 * nets[1](10 * x).detach()]
        for optimizer, output in zip(optimizers, outputs, strict=True):
            optimizer.zero_grad()
            loss_of(output).backward()
            optimizer.step()
    for plain, checkpointed in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(plain, checkpointed, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dims", [{}, {"kdim": 3, "vdim": 5}], ids=["packed", "apart"])
def test_the_in_projections_of_attention_are_normalized_by_their_own_inputs(dims: dict[str, int]) -> None:
    net = nn.MultiheadAttention(4, 2, batch_first=True, bias=False, **dims).double()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = INSGD(net, lr=0.1, momentum=0.0, plain=["out_proj.*"])
    query, key, value = (
        numbers(2, 6, 4, seed=1),
        numbers(2, 7, dims.get("kdim", 4), seed=2),
        numbers(2, 7, dims.get("vdim", 4), seed=3),
    )
    loss_of(net(query, key=3 * key, value=5 * value)[0]).backward()
    optimizer.step()
    logs = [math.log(linear_power(x, "l2")) for x in (query, 3 * key, 5 * value)]
    expected: dict[str, Any] = {"out_proj.weight": 1.0}
    if dims:
        expected |= dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), logs, strict=True))
    else:
        expected["in_proj_weight"] = torch.tensor(logs, dtype=torch.float64).repeat_interleave(4)[:, None]
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(
            parameter.detach(), before[name] - 0.1 * parameter.grad / expected[name], rtol=0, atol=1e-12
        )


def test_a_patch_of_a_1x1_convolution_on_1x1_maps_is_a_linear_layer() -> None:
    linear, conv = nn.Linear(8, 3).double(), nn.Conv2d(8, 3, 1).double()
    with torch.no_grad():
        conv.weight.copy_(linear.weight[:, :, None, None])
        conv.bias.copy_(linear.bias)  # type: ignore[union-attr]
    x = numbers(5, 8, seed=0)
    for net, inputs in ((linear, x), (conv, x[:, :, None, None])):
        optimizer = INSGD(net, granularity="patch")
        loss_of(net(inputs).flatten(1)).backward()
        optimizer.step()
    torch.testing.assert_close(conv.weight.flatten(1), linear.weight, rtol=0, atol=1e-12)


def test_a_transposed_1x1_convolution_has_the_patches_of_a_plain_one() -> None:
    plain, transposed = nn.Conv2d(4, 4, 1, groups=2), nn.ConvTranspose2d(4, 4, 1, groups=2)
    x = numbers(3, 4, 5, 5, seed=0).float()
    powers = []
    for net in (plain, transposed):
        optimizer = INSGD(net, granularity="patch")
        net(x).sum().backward()
        optimizer.step()
        powers.append(optimizer.state[net.weight]["power"].flatten())
    torch.testing.assert_close(powers[0], powers[1])


def test_padding_modes_are_seen_as_the_layer_pads() -> None:
    net = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular").double()
    optimizer = INSGD(net, granularity="patch")
    x = numbers(2, 1, 4, 4, seed=0)
    loss_of(net(x)).backward()
    optimizer.step()
    # On a torus every position is seen by nine outputs.
    torch.testing.assert_close(optimizer.state[net.weight]["power"].squeeze(), 9 * x.square().mean())
