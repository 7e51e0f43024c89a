"""Data that are read while they are trained: the same batches whatever reads them, and the views of ImageNet."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from robustness import seeds
from robustness.catalog import DATASETS
from robustness.errors import DataMissing
from robustness.sweep.packing import technique_of
from robustness.tasks import load
from robustness.tasks.download import download
from robustness.tasks.images import MEAN, STD, ImageSets, open_images
from robustness.training import train
from robustness.training.streamed import Streamed
from robustness.trial import Trial, TrialRecord
from tests.builders import trials
from tests.image_folders import CLASSES, HELD_OUT, SIDE, TRAIN, make_folder, registered

CROPPED = "random-resized-crop"
# Python 3.12 warns of forks in processes with threads, as torch's own loader makes them.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch.setitem)
    open_images.cache_clear()


def trial_of(**task: Any) -> Trial:
    task = {"data": "imagenet", "model": "toy-cnn", "norm": "batch", "batch_size": 10, "epochs": 1, **task}
    [trial] = trials(task=task, optimizers=[{"name": "insgd"}], search={"lr": 0.1, "seeds": 1})
    return trial


def streamed(root: Path, workers: int = 0, **task: Any) -> Streamed:
    return Streamed(trial_of(**task), root, "cpu", torch.float32, workers=workers)


def opened(root: Path, **sizes: int) -> ImageSets:
    return open_images(DATASETS.get("imagenet").fill(dict(sizes)), root)


def test_the_splits_are_stratified_share_no_file_and_lose_none(root: Path) -> None:
    sets = opened(root)
    places = [sets.train, sets.validation, sets.test]
    assert sorted(np.concatenate(places)) == list(range(CLASSES * (TRAIN + 2 * HELD_OUT)))
    for part, count in zip(places, (TRAIN, HELD_OUT, HELD_OUT), strict=True):
        assert np.bincount(sets.files.labels[part]).tolist() == [count] * CLASSES
    assert all(b"/val/" in path for path in sets.files.paths[sets.test])
    assert not any(b"/val/" in path for path in sets.files.paths[np.concatenate(places[:2])])


def test_a_part_is_stratified_too(root: Path) -> None:
    sets = opened(root, train_size=CLASSES, validation_size=20, test_size=CLASSES)
    assert np.bincount(sets.files.labels[sets.train]).tolist() == [1] * CLASSES
    assert (len(sets.validation), len(sets.test)) == (20, CLASSES)


def test_held_out_images_are_resized_and_their_centre_is_cut_out(root: Path) -> None:
    from torchvision import transforms

    view = transforms.Compose(
        [
            transforms.Resize(round(SIDE * 256 / 224)),
            transforms.CenterCrop(SIDE),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    sets = opened(root)
    found = torch.cat([inputs for inputs, _ in streamed(root, input_scale=2.0).held_out("test")])
    for image, place in zip(found, sets.test, strict=True):
        with Image.open(sets.files.paths[place].decode()) as file:
            torch.testing.assert_close(image, 2 * view(file.convert("RGB")))


@pytest.mark.parametrize("kind", ["none", "pad-crop-flip", CROPPED])
def test_batches_do_not_depend_on_how_many_processes_read_them(root: Path, kind: str) -> None:
    passes = []
    for workers in (0, 2):
        batches = streamed(root, workers, augment=kind)
        found = [*batches.epoch(1), *batches.held_out("validation"), *batches.epoch(2), *batches.start()]
        passes.append(found)
    for (x, y), (x2, y2) in zip(*passes, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)


def test_an_epoch_takes_the_order_of_its_seed_and_drops_the_last_smaller_batch(root: Path) -> None:
    batches, sets = streamed(root, augment=CROPPED), opened(root)
    for epoch in (1, 2):
        labels = [y for _, y in batches.epoch(epoch)]
        assert [len(y) for y in labels] == [10] * (CLASSES * TRAIN // 10)
        order = torch.randperm(CLASSES * TRAIN, generator=seeds.order_generator(trial_of(), epoch))
        expected = sets.files.labels[sets.train[order.numpy()]]
        assert torch.cat(labels).tolist() == expected[:60].tolist()


def test_crops_differ_from_epoch_to_epoch_and_a_pass_given_up_leaves_none_behind(root: Path) -> None:
    batches = streamed(root, 1, augment=CROPPED)
    first, again, other = (next(iter(batches.epoch(epoch)))[0] for epoch in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_trial_learns_colours_and_leaves_the_same_record_each_time(root: Path) -> None:
    def trained() -> TrialRecord:
        record = train(trial_of(augment=CROPPED, epochs=8, dropout=0.0), root=root)
        rows = tuple(dataclasses.replace(row, seconds=0.0) for row in record.epochs)
        return dataclasses.replace(record, epochs=rows)

    record = trained()
    assert record.epochs[-1].test_accuracy > 4 / CLASSES
    assert record.epochs[-1].train_loss < 0.7 * record.l0
    assert record == trained()


def test_it_is_neither_packed_nor_loaded_nor_downloaded(root: Path, tmp_path: Path) -> None:
    trial = trial_of(model="mlp")
    assert technique_of(trial, "cpu") is None
    with pytest.raises(ValueError, match="does not fit into memory"):
        load(trial.cell.task.data, root)
    assert "is at" in download(DATASETS.get("imagenet"), root)
    with pytest.raises(
        DataMissing, match=r"imagenet/train is missing\); put it there: it is never downloaded"
    ):
        download(DATASETS.get("imagenet"), tmp_path)


def test_folders_that_are_not_the_catalogs_are_refused(root: Path, tmp_path: Path) -> None:
    for part in ("train", "val"):
        folder = tmp_path / "imagenet" / part / "n00000000"
        folder.mkdir(parents=True)
        (folder / "0.JPEG").write_bytes((root / "imagenet/val/n00000000/0.JPEG").read_bytes())
    with pytest.raises(
        ValueError, match="expected 96 images to train on and 32 to test on, of 16 classes, found 1"
    ):
        opened(tmp_path)
    (tmp_path / "imagenet/val/n00000000").rename(tmp_path / "imagenet/val/other")
    with pytest.raises(ValueError, match="must have the same folders"):
        opened(tmp_path)
