"""Data sets by name: shapes, split sizes, class shares, where their files are. No data are read here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robustness.catalog.registry import Argument, Entry, Registry
from robustness.errors import DataMissing, Problem
from robustness.trial import Named, Value

__all__ = ["DATASETS", "SIZES", "DataEntry", "DataFacts", "apportioned", "data_root"]

SIZES = ("train_size", "validation_size", "test_size")
"""The arguments by which every data set can be had in part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What is known of a data set without reading it.

    Attributes:
        shape: of one input.
        train_counts: training examples of each class.
        validation_size: validation examples.
        test_counts: test examples of each class.
    """

    shape: tuple[int, ...]
    train_counts: tuple[int, ...]
    validation_size: int
    test_counts: tuple[int, ...]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.train_counts)

    @property
    def train_size(self) -> int:
        """Training examples."""
        return sum(self.train_counts)

    @property
    def test_size(self) -> int:
        """Test examples."""
        return sum(self.test_counts)


@dataclass(frozen=True, kw_only=True)
class DataEntry(Entry):
    """A data set.

    Attributes:
        facts: its facts, given its arguments; a size that is not given, or 0, is the whole.
        files: what must be under the data root; empty for sets that are made, not read.
        folders: likewise, of sets that are never downloaded.
        takes_sizes: its reader makes splits of the sizes asked for; elsewhere `load` takes a part of what was read.
        streamed: it does not fit into memory, and is read from its files while it is trained.
    """

    facts: Callable[[Mapping[str, Any]], DataFacts]
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    takes_sizes: bool = False
    streamed: bool = False

    def fill(self, given: dict[str, Value]) -> Named:
        """The entry with every default filled in, but for sizes that ask for the whole.

        A data set in full is thus the same trial, with the same draws, as before it could be had in part.
        """
        whole = {} if self.takes_sizes else {a.name: (0, a.high) for a in self.arguments if a.name in SIZES}
        filled = super().fill(given).arguments
        kept = tuple((name, value) for name, value in filled if value not in whole.get(name, ()))
        return Named(name=self.name, arguments=kept)

    def require(self, root: Path) -> None:
        """Check that files and folders are there.

        Raises:
            DataMissing: one is not; the text names the command that gets them, or says that there is none.
        """
        for file in self.files:
            if not (root / file).is_file():
                command = f"'robustness data {self.name} --root {root}'"
                raise self._missing(root, file, f"get it with {command}")
        for folder in self.folders:
            if not (root / folder).is_dir():
                raise self._missing(root, folder, "put it there: it is never downloaded")

    def _missing(self, root: Path, part: str, remedy: str) -> DataMissing:
        return DataMissing([Problem("data", f"{self.name} is not at {root} ({part} is missing); {remedy}")])


def data_root(given: Path | None = None) -> Path:
    """The folder with the data sets: the given one, else ROBUSTNESS_DATA, else a folder of the user's."""
    if given is not None:
        return given
    from_environment = os.environ.get("ROBUSTNESS_DATA")
    return Path(from_environment) if from_environment else Path.home() / ".cache" / "robustness" / "data"


def apportioned(counts: Sequence[int], size: int) -> tuple[int, ...]:
    """`size` examples over classes in the shares of `counts`, by largest remainders, the first class before a tie.

    All of them where `size` is 0.

    >>> apportioned((60, 30, 9), 10)
    (6, 3, 1)
    """
    if not size:
        return tuple(counts)
    total = sum(counts)
    shares = [divmod(size * count, total) for count in counts]
    missing = size - sum(whole for whole, _ in shares)
    first = sorted(range(len(shares)), key=lambda c: -shares[c][1])[:missing]
    return tuple(whole + (c in first) for c, (whole, _) in enumerate(shares))


