"""A tiny ImageNet: JPEGs of several sizes in folders of 16 classes, each of a colour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from robustness.catalog import DATASETS, DataEntry
from robustness.catalog.datasets import _real

CLASSES, TRAIN, HELD_OUT, SIDE = 16, 4, 2, 32
"""Classes, and of each: training images, validation and test images; pixels a side as a model sees them."""


def tiny_entry() -> DataEntry:
    """The catalog's entry of imagenet, for what `make_folder` makes."""
    return _real(
        "imagenet",
        "tiny",
        shape=(3, SIDE, SIDE),
        train=(TRAIN,) * CLASSES,
        validation=HELD_OUT * CLASSES,
        test=(HELD_OUT,) * CLASSES,
        folders=DATASETS.get("imagenet").folders,
        source="",
    )


def make_folder(root: Path) -> Path:
    """`root`, with the folders under it."""
    rng = np.random.default_rng(0)
    for c in range(CLASSES):
        colour = np.array([85 * (c % 4), 85 * (c // 4), 128])
        for part, count in (("train", TRAIN + HELD_OUT), ("val", HELD_OUT)):
            folder = root / "imagenet" / part / f"n{c:08}"
            folder.mkdir(parents=True)
            for i in range(count):
                height, width = rng.integers(40, 80, 2)
                pixels = (colour + rng.integers(-40, 40, (height, width, 3))).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.JPEG")
    return root


def registered(put: Callable[[dict[str, DataEntry], str, DataEntry], None]) -> None:
    """Put the tiny entry into the catalog by pytest's `monkeypatch.setitem`."""
    put(DATASETS._entries, "imagenet", tiny_entry())
