"""Precision and compilation: off by default, and what they may change when they are on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from robustness.errors import SpecError
from robustness.optimizers import INSGD
from robustness.sweep.packing import technique_of
from robustness.tasks import build_model
from robustness.training import train, train_pack
from robustness.training.precision import gradient_scaler
from robustness.training.sequential import _Recipe
from robustness.trial import TaskConfig, Trial
from tests.builders import trials

NOWHERE = Path("/nowhere")


def first(**changes: Any) -> Trial:
    return trials(**{"search": {"lr": 0.1, "seeds": 1}, **changes})[0]


def test_a_field_at_its_default_leaves_the_trial_what_it_was() -> None:
    trial = first()
    assert first(task={"precision": "float32", "compile": False}).key == trial.key
    assert {"precision", "compile"}.isdisjoint(trial.cell.task.as_dict())
    changed = first(task={"precision": "bf16", "compile": True})
    assert changed.key != trial.key
    assert TaskConfig.from_dict(changed.cell.task.as_dict()) == changed.cell.task


def test_float32_is_float32_in_convolutions_too() -> None:
    """cuDNN would take TF32, which this machine has not: what is looked at is what training asks for."""
    cudnn: Any = torch.backends.cudnn
    for run in (train, lambda trial, root: list(train_pack([trial], technique="feature-major", root=root))):
        cudnn.conv.fp32_precision = "tf32"
        run(first(task={"epochs": 1}), root=NOWHERE)
        assert cudnn.conv.fp32_precision == "ieee"


def test_bf16_computes_otherwise_and_learns_the_same() -> None:
    task = {"model": "toy-cnn", "norm": "batch", "epochs": 3}
    plain, short = (
        train(first(task={**task, "precision": p}, optimizers=[{"name": "insgd"}]), root=NOWHERE)
        for p in ("float32", "bf16")
    )
    assert plain.l0 != short.l0 == pytest.approx(plain.l0, rel=0.01)
    assert short.epochs[-1].test_accuracy == pytest.approx(plain.epochs[-1].test_accuracy, abs=0.06)
    assert short.epochs[-1].test_accuracy > 0.8


def test_fp16_on_a_cpu_is_refused_in_words() -> None:
    with pytest.raises(SpecError, match="fp16 needs a CUDA device, this trial runs on cpu; use bf16"):
        train(first(task={"precision": "fp16"}), root=NOWHERE)


def test_losses_of_the_other_precisions_are_not_scaled() -> None:
    assert not gradient_scaler("bf16", "cpu").is_enabled()
    assert not gradient_scaler("float32", "cpu").is_enabled()


def test_a_step_that_the_scaler_skips_changes_neither_weights_nor_powers() -> None:
    trial = first(optimizers=[{"name": "insgd", "clip_norm": 1.0}])
    model = build_model(trial.cell.task)
    optimizer = INSGD(model)
    scaler = GradScaler("cpu", init_scale=2.0**127)
    recipe = _Recipe(trial, optimizer, model, 19, scaler)
    before = [p.detach().clone() for p in model.parameters()]
    x, y = torch.rand(8, 1, 8, 8), torch.arange(8)

    def step(inputs: torch.Tensor) -> None:
        recipe.step(nn.functional.cross_entropy(model(inputs), y))

    step(1e6 * x)  # its scaled gradients overflow
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    assert not optimizer.state
    scaler.update(new_scale=1024.0)
    step(x)
    first_layer = model.body[1].weight  # type: ignore[index,union-attr]
    power = x.flatten(1).square().sum(1).mean()
    torch.testing.assert_close(optimizer.state[first_layer]["power"], power)
    assert not torch.equal(first_layer, before[0])


@pytest.mark.slow
# PyTorch's compiler hides this warning of its own by other means than a filter.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_compiled_model_trains_as_the_plain_one_to_rounding() -> None:
    plain, compiled = (
        train(first(task={"epochs": 1, "compile": c}, optimizers=[{"name": "insgd"}]), root=NOWHERE)
        for c in (False, True)
    )
    assert compiled.l0 == plain.l0
    assert compiled.epochs[0].train_loss == pytest.approx(plain.epochs[0].train_loss, rel=1e-4)
    assert compiled.epochs[0].test_loss == pytest.approx(plain.epochs[0].test_loss, rel=1e-4)


@pytest.mark.parametrize("field", [{"precision": "bf16"}, {"compile": True}])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_neither_is_packed(field: dict[str, Any], device: str) -> None:
    trial = first(task=field)
    assert technique_of(first(), device) == "feature-major"
    assert technique_of(trial, device) is None
    with pytest.raises(TypeError, match="one at a time"):
        next(train_pack([trial], technique="feature-major", root=NOWHERE))
