"""Data sets by name: shapes, split sizes, class shares, where their files are. No data are read here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustness.catalog.registry import Argument, Entry, Registry
from robustness.errors import DataMissing, Problem

__all__ = ["DATASETS", "DataEntry", "DataFacts", "data_root"]


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
        facts: its facts, given its arguments.
        files: what must be under the data root; empty for sets that are made, not read.
    """

    facts: Callable[[Mapping[str, Any]], DataFacts]
    files: tuple[str, ...] = ()

    def require(self, root: Path) -> None:
        """Check that the files are there.

        Raises:
            DataMissing: one is not; the text names the command that gets them.
        """
        for file in self.files:
            if not (root / file).is_file():
                raise DataMissing(
                    [
                        Problem(
                            "data",
                            f"{self.name} is not at {root} ({file} is missing); get it with "
                            f"'robustness data {self.name} --root {root}'",
                        )
                    ]
                )


def data_root(given: Path | None = None) -> Path:
    """The folder with the data sets: the given one, else ROBUSTNESS_DATA, else a folder of the user's."""
    if given is not None:
        return given
    from_environment = os.environ.get("ROBUSTNESS_DATA")
    return Path(from_environment) if from_environment else Path.home() / ".cache" / "robustness" / "data"


def _fixed(
    shape: tuple[int, ...], train: tuple[int, ...], validation: int, test: tuple[int, ...]
) -> Callable[[Mapping[str, Any]], DataFacts]:
    facts = DataFacts(shape=shape, train_counts=train, validation_size=validation, test_counts=test)
    return lambda _: facts


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


DATASETS: Registry[DataEntry] = Registry(
    "data set",
    (
        DataEntry(
            name="digits",
            summary="1,797 grey 8x8 handwritten digits that scikit-learn ships; inputs divided by 16",
            target="robustness.tasks.datasets:digits",
            facts=_fixed(
                (1, 8, 8),
                (124, 127, 124, 128, 127, 127, 127, 125, 122, 126),
                180,
                (36, 36, 35, 37, 36, 37, 36, 36, 35, 36),
            ),
            source="Alpaydin, Kaynak 1998 (UCI)",
        ),
        DataEntry(
            name="mnist1d",
            summary="5,000 one-dimensional digits of 40 points, made on the spot",
            target="robustness.tasks.datasets:mnist1d",
            facts=_fixed(
                (40,),
                (358, 356, 370, 355, 355, 362, 361, 363, 362, 358),
                400,
                (102, 104, 89, 106, 106, 98, 99, 96, 98, 102),
            ),
            source="Greydanus, Kobak 2020, arXiv 2011.14439",
        ),
        DataEntry(
            name="fashion-mnist",
            summary="70,000 grey 28x28 pictures of clothes",
            target="robustness.tasks.datasets:fashion_mnist",
            facts=_fixed((1, 28, 28), (5500,) * 10, 5000, (1000,) * 10),
            files=tuple(
                f"FashionMNIST/raw/{part}-{kind}-ubyte"
                for part in ("train", "t10k")
                for kind in ("images-idx3", "labels-idx1")
            ),
            source="Xiao et al. 2017, arXiv 1708.07747",
        ),
        DataEntry(
            name="cifar10",
            summary="60,000 colour 32x32 photographs, 10 classes",
            target="robustness.tasks.datasets:cifar10",
            facts=_fixed((3, 32, 32), (4500,) * 10, 5000, (1000,) * 10),
            files=tuple(
                f"cifar-10-batches-py/{name}"
                for name in ("batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
            ),
            source="Krizhevsky 2009",
        ),
        DataEntry(
            name="cifar100",
            summary="60,000 colour 32x32 photographs, 100 classes",
            target="robustness.tasks.datasets:cifar100",
            facts=_fixed((3, 32, 32), (450,) * 100, 5000, (100,) * 100),
            files=("cifar-100-python/meta", "cifar-100-python/train", "cifar-100-python/test"),
            source="Krizhevsky 2009",
        ),
        DataEntry(
            name="synthetic",
            summary="normal inputs labelled by a seeded teacher network; classes of equal size",
            target="robustness.tasks.datasets:synthetic",
            facts=_synthetic,
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
