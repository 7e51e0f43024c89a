"""Packs that go on from checkpoints: dealt as they were, trained on by whoever takes them, without a Ray."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustness.checkpoint_files import KEPT_DAYS, Keeping, Outline, clean, file_name, outlines
from robustness.spec import Resources
from robustness.sweep.packing import begun_packs
from robustness.sweep.trainable import PackRunner
from robustness.sweep.work import Work
from robustness.training import train
from robustness.trial import Trial, TrialRecord
from tests.builders import trials

SMALL = {"data": "synthetic", "train_size": 160, "validation_size": 40, "test_size": 40, "batch_size": 32}
EIGHT = trials(task={**SMALL, "epochs": 4}, search={"lr": [0.01, 0.1, 1e20, 1.0], "seeds": 2})
KEYS = [trial.key for trial in EIGHT]


def outline(keys: list[str], epoch: int, technique: str | None = "feature-major") -> Outline:
    return Outline(name=f"{epoch}", technique=technique, keys=tuple(keys), epoch=epoch)


def begun(*found: Outline, **options: Any) -> tuple[list[tuple[str | None, list[str]]], list[str]]:
    made, left = begun_packs(EIGHT, found, **{"size": "auto", "device": "cpu", **options})
    return [(pack.source, [t.key for t in pack.trials]) for pack in made], [t.key for t in left]


def test_those_of_a_checkpoints_members_that_wait_are_a_pack_again() -> None:
    gone = "0" * 64
    assert begun(outline([KEYS[3], gone, KEYS[1]], 5)) == (
        [("5", [KEYS[3], KEYS[1]])],
        [KEYS[0], KEYS[2], *KEYS[4:]],
    )


def test_a_trial_in_two_checkpoints_goes_on_from_the_further_one() -> None:
    assert begun(outline(KEYS, 5), outline(KEYS[:2], 9)) == ([("9", KEYS[:2]), ("5", KEYS[2:])], [])


@pytest.mark.parametrize(("technique", "options"), [(None, {}), ("vmap", {}), ("feature-major", {"size": 1})])
def test_checkpoints_of_another_technique_make_no_pack(technique: Any, options: dict[str, Any]) -> None:
    assert begun(outline(KEYS, 5, technique), **options) == ([], KEYS)


def worker_of(work: Work) -> PackRunner:
    made = work.take()
    assert made is not None
    return PackRunner({"batch": work.config(made, Path("/nowhere"))})


def work_of(found: list[Trial], folder: Path, pack: Any, seconds: float = 0.0) -> Work:
    work = Work(Resources(pack=pack), 1, 1, Keeping(folder=folder, seconds=seconds))
    work.add(found)
    return work


def finished(worker: PackRunner) -> dict[str, Any]:
    """All that a worker reports, step by step, as one."""
    said: dict[str, Any] = {"records": [], "errors": [], "spent": [], "notes": []}
    while True:
        step = worker.step()
        for name in said:
            said[name] += step[name]
        if step["done"]:
            return said


def timeless(records: list[TrialRecord]) -> dict[str, str]:
    """Without wall times, as text: NaN equals NaN."""
    return {
        record.key: repr([dataclasses.replace(row, seconds=0.0) for row in record.epochs])
        for record in records
    }


@pytest.mark.parametrize("pack", [8, 1], ids=["pack", "alone"])
def test_another_worker_goes_on_with_a_list_whose_worker_is_gone(
    pack: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = EIGHT if pack == 8 else EIGHT[:1]
    monkeypatch.setattr("robustness.sweep.trainable.REPORT_SECONDS", 0.015)
    dying = worker_of(work_of(found, tmp_path, pack))
    with monkeypatch.context() as slow:
        slow.setattr("time.monotonic", Clock())  # one epoch a step
        while not any(outline.epoch >= 2 for outline in outlines(tmp_path)):
            dying.step()
    monkeypatch.undo()
    [file] = outlines(tmp_path)
    said = finished(worker_of(work_of(found, tmp_path, pack)))
    assert len(said["notes"]) == 1
    assert "goes on after epoch 2 of 4" in said["notes"][0]
    assert said["spent"] == [file.name]
    undisturbed = finished(worker_of(work_of(found, tmp_path / "none", pack, seconds=1e9)))
    assert (undisturbed["spent"], undisturbed["notes"]) == ([], [])
    assert timeless(said["records"]) == timeless(undisturbed["records"])
    assert len(said["records"]) == len(found)


RESNET20 = trials(
    optimizers=[{"name": "insgd", "schedule": "cosine", "warmup_epochs": 2.0}],
    task={**SMALL, "model": "resnet20", "norm": "batch", "augment": "pad-crop-flip", "epochs": 8},
    search={"lr": 0.1, "seeds": 1},
)


def train_resnet20(folder: str) -> None:
    """What the process does that is killed."""
    finished(worker_of(work_of(RESNET20, Path(folder), 1)))


def test_a_resnet20_whose_process_is_killed_ends_with_the_identical_record(tmp_path: Path) -> None:
    code = "import sys; from tests.sweep.test_begun_packs import train_resnet20; train_resnet20(sys.argv[1])"
    worker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2])
    while not any(outline.epoch >= 3 for outline in outlines(tmp_path)):
        assert worker.poll() is None
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    said = finished(worker_of(work_of(RESNET20, tmp_path, 1)))
    [epoch] = re.findall(r"goes on after epoch (\d+) of 8, from its checkpoint", "".join(said["notes"]))
    assert int(epoch) >= 3
    assert timeless(said["records"]) == timeless([train(RESNET20[0], root=Path("/nowhere"))])


class Clock:
    """Ten milliseconds pass between two looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


def test_only_what_is_complete_or_old_and_ours_is_cleaned_away(
    tmp_path: Path, age: Callable[[Path, float], None]
) -> None:
    finished(worker_of(work_of(EIGHT, tmp_path, 8)))
    ours = tmp_path / file_name("feature-major", KEYS)
    others = [tmp_path / "model.safetensors", tmp_path / ("a" * 64 + ".safetensors"), tmp_path / "notes"]
    for path in others:
        path.write_bytes(b"theirs")
        age(path, 100)
    part = tmp_path / f".{ours.name}.xyz.part"
    part.touch()
    clean(tmp_path, lambda keys: dict.fromkeys(KEYS[1:]))
    assert ours.exists()
    assert part.exists()
    age(part, 2)
    clean(tmp_path, lambda keys: dict.fromkeys(KEYS))
    assert not ours.exists()
    assert not part.exists()
    ours.write_bytes(b"damaged")
    clean(tmp_path)
    assert ours.exists()
    age(ours, KEPT_DAYS + 1)
    clean(tmp_path)
    assert not ours.exists()
    assert all(path.exists() for path in others)
    clean(tmp_path / "not there")


@pytest.fixture
def age() -> Callable[[Path, float], None]:
    def older(path: Path, days: float) -> None:
        then = time.time() - days * 86_400
        os.utime(path, (then, then))

    return older
