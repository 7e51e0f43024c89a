"""Models: their published sizes, their norms, and what initializations and optimizers see of them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from robustness import seeds
from robustness.catalog import MODELS
from robustness.inits import initialize, weighted_layers
from robustness.optimizers import INSGD
from robustness.tasks import build_model
from robustness.tasks.models.layers import Dropout
from robustness.tasks.models.vit import ViT
from robustness.training import train
from robustness.training.sequential import _seed_dropout
from robustness.trial import Trial
from tests.builders import trials

pytestmark = pytest.mark.slow

LARGE = [name for name in MODELS.names if name not in ("mlp", "toy-cnn", "resnet20")]
# Large networks as small as they come, where their size is a field.
TINY = {"wide-resnet20": {"widen": 1}, "vit": {"width": 32, "mlp_width": 32, "depth": 2, "heads": 4}}


def built(name: str, side: int, classes: int, norm: str = "batch", **changes: int) -> nn.Module:
    entry = MODELS.get(name)
    module, attribute = entry.target.split(":")
    arguments = {a.name: a.default for a in entry.arguments} | changes
    model: nn.Module = getattr(importlib.import_module(module), attribute)(
        shape=(3, side, side), classes=classes, norm=norm, **arguments
    )
    return model


@pytest.mark.parametrize(
    ("name", "side", "classes", "changes", "millions"),
    [
        ("resnet20", 32, 10, {}, 0.27),  # He et al. 2016, table 6
        ("resnet18", 32, 10, {}, 11.17),
        ("resnet18", 224, 1000, {}, 11.69),  # torchvision
        ("wide-resnet18", 32, 100, {}, 11.22),
        ("wide-resnet20", 32, 10, {"widen": 8}, 17.16),  # Zagoruyko, Komodakis 2016, table 4: WRN-22-8, 17.2
        ("wide-resnet20", 32, 10, {}, 4.30),
        ("resnet50", 224, 1000, {}, 25.56),  # torchvision
        ("resnet50", 32, 10, {}, 23.52),
        ("mobilenet-v3", 224, 1000, {}, 5.48),  # torchvision
        ("vit", 32, 10, {"norm": "layer"}, 9.52),  # the INSGD authors' released code
    ],
)
def test_a_model_has_its_published_size(
    name: str, side: int, classes: int, changes: dict[str, Any], millions: float
) -> None:
    with torch.device("meta"):
        model = built(name, side, classes, **changes)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(millions * 1e6, abs=5_000)


def test_resnet50_and_mobilenet_are_torchvisions_on_images_of_imagenets_size() -> None:
    from torchvision.models import mobilenet_v3_large, resnet50

    for ours, theirs in (("resnet50", resnet50), ("mobilenet-v3", mobilenet_v3_large)):
        with torch.device("meta"):
            shapes = [p.shape for p in built(ours, 224, 1000).parameters()]
            assert shapes == [p.shape for p in theirs().parameters()]


@pytest.mark.parametrize(
    ("name", "layer"),
    [("resnet18", "net.conv1"), ("resnet50", "net.conv1"), ("mobilenet-v3", "features.0.0")],
)
def test_images_up_to_64_pixels_keep_their_resolution_in_the_stem(name: str, layer: str) -> None:
    for side, expected in ((64, 1), (65, 2)):
        with torch.device("meta"):
            assert built(name, side, 10).get_submodule(layer).stride == (expected, expected)


def tiny(model: str, **changes: Any) -> Trial:
    """Sixteen examples, two steps."""
    side = max(MODELS.get(model).least_side, 8)
    data = {"data": "synthetic", "side": side, "classes": 4, "channels": 3, "teacher_width": 64}
    sizes = {"train_size": 16, "validation_size": 4, "test_size": 4, "batch_size": 8, "epochs": 1}
    task = {**data, **sizes, "model": model, **TINY.get(model, {}), **changes.pop("task", {})}
    [trial] = trials(task=task, **{"search": {"lr": 0.01, "seeds": 1}, **changes})
    return trial


@pytest.mark.parametrize(
    "optimizer", [{"name": "insgd"}, {"name": "sgd", "momentum": 0.9}], ids=["insgd", "sgd"]
)
@pytest.mark.parametrize(("model", "norm"), [(m, n) for m in LARGE for n in MODELS.get(m).norms])
def test_every_large_model_takes_two_steps_with_every_norm(
    model: str, norm: str, optimizer: dict[str, Any]
) -> None:
    record = train(tiny(model, task={"norm": norm}, optimizers=[optimizer]), root=Path("/nowhere"))
    assert record.first_nonfinite_step is None
    assert record.epochs[0].distance > 0


@pytest.mark.parametrize("model", LARGE)
def test_insgd_normalizes_every_layer_that_initializations_act_on(model: str) -> None:
    trial = tiny(model)
    net = build_model(trial.cell.task)
    optimizer = INSGD(net, lr=0.0)
    side = max(MODELS.get(model).least_side, 8)
    net(torch.randn(4, 3, side, side)).logsumexp(1).sum().backward()
    optimizer.step()
    normalized = {p for p, state in optimizer.state.items() if "power" in state}
    assert normalized == {layer.weight for _, layer in weighted_layers(net)}


@pytest.mark.parametrize("model", [name for name in MODELS.names if MODELS.get(name).residual_branches])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_zero_residual_silences_the_end_of_every_branch(model: str, norm: str) -> None:
    trial = tiny(model, task={"norm": norm}, search={"lr": 0.1, "seeds": 1, "init": "zero-residual"})
    net: Any = build_model(trial.cell.task)
    initialize(net, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
    ends = net.residual_ends()
    branches = {"resnet20": 9, "resnet18": 8, "wide-resnet18": 8, "resnet50": 16, "wide-resnet20": 9}
    branches |= {"mobilenet-v3": 10, "vit": 4}
    assert len(ends) == branches[model]
    assert not any(layer.weight.any() for layer in ends)
    others = [layer for _, layer in weighted_layers(net) if not any(layer is end for end in ends)]
    assert all(layer.get_parameter("weight").any() for layer in others)


@pytest.mark.parametrize("model", LARGE)
def test_a_large_model_starts_from_its_trials_seed_alone(model: str) -> None:
    trial = tiny(model)
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        net = build_model(trial.cell.task)
        initialize(net, trial.cell.init, lambda name: seeds.weight_generator(trial, name))
        states.append(net.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))


def test_a_vits_patches_are_squares_of_neighbouring_pixels() -> None:
    net = ViT(
        shape=(1, 4, 6), classes=2, norm="none", patch=2, depth=0, heads=1, width=4, mlp_width=4, dropout=0.0
    )
    seen: list[torch.Tensor] = []
    net.embed.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    net(torch.arange(24.0).view(1, 1, 4, 6))
    assert seen[0].shape == (1, 6, 4)
    assert seen[0][0, 1].tolist() == [2, 3, 8, 9]
    assert seen[0][0, 3].tolist() == [12, 13, 18, 19]


def test_dropout_layers_of_one_model_draw_one_after_the_other() -> None:
    trial = tiny("vit", task={"dropout": 0.5})
    masks = []
    for _ in range(2):
        net = build_model(trial.cell.task)
        _seed_dropout(net, trial, 1, "cpu")
        layers = [layer for layer in net.modules() if isinstance(layer, Dropout)]
        masks.append([layer(torch.ones(100)) for layer in layers])
    assert all(torch.equal(a, b) for a, b in zip(*masks, strict=True))
    assert len({tuple(mask.tolist()) for mask in masks[0]}) == len(masks[0]) == 7
