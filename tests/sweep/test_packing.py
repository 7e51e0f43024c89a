"""Which trials share a pack, and how many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.catalog import MODELS, OPTIMIZERS
from robustness.sweep.packing import FIRST, MOST, Pack, cut, grouped, largest_pack, size_of, technique_of
from robustness.training import train_pack
from robustness.trial import Trial
from tests.builders import trials


def packed(found: list[Trial], size: Any = "auto", device: str = "cpu", slots: int = 1) -> list[Pack]:
    made: list[Pack] = []
    for kind, alike in grouped(found, size=size, device=device).items():
        most = size_of(kind, size=size, device=device) or FIRST
        made += cut(kind, alike, most=most, slots=slots)
    return made


MIXED = trials(
    optimizers=[
        {"name": "sgd"},
        {"name": "sgd", "momentum": [0.5, 0.9]},
        {"name": "insgd", "norm": ["l1", "l2"]},
        {"name": "pytorch-optimizer:lion"},
    ],
    search={"lr": [0.01, 0.1, 1.0], "seeds": 5, "init": ["default", "orthogonal"]},
)


@given(
    st.sampled_from(["auto", 1, 2, 7, 100]),
    st.integers(1, 6),
    st.integers(1, len(MIXED)),
    st.sampled_from(["cpu", "cuda"]),
)
def test_every_trial_is_in_one_pack_of_its_own_kind(size: Any, slots: int, count: int, device: str) -> None:
    found = packed(MIXED[:count], size, device, slots)
    assert sorted(t.key for pack in found for t in pack.trials) == sorted(t.key for t in MIXED[:count])
    most = MOST if size == "auto" else size
    for pack in found:
        assert 1 <= len(pack.trials) <= most
        assert len({(t.cell.task, t.cell.optimizer.family) for t in pack.trials}) == 1
        assert {technique_of(t, device) if size != 1 else None for t in pack.trials} == {pack.technique}


def test_numbers_may_differ_in_a_pack_but_not_zero_from_nonzero_nor_choices() -> None:
    families = {pack.trials[0].cell.optimizer.family for pack in packed(MIXED)}
    assert len(families) == 5  # plain, momentum, two norms, lion


def test_a_pack_of_one_turns_packing_off() -> None:
    assert {(pack.technique, len(pack.trials)) for pack in packed(MIXED, 1)} == {(None, 1)}


def test_optimizers_of_other_packages_train_one_at_a_time() -> None:
    lion = [t for t in MIXED if t.cell.optimizer.name == "pytorch-optimizer:lion"]
    assert {(pack.technique, len(pack.trials)) for pack in packed(lion)} == {(None, 1)}


def test_few_trials_are_spread_over_all_slots() -> None:
    assert [len(pack.trials) for pack in packed(MIXED[:30], slots=4)] == [7, 8, 7, 8]


def test_the_technique_does_not_depend_on_how_many_trials_there_are() -> None:
    assert {pack.technique for pack in packed(MIXED[:1], 64)} == {"feature-major"}


def test_larger_trials_come_in_smaller_packs() -> None:
    def most(**task: Any) -> int:
        return largest_pack(trials(task=task)[0].cell.task)

    assert most() == MOST
    assert most(batch_size=512) == MOST // 8
    assert most(width=4096) == 1
    assert 1 < most(model="toy-cnn") < MOST
    assert most(model="toy-cnn", batch_size=512) < most(model="toy-cnn")


def test_on_an_accelerator_no_size_but_a_given_one_is_known_beforehand() -> None:
    [mlp] = grouped(MIXED[:1], size="auto", device="cuda")
    assert [size_of(mlp, size=size, device="cuda") for size in ("auto", 7)] == [None, 7]
    assert size_of(mlp, size="auto", device="cpu") == MOST
    [alone] = grouped(trials(task={"model": "resnet18", "data": "synthetic"})[:1], size="auto", device="cuda")
    assert size_of(alone, size="auto", device="cuda") == 1


def test_images_too_large_for_the_cache_are_not_packed() -> None:
    [small, *_] = trials(task={"model": "toy-cnn"})
    [large, *_] = trials(task={"model": "toy-cnn", "data": "fashion-mnist"})
    assert (technique_of(small, "cpu"), technique_of(large, "cpu")) == ("feature-major", None)


@pytest.mark.parametrize("model", MODELS.names)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_technique_of_the_table_runs_its_model(model: str, device: str) -> None:
    small = {"data": "synthetic", "train_size": 32, "validation_size": 20, "test_size": 20, "batch_size": 16}
    side = max(MODELS.get(model).least_side, 8)
    [trial, *_] = trials(task={**small, "side": side, "model": model, "epochs": 1, "norm": "layer"})
    technique = technique_of(trial, device)
    if technique is None:
        assert model not in ("mlp", "toy-cnn")
    else:
        [[record]] = train_pack([trial], technique=technique, root=Path("/nowhere"))
        assert record.key == trial.key


def test_the_catalog_marks_no_extra_optimizer_as_ours() -> None:
    ours = [e for e in OPTIMIZERS if not e.extra]
    for entry in ours:
        [trial, *_] = trials(optimizers=[{"name": entry.name}])
        assert technique_of(trial, "cpu") == "feature-major"
