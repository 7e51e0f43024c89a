"""Which node, which share of a GPU: what a study asks for and what a cluster has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from robustness.errors import SpecError
from robustness.spec import Resources
from robustness.sweep.cluster import require_resources, slots
from tests.builders import spec
from tests.machines import Machine, single
from tests.waiting import PATIENCE, wait_until

NODES = [
    {"CPU": 16.0, "GPU": 1.0, "memory": 1e9},
    {"CPU": 8.0, "GPU": 4.0},
    {"CPU": 64.0},
    {"node:10.0.0.1": 1.0},
]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster of four nodes, and one that died."""
    dead = {"Alive": False, "Resources": {"CPU": 512.0, "GPU": 8.0}}
    listed: list[dict[str, Any]] = [{"Alive": True, "Resources": node} for node in NODES]
    monkeypatch.setattr(ray, "nodes", lambda: [*listed, dead])


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("cpus", "gpus", "packs"),
    [
        (1, 0.0, 16 + 8 + 64),
        (4, 0.0, 4 + 2 + 16),
        (1, 0.25, 4 + 8),  # the second node has processors for eight
        (1, 0.1, 10 + 8),  # ten tenths are one, though 1 / 0.1 may be 9.999
        (1, 0.3, 3 + 8),
        (1, 0.6, 1 + 4),  # what is left of each GPU does not add up
        (1, 1.0, 1 + 4),
        (1, 3.0, 1),
        (2, 0.25, 4 + 4),
    ],
)
def test_slots_count_what_fits_on_each_node(cpus: int, gpus: float, packs: int) -> None:
    resources = Resources(cpus=cpus, gpus=gpus)
    require_resources(resources)
    assert slots(resources) == packs


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("cpus", "gpus", "said"),
    [
        (65, 0.0, "resources.cpus: must be <= 64, what the largest node has, got 65"),
        (1, 5.0, "resources.gpus: must be <= 4, what the largest node has, got 5"),
        (32, 1.0, "resources: must fit on one node, but none has both 32 CPUs and 1 GPUs"),
        (9, 2.0, "resources: must fit on one node, but none has both 9 CPUs and 2 GPUs"),
    ],
)
def test_what_no_node_can_hold_is_refused(cpus: int, gpus: float, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        require_resources(Resources(cpus=cpus, gpus=gpus))
    assert said in str(caught.value)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that tells Ray of two GPUs, which nothing but the places on them needs."""
    with single(tmp_path_factory.mktemp("home")) as found:
        start = ["ray", "start", "--head", f"--node-ip-address={found.address}", "--port=6379"]
        found.run([*start, "--num-cpus=8", "--num-gpus=2", "--include-dashboard=false"])
        yield found


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize(("gpus", "each"), [(0.25, 4), (0.6, 1)])
def test_packs_share_a_gpu_by_fractions(machine: Machine, gpus: float, each: int) -> None:
    output = machine.run(
        [sys.executable, "-m", "tests.sweep.placement", f"{machine.address}:6379", str(gpus), str(2 * each)],
        stderr=subprocess.DEVNULL,
    )
    found = json.loads(output.splitlines()[-1])
    assert Counter(found["placed"]) == {"0": each, "1": each}
    assert found["slots"] == [2 * each]


@pytest.mark.cluster
@pytest.mark.slow
def test_packs_are_as_large_as_the_first_one_says_its_memory_allows(machine: Machine) -> None:
    """A half of 16 GB each, of which a trial takes a quarter: 24 fit, and 192 that are left make packs of 24."""
    output = machine.run(
        [sys.executable, "-m", "tests.sweep.accelerator", f"{machine.address}:6379", "0.5"],
        stderr=subprocess.DEVNULL,
    )
    assert json.loads(output.splitlines()[-1]) == {"packs": [8] + [24] * 8, "complete": 200}


@pytest.mark.cluster
@pytest.mark.slow
def test_a_study_whose_gpus_no_node_has_is_refused_in_words(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps(spec(resources={"gpus": 3.0})))
    refused = machine.popen(
        [sys.executable, "-m", "robustness.cli", "run", str(path), "--address", f"{machine.address}:6379"]
        + ["--store", f"sqlite:///{tmp_path / 'store.db'}"]
    )
    said, _ = refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 2
    assert "error: resources.gpus: must be <= 2, what the largest node has, got 3" in said


@pytest.mark.cluster
@pytest.mark.slow
def test_a_ray_of_a_studys_own_listens_on_loopback_alone(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps(spec(search={"seeds": 500})))
    with single(tmp_path) as alone:
        alone.popen(
            [
                sys.executable,
                "-m",
                "robustness.cli",
                "run",
                path,
                "--store",
                f"sqlite:///{tmp_path / 's.db'}",
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_until(
            lambda: any("PackRunner" in "".join(names(p)) for p in alone.processes()), "a worker that trains"
        )
        heard = alone.run(["ss", "--listening", "--tcp", "--numeric", "--no-header"]).splitlines()
    places = {line.split()[3].rpartition(":")[0].removeprefix("[::ffff:").rstrip("]") for line in heard}
    assert places == {"127.0.0.1"}


def names(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