def balanced_counts(size: int, classes: int) -> tuple[int, ...]:
    """`size` examples over `classes` classes as evenly as can be, the first classes one more.

    >>> balanced_counts(7, 3)
    (3, 2, 2)
    """
    return tuple(size // classes + (c < size % classes) for c in range(classes))


def _synthetic(arguments: Mapping[str, Any]) -> DataFacts:
    classes = arguments["classes"]
    return DataFacts(
        shape=(arguments["channels"], arguments["side"], arguments["side"]),
        train_counts=balanced_counts(arguments["train_size"], classes),
        validation_size=arguments["validation_size"],
        test_counts=balanced_counts(arguments["test_size"], classes),
    )


def _count(name: str, default: int, doc: str, low: int = 1, high: int = 10_000_000) -> Argument:
    return Argument(name=name, kind="int", default=default, low=low, high=high, doc=doc)


def _real(
    name: str,
    summary: str,
    *,
    shape: tuple[int, ...],
    train: tuple[int, ...],
    validation: int,
    test: tuple[int, ...],
    source: str,
    files: tuple[str, ...] = (),
    folders: tuple[str, ...] = (),
) -> DataEntry:
    """A data set of fixed examples, all or a part of them; read from its `folders` while it is trained."""
    whole = DataFacts(shape=shape, train_counts=train, validation_size=validation, test_counts=test)

    def facts(arguments: Mapping[str, Any]) -> DataFacts:
        return replace(
            whole,
            train_counts=apportioned(train, arguments.get("train_size", 0)),
            validation_size=arguments.get("validation_size", 0) or validation,
            test_counts=apportioned(test, arguments.get("test_size", 0)),
        )

    words = ("training", "validation", "test")
    sizes = (whole.train_size, validation, whole.test_size)
    return DataEntry(
        name=name,
        summary=summary,
        target=f"robustness.tasks.{'images' if folders else 'datasets'}:{name.replace('-', '_')}",
        facts=facts,
        files=files,
        folders=folders,
        streamed=bool(folders),
        source=source,
        arguments=tuple(
            _count(size, 0, f"{word} examples, a fixed part in the classes' shares; 0: all", low=0, high=high)
            for size, word, high in zip(SIZES, words, sizes, strict=True)
        ),
    )


DATASETS: Registry[DataEntry] = Registry(
    "data set",
    (
        _real(
            "digits",
            "1,797 grey 8x8 handwritten digits that scikit-learn ships; inputs divided by 16",
            shape=(1, 8, 8),
            train=(124, 127, 124, 128, 127, 127, 127, 125, 122, 126),
            validation=180,
            test=(36, 36, 35, 37, 36, 37, 36, 36, 35, 36),
            source="Alpaydin, Kaynak 1998 (UCI)",
        ),
        _real(
            "mnist1d",
            "5,000 one-dimensional digits of 40 points, made on the spot",
            shape=(40,),
            train=(358, 356, 370, 355, 355, 362, 361, 363, 362, 358),
            validation=400,
            test=(102, 104, 89, 106, 106, 98, 99, 96, 98, 102),
            source="Greydanus, Kobak 2020, arXiv 2011.14439",
        ),
        _real(
            "fashion-mnist",
            "70,000 grey 28x28 pictures of clothes",
            shape=(1, 28, 28),
            train=(5500,) * 10,
            validation=5_000,
            test=(1000,) * 10,
            files=tuple(
                f"FashionMNIST/raw/{part}-{kind}-ubyte"
                for part in ("train", "t10k")
                for kind in ("images-idx3", "labels-idx1")
            ),
            source="Xiao et al. 2017, arXiv 1708.07747",
        ),
        _real(
            "cifar10",
            "60,000 colour 32x32 photographs, 10 classes",
            shape=(3, 32, 32),
            train=(4500,) * 10,
            validation=5_000,
            test=(1000,) * 10,
            files=tuple(
                f"cifar-10-batches-py/{name}"
                for name in ("batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
            ),
            source="Krizhevsky 2009",
        ),
        _real(
            "cifar100",
            "60,000 colour 32x32 photographs, 100 classes",
            shape=(3, 32, 32),
            train=(450,) * 100,
            validation=5_000,
            test=(100,) * 100,
            files=("cifar-100-python/meta", "cifar-100-python/train", "cifar-100-python/test"),
            source="Krizhevsky 2009",
        ),
        _real(
            "imagenet",
            "1,331,167 colour photographs, 1,000 classes, cut to 224x224; read while it is trained, never downloaded",
            shape=(3, 224, 224),
            # Classes have 732 to 1,300 images; stated as if even, which puts the constant predictor's loss, log 1000,
            # at most 0.004 above the exact one. Chance is exact: test counts are even.
            train=balanced_counts(1_231_167, 1_000),
            validation=50_000,
            test=(50,) * 1_000,
            folders=("imagenet/train", "imagenet/val"),
            source="Russakovsky et al. 2015, arXiv 1409.0575",
        ),
        DataEntry(
            name="synthetic",
            summary="normal inputs labelled by a seeded teacher network; classes of equal size",
            target="robustness.tasks.datasets:synthetic",
            facts=_synthetic,
            takes_sizes=True,
            arguments=(
                _count("train_size", 2_000, "training examples"),
                _count("validation_size", 500, "validation examples"),
                _count("test_size", 1_000, "test examples"),
                _count("classes", 10, "classes", low=2, high=10_000),
                _count("channels", 1, "channels of an input", high=1_024),
                _count("side", 8, "height and width of an input", high=1_024),
                _count("teacher_width", 32, "hidden units of the teacher", high=4_096),
                _count("teacher_seed", 0, "seed of the teacher and its inputs", low=0, high=2**31 - 1),
            ),
        ),
    ),
)
