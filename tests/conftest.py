"""Fixtures: real databases, real studies, and the rule that CI skips nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from robustness.store import Store, open_store
from tests.rays import joining, ray_head
from tests.started_programs import allowed_programs

settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")

torch.set_num_threads(1)  # tests run in parallel

POSTGRES = Path("/usr/lib/postgresql/15/bin")
IN_CI = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most sweeps first: they take longest, and what is quick fills the gaps at the end."""
    sweeps = Counter(item.path for item in items if item.get_closest_marker("cluster"))
    items.sort(key=lambda item: -sweeps[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test starts no Ray, browser or database server that its markers do not name."""
    with allowed_programs(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI=true a skip is a failure."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server of this test session's own, on a free loopback port."""
    if not (POSTGRES / "initdb").exists():
        pytest.skip("PostgreSQL's server binaries are not installed (make system-packages)")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's own folders are closed to other users
    as_user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def quietly(command: Sequence[str | Path]) -> None:
        subprocess.run([*as_user, *command], check=True, capture_output=True, cwd="/")

    quietly([POSTGRES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"-h 127.0.0.1 -p {port} -k {folder} -F"
    control: list[str | Path] = [POSTGRES / "pg_ctl", "-D", data, "-w"]
    quietly([*control, "-o", options, "-l", folder / "log", "start"])
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        quietly([*control, "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> str:
    """A fresh database."""
    import psycopg

    name = f"test_{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{postgres_server}/{name}"


@pytest.fixture(scope="session")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Ray that this session's tests share."""
    with ray_head(tmp_path_factory.mktemp("ray") / "log") as address:
        yield address


@pytest.fixture
def shared_ray(ray: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test starts joins that Ray, instead of starting one of its own: five seconds a run."""
    for name, value in joining(ray).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that does not exist yet, on each database in turn."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store, on each database in turn."""
    with open_store(store_url, create=True) as opened:
        yield opened
