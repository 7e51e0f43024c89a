"""Packs: what they compute is what one trial at a time computes, and no trial knows of its neighbours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from robustness.catalog.optimizer_entries import ENTRIES
from robustness.optimizers.rules import RULES
from robustness.training import train, train_pack
from robustness.training.packed import Technique
from robustness.trial import Trial, TrialRecord
from tests.builders import trials

pytestmark = pytest.mark.slow

NOWHERE = Path("/nowhere")
VARIANTS: list[dict[str, Any]] = [
    {"name": "sgd"},
    {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
    {"name": "sgd", "momentum": 0.9, "dampening": 0.5, "clip_norm": 0.5, "schedule": "cosine"},
    {"name": "sgd", "warmup_epochs": 1.5, "schedule": "step", "milestones": [1.0], "decay_factor": 0.2},
    {"name": "adam", "weight_decay": 1e-3},
    {"name": "adam", "amsgrad": True},
    {"name": "adam", "decoupled_weight_decay": True, "weight_decay": 0.1},
    {"name": "adamw"},
    {"name": "nadam", "weight_decay": 1e-3},
    {"name": "nadam", "decoupled_weight_decay": True, "weight_decay": 0.1},
    {"name": "radam"},
    {"name": "radam", "betas": [0.9, 0.9], "decoupled_weight_decay": True, "weight_decay": 0.1},
    {"name": "adamax"},
    {"name": "adagrad", "lr_decay": 0.01, "initial_accumulator_value": 0.1},
    {"name": "adadelta"},
    {"name": "rmsprop"},
    {"name": "rmsprop", "centered": True, "momentum": 0.9},
    {"name": "adafactor", "weight_decay": 0.1},
    {"name": "muon"},
    {"name": "lars", "weight_decay": 1e-3},
    {"name": "lamb", "weight_decay": 1e-3},
    {"name": "normalized-gradient", "momentum": 0.9},
    {"name": "nlms"},
    {"name": "sgd-layerwise"},
    {"name": "sgd-frozen", "weight_decay": 1e-3},
    {"name": "sgd-scaled"},
    {"name": "insgd"},
    {"name": "insgd", "norm": "l1", "weight_decay": 1e-3, "momentum": 0.0},
    {"name": "insgd", "granularity": "patch", "nesterov": True},
    {"name": "insgd", "granularity": "layer", "damping": "log1p", "power_init": "zero"},
    {"name": "insgd", "decoupled_weight_decay": True, "weight_decay": 0.1, "damping": "none"},
    {"name": "insgd", "preset": "released", "weight_decay": 1e-3},
    {"name": "insgd", "preset": "released", "norm": "l1"},
    {"name": "insgd", "preset": "released", "nesterov": True},
]
ADAPTIVE = {"adam", "adamw", "nadam", "radam", "adamax", "adagrad", "rmsprop", "adafactor", "muon", "lamb"}
TOY_CNN: dict[str, Any] = {"model": "toy-cnn", "norm": "batch", "augment": "pad-crop-flip"}
IDS = [" ".join(f"{k}={v}" if k != "name" else v for k, v in variant.items()) for variant in VARIANTS]


def few(variant: dict[str, Any], seeds: int = 2, **task: Any) -> list[Trial]:
    """Trials away from the edge of stability, where rounding does not grow."""
    lr = [1e-3, 1e-2] if variant["name"] in ADAPTIVE else [1e-3, 0.1, 0.3]
    return trials(
        optimizers=[variant],
        search={"lr": lr, "seeds": seeds, "init": ["default", "orthogonal"]},
        task={"epochs": 3, "batch_size": 128, **task},
    )


def packed(
    found: Sequence[Trial], technique: Technique = "feature-major", **options: Any
) -> dict[str, TrialRecord]:
    """Records by key, without wall times."""
    records = [r for ended in train_pack(found, technique=technique, root=NOWHERE, **options) for r in ended]
    assert {record.key for record in records} == {trial.key for trial in found}
    return {record.key: timeless(record) for record in records}


def timeless(record: TrialRecord) -> TrialRecord:
    return dataclasses.replace(
        record, epochs=tuple(dataclasses.replace(e, seconds=0.0) for e in record.epochs)
    )


def figures(record: TrialRecord) -> list[float]:
    return [
        record.l0,
        record.max_loss_rise,
        *(value for row in record.epochs for value in dataclasses.astuple(row)),
    ]


def difference(one: TrialRecord, other: TrialRecord) -> float:
    """The largest difference of any figure, relative where figures are large."""
    assert (one.key, one.first_nonfinite_step) == (other.key, other.first_nonfinite_step)
    pairs = list(zip(figures(one), figures(other), strict=True))
    assert all(math.isnan(a) == math.isnan(b) for a, b in pairs)
    return max(abs(a - b) / max(1, abs(a)) for a, b in pairs if not math.isnan(a))


def bits(record: TrialRecord) -> list[str]:
    return [float(value).hex() for value in figures(record)]


def test_every_optimizer_that_comes_with_us_has_a_rule_and_a_variant_here() -> None:
    names = {entry.name for entry in ENTRIES}
    assert set(RULES) == names
    assert {variant["name"] for variant in VARIANTS} == names


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_a_packed_trial_equals_the_sequential_one_to_1e_10_in_float64(variant: dict[str, Any]) -> None:
    found = few(variant)
    records = packed(found, dtype=torch.float64)
    for trial in found[::3]:
        alone = timeless(train(trial, root=NOWHERE, dtype=torch.float64))
        assert difference(alone, records[trial.key]) < 1e-10


@pytest.mark.parametrize(
    ("variant", "norm"),
    [(variant, ("none", "batch", "layer", "group")[i % 4]) for i, variant in enumerate(VARIANTS)],
    ids=IDS,
)
def test_a_packed_convolutional_trial_equals_the_sequential_one(variant: dict[str, Any], norm: str) -> None:
    epochs = 2 if "milestones" in variant else 1  # which the budget must reach
    [trial, *_] = found = few(variant, **{**TOY_CNN, "norm": norm, "epochs": epochs})[:2]
    alone = timeless(train(trial, root=NOWHERE, dtype=torch.float64))
    assert difference(alone, packed(found, dtype=torch.float64)[trial.key]) < 1e-10


def test_trials_that_share_weights_or_a_data_order_are_packed_like_any_others() -> None:
    search = {"lr": [0.01, 0.1], "seeds": 2, "orders": 2}
    found = trials(search=search, task={"epochs": 2, "model": "toy-cnn", "augment": "pad-crop-flip"})
    records = packed(found, dtype=torch.float64)
    for trial in found:
        alone = timeless(train(trial, root=NOWHERE, dtype=torch.float64))
        assert difference(alone, records[trial.key]) < 1e-10


@pytest.mark.parametrize("variant", VARIANTS[::5], ids=IDS[::5])
def test_in_float32_a_packed_trial_equals_the_sequential_one_to_1e_4(variant: dict[str, Any]) -> None:
    found = few(variant)
    records = packed(found)
    assert max(difference(timeless(train(t, root=NOWHERE)), records[t.key]) for t in found[::3]) < 1e-4


@pytest.mark.parametrize("variant", [VARIANTS[1], *VARIANTS[-7:]], ids=[IDS[1], *IDS[-7:]])
@pytest.mark.parametrize("task", [{"norm": "group", "depth": 2}, TOY_CNN], ids=["mlp", "toy-cnn"])
def test_feature_major_equals_vmap(variant: dict[str, Any], task: dict[str, Any]) -> None:
    found = few(variant, **{**task, "epochs": 1})[:3]
    one, other = (packed(found, technique, dtype=torch.float64) for technique in ("feature-major", "vmap"))
    assert max(difference(one[t.key], other[t.key]) for t in found) < 1e-9


def test_vmap_runs_a_model_that_has_no_faster_way() -> None:
    task: dict[str, Any] = {
        "data": "synthetic",
        "model": "resnet20",
        "norm": "batch",
        "epochs": 1,
        "batch_size": 32,
    }
    sizes = {"train_size": 64, "validation_size": 20, "test_size": 20}
    found = few({"name": "sgd"}, **task, **sizes)[:2]
    alone = timeless(train(found[0], root=NOWHERE, dtype=torch.float64))
    assert difference(alone, packed(found, "vmap", dtype=torch.float64)[found[0].key]) < 1e-9


WILD = [1e-3, 0.1, 1.0, 10.0, 1e4, 1e20]
CLIPPED = {"name": "sgd", "momentum": 0.9, "clip_norm": 0.5, "warmup_epochs": 1.0}
DEEP = {"norm": "batch", "depth": 5, "width": 32}


def same_in_every_pack(found: list[Trial], sizes: Sequence[int]) -> None:
    reference = {trial.key: bits(packed([trial])[trial.key]) for trial in found[::7]}
    for size in sizes:
        for start in (0, 2):
            records = packed(found[start : start + size])
            for key in reference.keys() & records.keys():
                assert bits(records[key]) == reference[key], (size, start)


@pytest.mark.parametrize(
    "task",
    [{}, DEEP, TOY_CNN, {**TOY_CNN, "norm": "group", "augment": "none"}],
    ids=["mlp", "deep mlp with batch norm", "toy-cnn with batch norm", "toy-cnn with group norm"],
)
@pytest.mark.parametrize(
    "variant", [CLIPPED, {"name": "insgd"}, {"name": "adam", "weight_decay": 1e-3}], ids=lambda v: v["name"]
)
def test_a_record_does_not_depend_on_neighbours_place_or_size_to_the_bit(
    task: dict[str, Any], variant: dict[str, Any]
) -> None:
    """Neighbours that diverge, and leave the pack on the way, among them."""
    sizes = (2, 3, 8, 33, 64) if task == {} else (2, 3, 17)
    found = trials(
        optimizers=[variant],
        search={"lr": WILD, "seeds": 11, "init": ["default"]},
        task={"epochs": 2, "batch_size": 128, **task},
    )
    same_in_every_pack(found[: max(sizes) + 2], sizes)


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_no_optimizer_lets_a_neighbour_change_a_bit(variant: dict[str, Any]) -> None:
    found = trials(
        optimizers=[variant],
        search={"lr": WILD, "seeds": 2, "init": ["default"]},
        task={"epochs": 2, "batch_size": 256, "activation": "tanh", **DEEP},
    )
    same_in_every_pack(found, (2, 5, 12))


def test_a_trial_that_dies_leaves_the_pack_with_its_step_and_the_others_go_on() -> None:
    found = trials(
        optimizers=[{"name": "sgd", "momentum": 0.9}],
        search={"lr": [0.1, 1e30], "seeds": 3},
        task={"epochs": 3, "depth": 2},
    )
    ended = list(train_pack(found, technique="feature-major", root=NOWHERE))
    assert [len(records) for records in ended] == [3, 0, 3]
    for record in ended[0]:
        alone = train(next(t for t in found if t.key == record.key), root=NOWHERE)
        assert record.first_nonfinite_step == alone.first_nonfinite_step
        assert math.isnan(record.epochs[-1].test_accuracy)


@pytest.mark.parametrize("one_at_a_time", [True, False], ids=["sequential", "packed"])
def test_a_loss_above_the_limit_ends_a_trial_and_says_so(one_at_a_time: bool) -> None:
    found = trials(
        optimizers=[{"name": "sgd", "momentum": 0.9}],
        search={"lr": [0.01, 100.0], "seeds": 1},
        task={"epochs": 4, "stop_above": 10.0},
    )
    records = {t.key: train(t, root=NOWHERE) for t in found} if one_at_a_time else packed(found)
    calm, wild = (records[trial.key] for trial in found)
    assert (calm.stopped, len(calm.epochs)) == (False, 4)
    assert wild.stopped
    assert wild.first_nonfinite_step is None
    assert wild.epochs[-1].train_loss > 10 * wild.l0
    assert all(row.train_loss <= 10 * wild.l0 for row in wild.epochs[:-1])


def test_per_trial_hyperparameters_share_a_pack() -> None:
    found = trials(
        optimizers=[{"name": "adam", "betas": [[0.9, 0.999], [0.8, 0.9]], "weight_decay": [1e-4, 1e-2]}],
        search={"lr": [1e-3, 1e-2], "seeds": 1},
        task={"epochs": 2},
    )
    assert len({trial.cell.optimizer.family for trial in found}) == 1
    records = packed(found, dtype=torch.float64)
    for trial in found:
        alone = timeless(train(trial, root=NOWHERE, dtype=torch.float64))
        assert difference(alone, records[trial.key]) < 1e-10


def test_a_model_without_a_packed_form_is_refused_by_name() -> None:
    [trial, *_] = trials(task={"data": "synthetic", "model": "resnet20"})
    with pytest.raises(TypeError, match="has no packed form"):
        next(train_pack([trial], technique="feature-major", root=NOWHERE))
