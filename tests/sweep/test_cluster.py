"""Studies on two machines, started by the files of studies/cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.builders import spec
from tests.machines import ROOT, TOKEN, Machine, pair
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.postgres]

FOLDER = ROOT / "studies" / "cluster"
PROGRAM = [sys.executable, "-m", "robustness.cli"]
SPEC: dict[str, Any] = {
    "optimizers": [{"name": "insgd"}, {"name": "sgd", "momentum": 0.9}],
    "task": {"epochs": 3},
    "search": {"lr": [1e-3, 0.1, 1.0, 10.0, 1e20], "init": ["default", "orthogonal"], "seeds": 20},
}
TRIALS = 2 * 5 * 2 * 20
PACK = 4
LOG = os.environ.get("TWO_NODES_LOG")
"""Where the log of the node's death goes, which stands beside the recipe."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "study.json"
    path.write_text(json.dumps(spec(**SPEC)))
    return path


@pytest.fixture(scope="module")
def undisturbed(study: Path) -> str:
    """The table of the study run on this machine from beginning to end, in an SQLite file."""
    store = f"sqlite:///{study.parent / 'store.db'}"
    subprocess.run([*PROGRAM, "run", str(study), "--store", store, "--json"], check=True, capture_output=True)
    return table(store)


def table(store: str) -> str:
    done = subprocess.run(
        [*PROGRAM, "table", "small", "--store", store, "--format", "csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    with pair(tmp_path) as found:
        yield found


@pytest.fixture
def cluster(machines: tuple[Machine, Machine]) -> tuple[Machine, Machine]:
    """A Ray cluster of two machines with a processor each, and the job server on the head's loopback."""
    pytest.importorskip("aiohttp", reason="Ray's job server is not installed (the extra `cluster`)")
    head, worker = machines
    # Ray's own 10 s would have it give up a silent node after a minute; these, after 15 to 25 seconds.
    patience = {"RAY_health_check_timeout_ms": "2000"}
    start = ["ray", "start", "--num-cpus=1"]
    head.run([*start, "--head", "--port=6379", "--dashboard-host=127.0.0.1"], env=patience)
    worker.run([*start, f"--address={head.address}:6379"])
    return head, worker


@pytest.fixture
def store(postgres_url: str) -> str:
    """A PostgreSQL database by its Unix socket, which has no network to cross."""
    with psycopg.connect(postgres_url) as connection:
        [folder] = connection.execute("SHOW unix_socket_directories").fetchone()  # type: ignore[misc]
        port, name = connection.info.port, connection.info.dbname
    return f"postgresql://postgres@/{name}?host={folder}&port={port}"


def count(store: str, what: str) -> int:
    try:
        with psycopg.connect(store) as connection:
            [found] = connection.execute(f"SELECT count(*) FROM trial WHERE {what}").fetchone()  # type: ignore[misc]
    except psycopg.errors.UndefinedTable:
        return 0
    return int(found)


def training(machine: Machine) -> int:
    """How many actors train on it."""
    found = 0
    for process in machine.processes():
        with suppress(psutil.Error):
            found += any(name in "".join(process.cmdline()[:1]) for name in ("PackRunner", "Trainable"))
    return found


JOB = str(os.getpid())
SRUN = """#!/usr/bin/env bash
[ "$1" != --no-kill ] || shift
{ export -p; printf 'exec'; printf ' %q' "$@"; } > "$COMMAND.part"
[ -e "$COMMAND" ] || mv "$COMMAND.part" "$COMMAND"
exec "$@"
"""


def said(output: str) -> dict[str, Any]:
    """The one object of `run --json` among what Ray says."""
    [line] = [line for line in output.splitlines() if line.startswith('{"study"')]
    found: dict[str, Any] = json.loads(line)
    return found


def told(store: str, killed_at: datetime, before: int) -> str:
    """The log of a run: when the node was killed, and when each trial was finished after how many attempts."""
    query = """SELECT finished_at, attempts, optimizer, lr, init, seed_index, key FROM trial
        JOIN study_trial ON trial_id = trial.id ORDER BY finished_at, position"""
    with psycopg.connect(store) as connection:
        rows = connection.execute(query).fetchall()
    lines = [
        f"{at} {n} {optimizer} {lr:g} {init} {seed} {key[:12]}"
        for at, n, optimizer, lr, init, seed, key in rows
    ]
    again = sum(row[1] > 1 for row in rows)
    head = [
        "# One study on two nodes, job.sh, store on PostgreSQL; the second node was killed (power and cable) half-way.",
        "# Written by tests/sweep/test_cluster.py with TWO_NODES_LOG=FILE.",
        f"# {killed_at.isoformat(timespec='seconds')} the second node is killed; {before} of {len(rows)} trials are complete",
        f"# {rows[-1][0]} the last trial is complete; {len({row[-1] for row in rows})} trials, each stored once, "
        f"{again} of them tried again",
        "# finished attempts optimizer lr init seed key",
    ]
    return "\n".join([*head, *lines]) + "\n"


def test_a_node_that_dies_costs_at_most_one_retry_of_its_pack_and_no_result(
    cluster: tuple[Machine, Machine], study: Path, store: str, undisturbed: str
) -> None:
    head, worker = cluster
    job = head.popen(
        [FOLDER / "job.sh", study, "--pack", str(PACK), "--json"],
        env={"ROBUSTNESS_PYTHON": sys.executable, "ROBUSTNESS_STORE": store},
    )
    wait_until(
        lambda: count(store, "state = 'complete'") >= 0.25 * TRIALS and training(worker) > 0,
        "a quarter of the trials, and a worker at work",
    )
    killed_at, before = datetime.now(UTC), count(store, "state = 'complete'")
    worker.kill()
    assert 0 < count(store, "state = 'complete'") < TRIALS
    output, _ = job.communicate(timeout=PATIENCE)
    assert job.returncode == 0, output
    run = said(output)
    assert (run["trials"], run["complete"], run["failed"]) == (TRIALS, TRIALS, 0)
    assert count(store, "attempts = 1") + count(store, "attempts = 2") == TRIALS
    assert count(store, "attempts = 2") <= PACK  # none where it fell between two packs
    assert table(store) == undisturbed
    if LOG:
        Path(LOG).write_text(told(store, killed_at, before))


def test_the_slurm_script_makes_one_cluster_of_all_nodes(
    machines: tuple[Machine, Machine], study: Path, store: str, undisturbed: str, tmp_path: Path
) -> None:
    """Slurm itself is played: this script is on the first node, and `srun` starts its command on both."""
    head, worker = machines
    command = str(tmp_path / "command")
    srun = tmp_path / "srun"
    srun.write_text(SRUN)
    srun.chmod(0o755)
    slurm = {"SLURM_JOB_ID": JOB, "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "1", "COMMAND": command}
    given = {"ROBUSTNESS_PYTHON": sys.executable, "ROBUSTNESS_STORE": store}
    job = head.popen(
        [FOLDER / "slurm.sh", study, "--pack", str(PACK), "--json"],
        env={**slurm, **given, "PATH": f"{tmp_path}:{head.env['PATH']}"},
    )
    while not Path(command).exists():
        assert job.poll() is None, job.communicate()[0]
        time.sleep(0.1)
    worker.popen(["bash", command], stdout=subprocess.DEVNULL)
    trained = False
    while job.poll() is None:
        trained = trained or training(head) == training(worker) == 1
        time.sleep(0.5)
    output = job.communicate()[0]
    assert job.returncode == 0, output
    assert trained
    [token] = re.findall('RAY_AUTH_TOKEN="([0-9a-f]{64})"', Path(command).read_text())
    assert token != TOKEN  # one of the job's own
    assert said(output)["complete"] == TRIALS
    assert table(store) == undisturbed
    assert not Path(f"/tmp/ray-{JOB}").exists()
