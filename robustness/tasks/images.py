"""Data sets that are read while they are trained: image files in a folder a class, and one file as a model sees it.

Pixels stay bytes until they are on the device.
"""

# N files, H height, W width

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robustness.catalog import DATASETS
from robustness.tasks.augment import CROP_DRAWS, crop_box
from robustness.tasks.datasets import stratified_order, stratified_part
from robustness.trial import Named

__all__ = ["MEAN", "STD", "Files", "ImageSets", "imagenet", "open_images", "read_image"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, pixels in [0, 1]."""
MARGIN = 256 / 224
"""What an image's shorter side is resized to before its centre is cut out, in sides of the cut."""

Bytes = npt.NDArray[np.bytes_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Files:
    """Image files and their labels, (N,) each.

    Paths are one array of bytes: processes that share a million Python strings soon own a copy each.
    """

    paths: Bytes
    labels: Integers


@dataclass(frozen=True, slots=True)
class ImageSets:
    """The three splits of a data set of files, each by places among the files.

    Attributes:
        files: all of them.
        train: places of the training images; so `validation` and `test`.
        side: of an image as a model sees it, in pixels.
    """

    files: Files
    train: Integers
    validation: Integers
    test: Integers
    side: int


@lru_cache(maxsize=2)
def open_images(data: Named, root: Path) -> ImageSets:
    """The files of the data set of that name and arguments; kept, as listing them takes long.

    Raises:
        DataMissing: its folders are not under `root`.
        ValueError: what was found does not have the sizes that the catalog states.
    """
    entry = DATASETS.get(data.name)
    entry.require(root)
    module, attribute = entry.target.split(":")
    find: Callable[[Path], tuple[Files, Files]] = getattr(importlib.import_module(module), attribute)
    first, test = find(root)
    whole, part = entry.facts({}), entry.facts(dict(data.arguments))
    found = (len(first.labels), tuple(np.bincount(test.labels, minlength=whole.classes).tolist()))
    # Of training images only their number: the catalog states even shares.
    if found != (whole.train_size + whole.validation_size, whole.test_counts):
        raise ValueError(
            f"{data.name}: expected {whole.train_size + whole.validation_size} images to train on and "
            f"{whole.test_size} to test on, of {whole.classes} classes, found {found[0]} and {sum(found[1])}"
        )
    train, validation = np.split(stratified_order(first.labels), [whole.train_size])

    def cut(places: Integers, labels: Integers, size: int) -> Integers:
        return places if size == len(places) else places[stratified_part(labels[places], size)]

    tests = cut(np.arange(len(test.labels)), test.labels, part.test_size)
    return ImageSets(
        files=Files(np.concatenate([first.paths, test.paths]), np.concatenate([first.labels, test.labels])),
        train=cut(train, first.labels, part.train_size),
        validation=cut(validation, first.labels, part.validation_size),
        test=tests + len(first.labels),
        side=whole.shape[1],
    )


def imagenet(root: Path) -> tuple[Files, Files]:
    """ImageNet's folders train/ and val/, a folder a class in each, under `root`/imagenet.

    Raises:
        ValueError: the two do not have the same classes.
    """
    from torchvision.datasets import ImageFolder

    parts = [ImageFolder(root / "imagenet" / name) for name in ("train", "val")]
    if parts[0].classes != parts[1].classes:
        raise ValueError(f"{root / 'imagenet'}: train and val must have the same folders, one a class")
    train, test = (
        Files(
            np.array([os.fsencode(path) for path, _ in part.samples]), np.array(part.targets, dtype=np.int64)
        )
        for part in parts
    )
    return train, test


def read_image(path: bytes, side: int, seed: int | None) -> npt.NDArray[np.uint8]:
    """One image, (side, side, 3).

    Args:
        path: of its file.
        side: in pixels.
        seed: of a random crop, resized, and mirrored half of the time; None for the centre of the resized image.
    """
    from PIL import Image
    from torchvision.transforms import functional as transforms

    with Image.open(os.fsdecode(path)) as opened:
        image: Any = opened.convert("RGB")
    if seed is None:
        image = transforms.center_crop(transforms.resize(image, round(MARGIN * side)), [side, side])
    else:
        generator = torch.Generator().manual_seed(seed)
        draws = torch.rand(CROP_DRAWS, generator=generator).tolist()
        image = transforms.resized_crop(image, *crop_box(image.height, image.width, draws), [side, side])
        if torch.rand((), generator=generator) < 0.5:
            image = transforms.hflip(image)
    return np.array(image)
