"""Checkpoints: what goes on from one ends with the numbers of what never stopped, and a bad one is never gone on from."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustness.checkpoint_files import Keeping, file_name, outlines
from robustness.tasks.images import open_images
from robustness.training import Keeper, train, train_by_epochs, train_pack
from robustness.training.packed import Technique
from robustness.trial import Trial, TrialRecord
from tests.builders import trials
from tests.image_folders import make_folder, registered
from tests.training.test_packed import IDS, VARIANTS

pytestmark = pytest.mark.slow

NOWHERE = Path("/nowhere")
SMALL = {"data": "synthetic", "train_size": 160, "validation_size": 40, "test_size": 40, "batch_size": 32}
TOY_CNN = {
    **SMALL,
    "model": "toy-cnn",
    "norm": "batch",
    "augment": "pad-crop-flip",
    "dropout": 0.2,
    "epochs": 4,
}
ALONE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "momentum, cosine, warm-up, clipping": (
        {"name": "sgd", "momentum": 0.9, "schedule": "cosine", "warmup_epochs": 2.5, "clip_norm": 1.0},
        TOY_CNN,
    ),
    "adam": ({"name": "adam"}, TOY_CNN),
    "insgd": ({"name": "insgd", "weight_decay": 1e-3}, TOY_CNN),
    "insgd released": ({"name": "insgd", "preset": "released"}, TOY_CNN),
    "lars, whose norms are sums": ({"name": "lars", "schedule": "step", "milestones": [1.0, 3.0]}, TOY_CNN),
    "schedule-free": ({"name": "pytorch-optimizer:schedulefreeadamw"}, TOY_CNN),
    "resnet20": (
        {"name": "sgd", "momentum": 0.9},
        {**SMALL, "model": "resnet20", "norm": "batch", "epochs": 3},
    ),
    "bfloat16": ({"name": "adam"}, {**TOY_CNN, "precision": "bf16"}),
}


def one(optimizer: dict[str, Any], task: dict[str, Any], lr: float = 0.03) -> Trial:
    return trials(optimizers=[optimizer], task=task, search={"lr": lr, "seeds": 1})[0]


def timeless(record: TrialRecord) -> TrialRecord:
    return dataclasses.replace(
        record, epochs=tuple(dataclasses.replace(row, seconds=0.0) for row in record.epochs)
    )


class Worker:
    """Trains with checkpoints after every epoch, and remembers what it said."""

    def __init__(self, folder: Path, root: Path = NOWHERE, seconds: float = 0.0) -> None:
        self.keeping = Keeping(folder=folder, seconds=seconds)
        self.root = root
        self.said: list[str] = []

    def epochs(
        self, found: Sequence[Trial], technique: Technique | None, source: str | None = None
    ) -> Iterator[list[TrialRecord]]:
        keeper = Keeper(self.keeping, technique, found, say=self.said.append, source=source)
        if technique is None:
            return train_by_epochs(found[0], root=self.root, keeper=keeper)
        return train_pack(found, technique=technique, root=self.root, keeper=keeper)

    def stopped(self, found: Sequence[Trial], technique: Technique | None = None, after: int = 2) -> None:
        """Train some epochs, and end as a process that is killed does: nothing more is written."""
        running = self.epochs(found, technique)
        for _ in range(after):
            next(running)

    def records(
        self, found: Sequence[Trial], technique: Technique | None = None, source: str | None = None
    ) -> dict[str, TrialRecord]:
        ended = [record for part in self.epochs(found, technique, source) for record in part]
        return {record.key: timeless(record) for record in ended}

    @property
    def files(self) -> list[Path]:
        return sorted(self.keeping.folder.iterdir())


def same(one_: TrialRecord, other: TrialRecord) -> bool:
    """To the bit, NaN included."""
    return repr(timeless(one_)) == repr(timeless(other))


# -- the same numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "task"), ALONE.values(), ids=ALONE)
def test_a_trial_that_goes_on_ends_with_the_identical_record(
    optimizer: dict[str, Any], task: dict[str, Any], tmp_path: Path
) -> None:
    trial, worker = one(optimizer, task), Worker(tmp_path)
    worker.stopped([trial])
    record = worker.records([trial])[trial.key]
    assert [line.split(": ")[1] for line in worker.said] == [
        f"goes on after epoch 2 of {task['epochs']}, from its checkpoint"
    ]
    assert same(record, train(trial, root=NOWHERE))


@pytest.mark.parametrize("technique", [None, "feature-major"])
@pytest.mark.parametrize("optimizer", VARIANTS, ids=IDS)
def test_every_optimizer_goes_on_as_if_it_had_not_stopped(
    optimizer: dict[str, Any], technique: Technique | None, tmp_path: Path
) -> None:
    trial, worker = one(optimizer, {**SMALL, "norm": "batch", "epochs": 2}), Worker(tmp_path)
    worker.stopped([trial], technique, after=1)
    record = worker.records([trial], technique)[trial.key]
    assert "goes on after epoch 1" in worker.said[0]
    assert len(worker.said) == 1
    assert same(record, Worker(tmp_path / "none", seconds=1e9).records([trial], technique)[trial.key])


def test_images_that_are_streamed_come_in_the_same_order_and_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(monkeypatch.setitem)
    open_images.cache_clear()
    root = make_folder(tmp_path / "data")
    task = {
        "data": "imagenet",
        "batch_size": 10,
        "model": "toy-cnn",
        "augment": "random-resized-crop",
        "epochs": 3,
    }
    trial, worker = one({"name": "insgd"}, task), Worker(tmp_path / "checkpoints", root)
    worker.stopped([trial])
    assert same(worker.records([trial])[trial.key], train(trial, root=root))
    assert "goes on after epoch 2" in worker.said[0]


def pack_of(task: dict[str, Any], lrs: Sequence[float] = (0.01, 0.1, 1e20, 1.0)) -> list[Trial]:
    """Two seeds of each learning rate; with the largest both die at once."""
    optimizer = {"name": "insgd", "momentum": 0.9}
    return trials(optimizers=[optimizer], task=task, search={"lr": list(lrs), "seeds": 2})


@pytest.mark.parametrize(
    ("technique", "task"),
    [
        ("feature-major", {**SMALL, "norm": "batch", "depth": 2, "epochs": 4}),
        ("feature-major", TOY_CNN),
        ("vmap", TOY_CNN),
    ],
    ids=["mlp", "toy-cnn", "vmap"],
)
def test_a_pack_goes_on_with_those_of_its_members_that_live_and_reports_the_dead(
    technique: Technique, task: dict[str, Any], tmp_path: Path
) -> None:
    found, worker = pack_of(task), Worker(tmp_path)
    worker.stopped(found, technique)
    records = worker.records(found, technique)
    assert worker.said == [
        f"synthetic {found[0].cell.task.model.name} insgd, a pack of 8: goes on after epoch 2 of 4, from its checkpoint"
    ]
    undisturbed = Worker(tmp_path / "none", seconds=1e9).records(found, technique)
    assert sum(record.nonfinite for record in records.values()) == 2
    assert records.keys() == undisturbed.keys()
    assert all(same(records[key], undisturbed[key]) for key in records)


def test_part_of_a_pack_goes_on_from_the_checkpoint_of_the_whole(tmp_path: Path) -> None:
    found, worker = pack_of({**SMALL, "epochs": 4}), Worker(tmp_path)
    worker.stopped(found, "feature-major")
    [file] = worker.files
    undisturbed = Worker(tmp_path / "none", seconds=1e9).records(found, "feature-major")
    for part in (found[3:], found[:1], found[4:6], found[5:6]):  # of the last two all had ended
        records = worker.records(part, "feature-major", file.name)
        assert records.keys() == {trial.key for trial in part}
        assert all(same(record, undisturbed[key]) for key, record in records.items())
    assert len(worker.said) == 4
    assert all("goes on after epoch 2" in line for line in worker.said)


# -- when, and by which name -----------------------------------------------------------------------


def test_short_trainings_write_nothing_not_even_the_folder(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "checkpoints", seconds=60.0)
    worker.records([one({"name": "sgd"}, {**SMALL, "epochs": 3})])
    assert not worker.keeping.folder.exists()


def test_a_checkpoint_replaces_the_one_before_and_says_whose_it_is(tmp_path: Path) -> None:
    trial, worker = one({"name": "sgd"}, {**SMALL, "epochs": 4}), Worker(tmp_path)
    for after in (1, 2):  # epochs, then what goes on and one more
        worker.stopped([trial], after=after)
        [outline] = outlines(tmp_path)
        assert (outline.epoch, outline.keys, outline.technique) == (after, (trial.key,), None)
        assert [path.name for path in worker.files] == [file_name(None, [trial.key])]


def test_what_is_done_needs_its_file_no_more_and_the_driver_is_told(tmp_path: Path) -> None:
    trial = one({"name": "sgd"}, {**SMALL, "epochs": 2})
    for seconds, names in ((1e9, []), (0.0, [file_name(None, [trial.key])])):
        keeper = Keeper(Keeping(folder=tmp_path, seconds=seconds), None, [trial], say=print)
        list(train_by_epochs(trial, root=NOWHERE, keeper=keeper))
        assert keeper.files == names


def test_a_folder_that_cannot_be_written_costs_a_line_and_no_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trial, worker = one({"name": "sgd"}, {**SMALL, "epochs": 3}), Worker(tmp_path / "file" / "folder")
    assert same(worker.records([trial])[trial.key], train(trial, root=NOWHERE))
    assert set(worker.said) == {
        f"no checkpoint can be written to {worker.keeping.folder} (Not a directory); trainings go on without"
    }


def test_an_optimizer_whose_state_is_no_data_is_trained_without_checkpoints(tmp_path: Path) -> None:
    trial, worker = one({"name": "pytorch-optimizer:adashift"}, {**SMALL, "epochs": 3}), Worker(tmp_path)
    assert same(worker.records([trial])[trial.key], train(trial, root=NOWHERE))
    [line] = worker.said
    assert line.endswith("trained without checkpoints, for its state has a deque")
    assert worker.files == []


WRITER = """
import sys
from pathlib import Path
from robustness.checkpoint_files import write
while True:
    for letter in (b"a", b"b"):
        write(Path(sys.argv[1]), "name", letter * 3_000_000)
        print("written", flush=True)
