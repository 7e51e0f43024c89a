"""Training on a data set that another process has read: memory that is not ours to write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustness.tasks import Arrays, load, read, supply
from robustness.tasks import datasets as module
from robustness.training import train, train_pack
from robustness.training.packed import Technique
from robustness.trial import Trial, TrialRecord
from tests.builders import trials
from tests.training.test_packed import bits, timeless

NOWHERE = Path("/nowhere")
IMAGES = {"model": "toy-cnn", "norm": "batch", "augment": "pad-crop-flip"}


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is supplied in a test, and what `load` keeps of it, ends with it."""
    monkeypatch.setattr(module, "_SUPPLIED", {})
    load.cache_clear()
    yield
    load.cache_clear()


def shifted(arrays: Arrays) -> Arrays:
    """Copies that may not be written to, at addresses that suit vector instructions as little as any."""

    def shift(array: np.ndarray[Any, Any], step: int) -> np.ndarray[Any, Any]:
        room = np.empty(array.nbytes + 128, np.uint8)
        start = -room.ctypes.data % 64 + step
        made: np.ndarray[Any, Any] = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        made[...] = array
        made.flags.writeable = False
        return made

    return shift(arrays[0], 4), shift(arrays[1], 8)


def records(found: list[Trial], technique: Technique | None) -> list[TrialRecord]:
    if technique is None:
        return [timeless(train(trial, root=NOWHERE)) for trial in found]
    ended = [r for part in train_pack(found, technique=technique, root=NOWHERE) for r in part]
    return sorted((timeless(record) for record in ended), key=lambda record: record.key)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("technique", ["feature-major", "vmap", None])
@pytest.mark.parametrize("task", [{}, {"input_scale": 3.0}, IMAGES], ids=["mlp", "scaled", "images"])
def test_numbers_are_the_same_to_the_bit_and_nothing_is_written(
    technique: Technique | None, task: dict[str, Any]
) -> None:
    found = trials(optimizers=[{"name": "insgd"}], task={"epochs": 1, "batch_size": 256, **task})
    own = records(found, technique)
    load.cache_clear()
    named = found[0].cell.task.data
    parts = [shifted(part) for part in read(named, NOWHERE)]
    before = [array.tobytes() for part in parts for array in part]
    supply(named, parts)
    assert load(named, NOWHERE).train.inputs.data_ptr() == parts[0][0].ctypes.data
    assert [bits(record) for record in records(found, technique)] == [bits(record) for record in own]
    assert [array.tobytes() for part in parts for array in part] == before
