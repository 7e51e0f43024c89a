"""Data sets as tensors: fixed, stratified, seed-free splits of inputs and labels.

No DataLoader: these sets fit on the device; see `images` for those that do not. Readers are named by the catalog; `load` is the door.
"""

# N examples, C classes

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from robustness.catalog import DATASETS, DataEntry
from robustness.catalog.datasets import SIZES, apportioned, balanced_counts
from robustness.trial import Named

__all__ = [
    "Arrays",
    "Dataset",
    "Split",
    "load",
    "read",
    "stratified_order",
    "stratified_part",
    "supply",
]

Arrays = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""Inputs (N, *shape) and labels (N,) of one split."""


CHUNK_NUMBERS = 1 << 24
"""Of synthetic inputs that are drawn at a time."""


@dataclass(frozen=True, slots=True)
class Split:
    """Inputs (N, *shape), float, and labels (N,), int64."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The three splits of a data set, on one device."""

    train: Split
    validation: Split
    test: Split


_SUPPLIED: dict[Named, list[Arrays]] = {}


def supply(data: Named, parts: list[Arrays]) -> None:
    """In this process, let `load` take what another one has read; the arrays may be read-only memory of both."""
    _SUPPLIED[data] = parts


@lru_cache(maxsize=4)
def load(
    data: Named,
    root: Path,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    input_scale: float = 1.0,
) -> Dataset:
    """The data set of that name and arguments, its inputs times `input_scale`.

    Kept, so that a worker reads it once, and written to by nobody.

    Raises:
        DataMissing: its files are not under `root`.
        ValueError: what was read does not have the sizes that the catalog states, or does not fit into memory.
    """
    if input_scale != 1:
        plain = load(data, root, device, dtype, 1.0)  # as callers write it: one entry of the cache
        parts = (plain.train, plain.validation, plain.test)
        return Dataset(*(Split(part.inputs * input_scale, part.labels) for part in parts))
    arrays = _SUPPLIED.get(data) or read(data, root)
    return Dataset(*(Split(_tensor(x).to(device, dtype), _tensor(y).to(device)) for x, y in arrays))


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    """Of the array's own memory."""
    with warnings.catch_warnings():
        # torch knows no read-only tensors, and says so of arrays that are.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def read(data: Named, root: Path) -> list[Arrays]:
    """The training, validation and test examples of a data set, from its files or made anew.

    Raises:
        DataMissing: its files are not under `root`.
        ValueError: what was read does not have the sizes that the catalog states, or does not fit into memory.
    """
    entry = DATASETS.get(data.name)
    if entry.streamed:
        raise ValueError(f"{data.name} does not fit into memory; `open_images` finds its files")
    entry.require(root)
    facts = entry.facts(dict(data.arguments))
    parts = _read(entry, data, root)
    sizes = (facts.train_size, facts.validation_size, facts.test_size)
    parts = [_stratified_part(part, size) for part, size in zip(parts, sizes, strict=True)]

    def counts(labels: npt.NDArray[np.int64]) -> tuple[int, ...]:
        return tuple(int(n) for n in np.bincount(labels, minlength=facts.classes))

    found = (counts(parts[0][1]), len(parts[1][1]), counts(parts[2][1]))
    expected = (facts.train_counts, facts.validation_size, facts.test_counts)
    if found != expected:
        raise ValueError(f"{data.name}: expected the split sizes {expected}, found {found}")
    return parts


def _read(entry: DataEntry, data: Named, root: Path) -> list[Arrays]:
    """The three splits in full."""
    module, attribute = entry.target.split(":")
    read: Callable[..., tuple[Arrays, ...]] = getattr(importlib.import_module(module), attribute)
    if entry.takes_sizes:
        return list(read(root, **dict(data.arguments)))
    whole, *rest = read(root, **{name: value for name, value in data.arguments if name not in SIZES})
    facts = entry.facts({})
    # Two cuts for a set without parts, one where only a test set is apart.
    cuts = [facts.train_size, facts.train_size + facts.validation_size][: 2 - len(rest)]
    return [(whole[0][index], whole[1][index]) for index in np.split(stratified_order(whole[1]), cuts)] + rest


def _stratified_part(arrays: Arrays, size: int) -> Arrays:
    inputs_N, labels_N = arrays
    if size == len(labels_N):
        return arrays
    index = stratified_part(labels_N, size)
    return inputs_N[index], labels_N[index]


def stratified_order(labels_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """An order of the examples in which every stretch holds the classes in their shares.

    Fixed and without a seed: within a class, examples are spread by the golden ratio (files are
    often sorted by writer or by time), then the classes are interleaved evenly.
    """
    golden = (5**0.5 - 1) / 2
    place_N = np.empty(len(labels_N))
    for label in np.unique(labels_N):
        members = np.flatnonzero(labels_N == label)
        spread = np.argsort((np.arange(len(members)) + 1) * golden % 1, kind="stable")
        place_N[members[spread]] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place_N, kind="stable")


