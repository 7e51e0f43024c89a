"""Getting data sets: from Debian's package where it is installed, else by torchvision."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from robustness.catalog import DataEntry
from robustness.errors import DataMissing, RobustnessError

__all__ = ["download"]

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def download(entry: DataEntry, root: Path) -> str:
    """Put a data set's files under `root`; says in words what was done.

    Raises:
        DataMissing: it is not there, and is never downloaded.
        RobustnessError: it could not be fetched, or `root` cannot be written.
    """
    if entry.folders:
        entry.require(root)
    elif not entry.files:
        return f"{entry.name} needs no files"
    try:
        entry.require(root)
    except DataMissing:
        pass
    else:
        return f"{entry.name} is at {root}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        if entry.name == "fashion-mnist" and DEBIAN_FASHION_MNIST.is_dir():
            _unpack_debian(root / "FashionMNIST" / "raw")
        else:
            _fetch(entry.name, root)
        entry.require(root)
    except (OSError, RuntimeError) as error:
        raise RobustnessError(f"{entry.name} could not be put into {root}: {error}") from None
    return f"{entry.name} is now at {root}"


def _unpack_debian(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for packed in sorted(DEBIAN_FASHION_MNIST.glob("*.gz")):
        # Under another name first, so that an interrupted unpacking is not taken for a file.
        partial = folder / f"{packed.stem}.partial"
        with gzip.open(packed) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target)
        partial.rename(folder / packed.stem)


def _fetch(name: str, root: Path) -> None:
    from torchvision import datasets

    kinds = {
        "fashion-mnist": datasets.FashionMNIST,
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
    }
    kinds[name](str(root), download=True)
