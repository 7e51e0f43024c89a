"""Data sets: what the catalog states is what is read; splits are fixed and stratified."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustness.catalog import DATASETS
from robustness.errors import DataMissing
from robustness.tasks import Dataset, load
from robustness.tasks.datasets import stratified_order
from robustness.tasks.download import DEBIAN_FASHION_MNIST, download
from robustness.trial import Named


def loaded(name: str, root: Path, **arguments: Any) -> Dataset:
    return load(DATASETS.get(name).fill(arguments), root)


def test_scaled_inputs_are_made_once_and_leave_the_others_as_they_were() -> None:
    of = (DATASETS.get("digits").fill({}), Path("/nowhere"), "cpu", torch.float32)
    large, plain = load(*of, 16.0), load(*of, 1.0)
    assert load(*of, 16.0) is large
    for part in ("train", "validation", "test"):
        torch.testing.assert_close(
            getattr(large, part).inputs, 16 * getattr(plain, part).inputs, rtol=0, atol=0
        )
        assert getattr(large, part).labels is getattr(plain, part).labels


@pytest.mark.parametrize("name", ["digits", "mnist1d", "synthetic"])
def test_a_data_set_has_the_sizes_shapes_and_shares_of_its_entry(name: str, tmp_path: Path) -> None:
    entry = DATASETS.get(name)
    facts = entry.facts({a.name: a.default for a in entry.arguments})
    data = loaded(name, tmp_path)
    assert data.train.inputs.shape == (facts.train_size, *facts.shape)
    assert len(data.validation) == facts.validation_size
    assert tuple(torch.bincount(data.test.labels).tolist()) == facts.test_counts
    assert data.train.inputs.dtype == torch.float32
    assert torch.isfinite(data.train.inputs).all()


def test_the_splits_of_the_digits_share_no_example_and_lose_none(tmp_path: Path) -> None:
    data = loaded("digits", tmp_path)
    rows = torch.cat([split.inputs.flatten(1) for split in (data.train, data.validation, data.test)])
    assert len(rows) == 1797
    assert rows.sum().item() * 16 == pytest.approx(561_718)
    assert [rows.min().item(), rows.max().item()] == [0, 1]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300), st.floats(0.05, 0.95))
def test_every_stretch_of_the_order_holds_the_classes_in_their_shares(labels: list[int], cut: float) -> None:
    array = np.array(labels)
    order = stratified_order(array)
    assert sorted(order) == list(range(len(labels)))
    part = array[order[: round(cut * len(labels))]]
    for label in set(labels):
        share = (array == label).mean()
        assert abs((part == label).sum() - share * len(part)) <= 2


SIZES = {"train_size": 200, "validation_size": 31, "test_size": 101}


def test_a_part_of_a_data_set_has_the_class_counts_that_are_known_without_it(tmp_path: Path) -> None:
    facts = DATASETS.get("digits").facts(SIZES)
    part = loaded("digits", tmp_path, **SIZES)
    assert tuple(torch.bincount(part.train.labels).tolist()) == facts.train_counts
    assert tuple(torch.bincount(part.test.labels).tolist()) == facts.test_counts
    assert (facts.train_size, len(part.validation), facts.test_size) == (200, 31, 101)


def test_a_part_is_taken_from_the_same_split(tmp_path: Path) -> None:
    def rows(data: Dataset, split: str) -> set[bytes]:
        return {row.numpy().tobytes() for row in getattr(data, split).inputs}

    whole = loaded("digits", tmp_path)
    small, large = (loaded("digits", tmp_path, train_size=n, test_size=n) for n in (100, 200))
    for split in ("train", "test"):
        assert rows(small, split) < rows(large, split) <= rows(whole, split)


def test_a_data_set_in_full_is_one_configuration_however_it_is_said() -> None:
    entry = DATASETS.get("digits")
    assert entry.fill({"train_size": 1257, "test_size": 0}) == entry.fill({}) == Named(name="digits")
    assert entry.fill({"train_size": 1256}) == Named(name="digits", arguments=(("train_size", 1256),))


def test_a_synthetic_set_can_be_learned_by_its_teachers_classes(tmp_path: Path) -> None:
    data = loaded("synthetic", tmp_path, train_size=3_000, classes=5, side=4, channels=2)
    assert data.train.inputs.shape == (3_000, 2, 4, 4)
    x = torch.cat([data.train.inputs.flatten(1), torch.ones(3_000, 1)], dim=1)
    targets = torch.nn.functional.one_hot(data.train.labels).float()
    solution = torch.linalg.lstsq(x, targets).solution
    test = torch.cat([data.test.inputs.flatten(1), torch.ones(len(data.test), 1)], dim=1)
    accuracy = ((test @ solution).argmax(1) == data.test.labels).float().mean().item()
    assert accuracy > 0.4  # chance is 0.2, and a line cannot learn all of a ReLU network


def test_a_synthetic_set_depends_on_its_seed_alone(tmp_path: Path) -> None:
    first = loaded("synthetic", tmp_path, teacher_seed=1)
    load.cache_clear()
    again, other = (
        loaded("synthetic", tmp_path, teacher_seed=1),
        loaded("synthetic", tmp_path, teacher_seed=2),
    )
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.test.labels, again.test.labels)
    assert not torch.equal(first.train.inputs, other.train.inputs)


def test_many_classes_are_balanced(tmp_path: Path) -> None:
    data = loaded("synthetic", tmp_path, classes=100, train_size=1_050)
    assert set(torch.bincount(data.train.labels).tolist()) == {10, 11}


def test_a_data_set_that_is_absent_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="robustness data fashion-mnist"):
        loaded("fashion-mnist", tmp_path)


def test_fashion_mnist_comes_from_debians_package(tmp_path: Path) -> None:
    if not DEBIAN_FASHION_MNIST.is_dir():
        pytest.skip("Debian's dataset-fashion-mnist is not installed (make system-packages)")
    entry = DATASETS.get("fashion-mnist")
    assert "is now at" in download(entry, tmp_path)
    assert "is at" in download(entry, tmp_path)
    data = loaded("fashion-mnist", tmp_path)
    assert data.train.inputs.shape == (55_000, 1, 28, 28)
    assert torch.bincount(data.validation.labels).tolist() == [500] * 10
    assert data.train.inputs.mean().item() == pytest.approx(0, abs=0.01)
    assert data.train.inputs.std().item() == pytest.approx(1, abs=0.01)


def test_cifar_is_read_from_the_files_of_its_authors(tmp_path: Path) -> None:
    """A tiny folder in CIFAR-10's format: its reader is run, and its wrong sizes are noticed."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    batch = {"data": rng.integers(0, 256, (20, 3072), dtype=np.uint8), "labels": [i % 10 for i in range(20)]}
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))
    with pytest.MonkeyPatch.context() as patch:
        from torchvision.datasets import CIFAR10

        patch.setattr(CIFAR10, "_check_integrity", lambda self: True)
        patch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
        with pytest.raises(ValueError, match="cifar10: expected the split sizes"):
            loaded("cifar10", tmp_path)
        from robustness.tasks.datasets import cifar10

        train, test = cifar10(tmp_path)
    assert train[0].shape == (100, 3, 32, 32)
    pixel = (batch["data"][0, 0] / 255 - 0.4914) / 0.2470  # type: ignore[index]
    assert test[0][0, 0, 0, 0] == pytest.approx(pixel, rel=1e-4)


def test_nothing_is_downloaded_for_a_set_that_is_made(tmp_path: Path) -> None:
    assert download(DATASETS.get("digits"), tmp_path) == "digits needs no files"
    assert not list(tmp_path.iterdir())
