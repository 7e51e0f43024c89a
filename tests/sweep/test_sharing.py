"""One copy of a data set a node, in Ray's object store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from robustness.catalog import DATASETS
from robustness.errors import DataMissing
from robustness.sweep.cluster import ray_session
from robustness.sweep.sharing import SharedData, is_shared, share, take
from robustness.tasks import load
from robustness.tasks.download import DEBIAN_FASHION_MNIST, download
from robustness.trial import Named
from tests.builders import spec
from tests.machines import pair
from tests.waiting import wait_until

NOWHERE = Path("/nowhere")
LARGE = {"train_size": 60_000, "side": 8}


def data(name: str, **arguments: Any) -> Named:
    return DATASETS.get(name).fill(arguments)


@pytest.mark.parametrize(
    ("named", "shared"),
    [
        (data("digits"), False),
        (data("mnist1d"), False),
        (data("synthetic"), False),
        (data("synthetic", **LARGE), False),
        (data("synthetic", train_size=70_000), True),
        (data("fashion-mnist"), True),
        (
            data("fashion-mnist", train_size=1_000),
            True,
        ),  # however few are used: the other nodes need no files
        (data("cifar100"), True),
        (data("imagenet"), False),
    ],
    ids=str,
)
def test_what_has_files_or_is_large_is_shared(named: Named, shared: bool) -> None:
    assert is_shared(named) is shared


class Worker:
    """An actor that trains nothing."""

    def load(self, named: Named, shared: SharedData) -> tuple[float, str, int]:
        """Sum of the test inputs; the file and its number whose pages hold the training inputs."""
        take(named, shared)
        found = load(named, NOWHERE)
        place = found.train.inputs.data_ptr()
        for line in Path("/proc/self/maps").read_text().splitlines():
            addresses, _, _, _, number, *file = line.split()
            first, last = (int(part, 16) for part in addresses.split("-"))
            if first <= place < last:
                return found.test.inputs.double().sum().item(), " ".join(file), int(number)
        raise AssertionError("no memory of this process")


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    with ray_session(None):
        yield


def workers(count: int) -> list[Any]:
    return [ray.remote(Worker).options(num_cpus=0).remote() for _ in range(count)]


def readers() -> int:
    """How many processes read data sets."""
    found = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found += "_Reader" in "".join(process.cmdline()[:1])
    return found


@pytest.mark.cluster
@pytest.mark.usefixtures("session")
def test_two_workers_look_at_the_same_memory_and_the_process_that_read_it_ends() -> None:
    named = data("synthetic", train_size=70_000)
    shared = share([data("digits"), named], NOWHERE)
    assert list(shared) == [named]
    one, other = ray.get([worker.load.remote(named, shared) for worker in workers(2)])
    assert one == other
    sum_, file, number = one
    assert sum_ == load(named, NOWHERE).test.inputs.double().sum().item()
    assert number
    assert "plasma" in file
    wait_until(lambda: not readers(), "the reading processes gone")


@pytest.mark.cluster
@pytest.mark.usefixtures("session")
def test_where_the_shared_copy_cannot_be_had_the_worker_reads_by_itself_and_says_what_is_wrong() -> None:
    named = data("fashion-mnist")
    shared = share([named], NOWHERE)
    [worker] = workers(1)
    with pytest.raises(DataMissing, match="robustness data fashion-mnist"):
        ray.get(worker.load.remote(named, shared))


@pytest.mark.cluster
@pytest.mark.slow
def test_a_node_without_the_files_trains_on_what_the_drivers_node_read(tmp_path: Path) -> None:
    if not DEBIAN_FASHION_MNIST.is_dir():
        pytest.skip("Debian's dataset-fashion-mnist is not installed (make system-packages)")
    root, study = tmp_path / "data", tmp_path / "study.json"
    root.mkdir()
    download(DATASETS.get("fashion-mnist"), root)
    sizes = {"train_size": 512, "validation_size": 250, "test_size": 250}
    study.write_text(json.dumps(spec(task={"data": "fashion-mnist", **sizes})))
    with pair(tmp_path) as (head, worker):
        start = ["ray", "start"]
        head.run([*start, "--head", "--port=6379", "--num-cpus=0", "--include-dashboard=false"])
        worker.run(["mount", "-t", "tmpfs", "nothing", root])
        assert worker.run(["ls", root]) == ""
        worker.run([*start, f"--address={head.address}:6379", "--num-cpus=2"])
        said = head.run(
            [
                *(sys.executable, "-m", "robustness.cli", "run", str(study), "--json", "--data", str(root)),
                *("--store", f"sqlite:///{tmp_path}/store.db", "--address", f"{head.address}:6379"),
            ],
            stderr=subprocess.DEVNULL,
        )
    run = json.loads(said.splitlines()[-1])
    assert (run["trials"], run["complete"], run["failed"]) == (4, 4, 0)