"""


def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    for i in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05 + 0.013 * i)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        data = (tmp_path / "name").read_bytes()
        assert data in (b"a" * 3_000_000, b"b" * 3_000_000)


# -- checkpoints that are of no use ----------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trial, bytes, TrialRecord]:
    """A trial, its checkpoint after an epoch, and its record."""
    trial = one({"name": "sgd", "momentum": 0.9}, {**SMALL, "epochs": 2, "width": 8})
    worker = Worker(tmp_path_factory.mktemp("kept"))
    worker.stopped([trial], after=1)
    return trial, worker.files[0].read_bytes(), train(trial, root=NOWHERE)


def begun_anew(kept: tuple[Trial, bytes, TrialRecord], data: bytes, folder: Path) -> str:
    """With this in place of the checkpoint the record is the same; what is said of it."""
    trial, _, undisturbed = kept
    worker = Worker(folder, seconds=1e9)
    (folder / file_name(None, [trial.key])).write_bytes(data)
    assert same(worker.records([trial])[trial.key], undisturbed)
    [line] = worker.said
    return line


def test_the_checkpoint_itself_is_gone_on_from(
    kept: tuple[Trial, bytes, TrialRecord], tmp_path: Path
) -> None:
    assert "goes on after epoch 1 of 2" in begun_anew(kept, kept[1], tmp_path)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off_anywhere_is_passed_over(
    share: float, kept: tuple[Trial, bytes, TrialRecord], tmp_path: Path
) -> None:
    data = kept[1][: int(share * len(kept[1]))]
    assert "is of no use: it is damaged" in begun_anew(kept, data, tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_file_with_a_flipped_bit_is_passed_over(
    share: float, bit: int, kept: tuple[Trial, bytes, TrialRecord], tmp_path: Path
) -> None:
    data = bytearray(kept[1])
    data[int(share * len(data))] ^= 1 << bit
    said = begun_anew(kept, bytes(data), tmp_path)
    # Spaces that pad the header carry nothing.
    assert "is of no use: it is damaged" in said or bytes(data).replace(b" ", b"") != kept[1].replace(
        b" ", b""
    )


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 100, b"PK\x03\x04" + bytes(1000)])
def test_what_is_no_checkpoint_is_passed_over(
    data: bytes, kept: tuple[Trial, bytes, TrialRecord], tmp_path: Path
) -> None:
    assert "is of no use: it is damaged" in begun_anew(kept, data, tmp_path)


def test_another_trials_checkpoint_under_this_name_is_passed_over(
    kept: tuple[Trial, bytes, TrialRecord], tmp_path: Path
) -> None:
    other = Worker(tmp_path)
    other.stopped(
        [one({"name": "sgd", "momentum": 0.9}, {**SMALL, "epochs": 2, "width": 8}, lr=0.5)], after=1
    )
    [file] = other.files
    said = begun_anew(kept, file.read_bytes(), tmp_path)
    assert "is of no use: it is of another pack" in said


@pytest.mark.parametrize(
    ("name", "value"), [("torch.__version__", "1.0"), ("robustness.training.checkpoint.RECORD_VERSION", 1)]
)
def test_one_of_another_version_is_passed_over(
    name: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, worker = one({"name": "sgd"}, {**SMALL, "epochs": 3}), Worker(tmp_path)
    with monkeypatch.context() as other:
        other.setattr(name, value)
        worker.stopped([trial])
    assert same(worker.records([trial])[trial.key], train(trial, root=NOWHERE))
    [line] = worker.said
    assert (
        f"is of no use: it was made with {name.lower().split('.')[-1].replace('__version__', 'torch')}"
        in line
    )


def test_one_made_with_another_number_of_threads_is_passed_over(tmp_path: Path) -> None:
    trial, worker = one({"name": "sgd"}, {**SMALL, "epochs": 3}), Worker(tmp_path)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        worker.stopped([trial])
    finally:
        torch.set_num_threads(before)
    assert same(worker.records([trial])[trial.key], train(trial, root=NOWHERE))
    assert f"it was made with threads {before + 1}, this is {before}" in worker.said[0]
