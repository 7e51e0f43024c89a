"""How many trials fit into a share of a GPU, by the figures of one that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robustness.sweep.memory import CONTEXT_BYTES, MOST_MEASURED, SAFE, Gauge
from tests.sweep.accelerator import Fake, run_alone

GB = 1 << 30


@pytest.mark.parametrize(
    ("gpus", "each", "held", "fitting"),
    [
        (1.0, GB // 4, 0, 49),  # of 16 GB less half a one for CUDA, 0.8
        (2.0, GB // 4, 0, 49),  # a pack uses one device
        (0.25, GB // 4, 0, 11),
        (0.25, GB // 4, GB, 7),  # the data set is there once
        (0.25, 8 * GB, 0, 1),  # what does not fit is tried nevertheless
        (0.01, GB // 4, 0, 1),
        (1.0, 1, 0, MOST_MEASURED),
        (1.0, 0, 0, MOST_MEASURED),
    ],
)
def test_packs_fill_a_safe_part_of_their_share(gpus: float, each: int, held: int, fitting: int) -> None:
    memory = Fake(total=16 * GB, held=held, peak=held + 8 * each)
    gauge = Gauge(memory, gpus)
    gauge.start()
    assert gauge.fitting(8) == fitting
    assert memory.forgotten
    if 1 < fitting < MOST_MEASURED:
        room = SAFE * (min(gpus, 1) * memory.total() - CONTEXT_BYTES)
        assert held + fitting * each <= room < held + (fitting + 1) * each


def test_a_worker_tells_what_fits_when_an_epoch_has_passed_and_only_once(tmp_path: Path) -> None:
    steps = run_alone(Fake(total=16 * GB, held=0, peak=8 * GB), pack=8, epochs=3, root=tmp_path)
    assert [step["fitting"] for step in steps if "fitting" in step] == [12]
    assert steps[0]["fitting"] == 12
    assert not steps[0]["records"]
    assert sum(len(step["records"]) for step in steps) == 8


def test_a_pack_that_does_not_fit_is_split_and_the_part_that_does_is_measured(tmp_path: Path) -> None:
    memory = Fake(total=16 * GB, held=0, peak=4 * GB, most=4)
    steps = run_alone(memory, pack=8, epochs=1, root=tmp_path)
    assert [step["fitting"] for step in steps if "fitting" in step] == [12]
    assert sum(len(step["records"]) for step in steps) == 8
    assert not any(step["errors"] for step in steps)


@pytest.mark.parametrize(("size", "threads"), [(1, 2), (8, 1)], ids=["alone", "packed"])
def test_a_trial_alone_has_the_threads_that_it_asked_for_and_a_pack_has_one(
    size: int, threads: int, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    try:
        run_alone(None, pack=size, epochs=1, root=tmp_path, cpus=2)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