def stratified_part(labels_N: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Which `size` examples stand for all: of each class its share, the first of `stratified_order`.

    Fixed and without a seed; how many of each class is known without the examples, by `apportioned`.
    """
    order_N = stratified_order(labels_N)
    quota_C = apportioned([int(n) for n in np.bincount(labels_N)], size)
    kept_N = np.zeros(len(labels_N), bool)
    for label, quota in enumerate(quota_C):
        kept_N[np.flatnonzero(labels_N[order_N] == label)[:quota]] = True
    return order_N[kept_N]


# -- readers: what the files hold, as one, two (training, test) or three parts; `load` cuts the first


def digits(root: Path) -> tuple[Arrays]:
    """scikit-learn's digits, divided by 16: inputs in [0, 1]."""
    # The file that sklearn.datasets.load_digits reads; importing that takes seconds, in every worker.
    [package] = importlib.util.find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr, misc]
    rows = np.loadtxt(Path(package) / "datasets" / "data" / "digits.csv.gz", delimiter=",", dtype=np.int64)
    images: npt.NDArray[np.float32] = rows[:, :-1].reshape(-1, 1, 8, 8).astype(np.float32)
    images /= 16
    return ((images, rows[:, -1]),)


def mnist1d(root: Path) -> tuple[Arrays, Arrays]:
    """MNIST-1D with its published arguments, made here (its `get_dataset` would download)."""
    from mnist1d.data import get_dataset_args, make_dataset

    made = make_dataset(get_dataset_args())
    return (
        (made["x"].astype(np.float32), made["y"].astype(np.int64)),
        (made["x_test"].astype(np.float32), made["y_test"].astype(np.int64)),
    )


def fashion_mnist(root: Path) -> tuple[Arrays, Arrays]:
    """Fashion-MNIST, standardized by the training set's mean and standard deviation."""
    from torchvision.datasets import FashionMNIST

    def part(train: bool) -> Arrays:
        found = FashionMNIST(str(root), train=train)
        return _standardized(found.data.numpy()[..., None], found.targets.numpy(), (0.2860,), (0.3530,))

    return part(True), part(False)


def cifar10(root: Path) -> tuple[Arrays, Arrays]:
    """CIFAR-10, standardized by channel."""
    from torchvision.datasets import CIFAR10

    return _cifar(CIFAR10, root, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def cifar100(root: Path) -> tuple[Arrays, Arrays]:
    """CIFAR-100, standardized by channel."""
    from torchvision.datasets import CIFAR100

    return _cifar(CIFAR100, root, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))


def _cifar(kind: Any, root: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Arrays, Arrays]:
    parts = [kind(str(root), train=train) for train in (True, False)]
    train, test = (_standardized(part.data, np.asarray(part.targets), mean, std) for part in parts)
    return train, test


def _standardized(
    pixels_NHWC: npt.NDArray[np.uint8],
    labels_N: npt.NDArray[Any],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Arrays:
    mean_C, std_C = np.array(mean, np.float32), np.array(std, np.float32)
    scaled = (pixels_NHWC.astype(np.float32) / 255 - mean_C) / std_C
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)), labels_N.astype(np.int64)


def synthetic(
    root: Path,
    *,
    train_size: int,
    validation_size: int,
    test_size: int,
    classes: int,
    channels: int,
    side: int,
    teacher_width: int,
    teacher_seed: int,
) -> tuple[Arrays, Arrays, Arrays]:
    """Normal inputs, labelled by a random two-layer ReLU teacher; classes of equal size in each split.

    The teacher's output biases are set so that its classes come about equally often, then each class
    takes examples until its quota is full: the best constant predictor is known without reading the data.

    Raises:
        ValueError: the teacher hardly ever says one of the classes.
    """
    rng = np.random.default_rng(np.random.SeedSequence([teacher_seed, 0x7EAC4E12]))
    features = channels * side * side
    hidden = rng.standard_normal((features, teacher_width)) * (2 / features) ** 0.5
    output = rng.standard_normal((teacher_width, classes)) / teacher_width**0.5
    bias_C = np.zeros(classes)

    def teach(x_NF: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        label_N: npt.NDArray[np.int64] = np.argmax(np.maximum(x_NF @ hidden, 0) @ output + bias_C, axis=1)
        return label_N

    # Of pictures of 224 pixels 4,096 would take 5 GB.
    chunk = max(min(4096, CHUNK_NUMBERS // features), 20 * classes)
    probe = rng.standard_normal((chunk, features))
    for _ in range(100):
        share_C = np.bincount(teach(probe), minlength=classes) / chunk
        bias_C -= 0.2 * np.clip(share_C * classes - 1, -1, 1)

    def draw(size: int) -> Arrays:
        quota_C = np.array(balanced_counts(size, classes))
        inputs, labels = [], []
        for _ in range(1_000):
            x_NF = rng.standard_normal((chunk, features))
            label_N = teach(x_NF)
            for c in np.flatnonzero(quota_C):
                taken = np.flatnonzero(label_N == c)[: quota_C[c]]
                quota_C[c] -= len(taken)
                inputs.append(x_NF[taken].astype(np.float32))
                labels.append(np.full(len(taken), c))
            if not quota_C.any():
                break
        else:
            raise ValueError(
                f"the teacher hardly ever says some of {classes} classes; widen it (teacher_width)"
            )
        order = rng.permutation(size)
        images = np.concatenate(inputs)[order].reshape(size, channels, side, side)
        return images, np.concatenate(labels)[order].astype(np.int64)

    return draw(train_size), draw(validation_size), draw(test_size)
