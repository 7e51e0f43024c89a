"""A driver keeps its study for as long as it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from robustness.errors import RobustnessError
from robustness.spec import expand, parse
from robustness.store import Queue, open_store
from robustness.store import lease as leases
from robustness.sweep import cluster, runner
from tests.builders import spec


def test_the_lease_is_renewed_while_ray_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3.0)
    monkeypatch.setattr(runner, "LEASE_SECONDS", 3.0)
    driven: list[bool] = []

    @contextmanager
    def slow(address: str | None) -> Iterator[Path]:
        for _ in range(5):
            time.sleep(1)
            driven.append(Queue(store).of("small").driven)
        raise RobustnessError("Ray did not start")
        yield tmp_path

    monkeypatch.setattr(cluster, "ray_session", slow)
    study = parse(spec())
    with open_store(str(tmp_path / "store.db"), create=True) as store:
        with pytest.raises(RobustnessError, match="Ray did not start"):
            runner.run_study(store, study, expand(study), root=tmp_path, quiet=True)
        assert driven == [True] * 5
        assert not Queue(store).of("small").driven
