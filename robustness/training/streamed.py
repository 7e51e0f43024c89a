"""Batches of a data set that is read from files while it is trained."""

# B batch, H height, W width, C channels

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from robustness import seeds
from robustness.tasks import augment
from robustness.tasks.images import MEAN, STD, ImageSets, open_images, read_image
from robustness.training.batches import Batch, order_of_epoch
from robustness.training.records import EVALUATION_BATCH, L0_EXAMPLES
from robustness.trial import Trial

__all__ = ["Streamed"]

_Wanted = tuple[int, int | None]
"""A file, by its place, and the seed of its crop."""


class Streamed:
    """Batches of image files, decoded by worker processes: as many as the trial has threads, but one.

    One loader for all passes, so that its processes are started once. Crops are seeded an image and epoch, not a
    process: batches do not depend on how many there are.
    """

    def __init__(
        self, trial: Trial, root: Path, device: str, dtype: torch.dtype, *, workers: int | None = None
    ) -> None:
        """Find the files; see `open_images` for what it raises."""
        self._trial, self._device, self._dtype = trial, torch.device(device), dtype
        self._sets = open_images(trial.cell.task.data, root)
        self._passes = _Passes()
        count = max(torch.get_num_threads() - 1, 0) if workers is None else workers
        self._loader = DataLoader(
            _Images(self._sets),
            batch_sampler=self._passes,
            num_workers=count,
            persistent_workers=count > 0,
            pin_memory=self._device.type == "cuda",
        )

    @property
    def train_size(self) -> int:
        """See `Batches`."""
        return len(self._sets.train)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """See `Batches`."""
        kind = self._trial.cell.task.augment
        orders = order_of_epoch(self._trial, epoch, self.train_size)
        if kind == "random-resized-crop":  # in the workers, where the whole image is
            generator = seeds.augment_generator(self._trial, epoch)
            seed_of = torch.randint(2**62, (self.train_size,), generator=generator)
            cropped = ((self._sets.train[index_B.numpy()], seed_of[index_B].tolist()) for index_B in orders)
            yield from self._read(list(zip(files.tolist(), own, strict=True)) for files, own in cropped)
            return
        images = seeds.augment_generator(self._trial, epoch, self._device)
        for inputs, labels in self._read(_whole(self._sets.train[index_B.numpy()]) for index_B in orders):
            yield augment(inputs, kind, images), labels

    def start(self) -> Iterator[Batch]:
        """See `Batches`."""
        return self._in_chunks(self._sets.train[:L0_EXAMPLES])

    def held_out(self, part: Literal["validation", "test"]) -> Iterator[Batch]:
        """See `Batches`."""
        return self._in_chunks(self._sets.validation if part == "validation" else self._sets.test)

    def _in_chunks(self, places: npt.NDArray[np.int64]) -> Iterator[Batch]:
        chunks = np.array_split(places, math.ceil(len(places) / EVALUATION_BATCH))
        return self._read(_whole(chunk) for chunk in chunks)

    def _read(self, batches: Iterable[list[_Wanted]]) -> Iterator[Batch]:
        self._passes.batches = batches
        for pixels_BHWC, labels in self._loader:
            yield self._normalized(pixels_BHWC), labels.to(self._device, non_blocking=True)

    def _normalized(self, pixels_BHWC: Tensor) -> Tensor:  # noqa: N803
        """Bytes as inputs (B, C, H, W), channels innermost as they came."""
        pixels = pixels_BHWC.to(self._device, non_blocking=True).permute(0, 3, 1, 2).to(self._dtype)
        mean, std = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        return (pixels / 255 - mean) / std * self._trial.cell.task.input_scale


class _Passes:
    """The loader's batch sampler: each pass over it takes what it was told last."""

    batches: Iterable[list[_Wanted]] = ()

    def __iter__(self) -> Iterator[list[_Wanted]]:
        return iter(self.batches)


class _Images(Dataset[tuple[npt.NDArray[np.uint8], int]]):
    """What a worker process reads."""

    def __init__(self, sets: ImageSets) -> None:
        self._files, self._side = sets.files, sets.side

    def __getitem__(self, wanted: _Wanted) -> tuple[npt.NDArray[np.uint8], int]:
        place, seed = wanted
        return read_image(self._files.paths[place], self._side, seed), int(self._files.labels[place])


def _whole(places: npt.NDArray[np.int64]) -> list[_Wanted]:
    return [(place, None) for place in places.tolist()]
