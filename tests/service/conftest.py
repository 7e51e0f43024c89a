"""Services of empty and of filled stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from robustness.store import Store, open_store
from robustness.store import lease as leases
from tests.service.live import Live, fill, live


@pytest.fixture(autouse=True)
def _long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's own driver keeps its lease for as long as the test takes, however slow the machine."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3_600.0)


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Iterator[Live]:
    """Of an empty store, on each database in turn."""
    with live(store, tmp_path, max_queued=3) as found:
        yield found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Of a store with the study `filled`, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("filled")
    with open_store(str(folder / "store.db"), create=True) as store:
        fill(store)
        with live(store, folder) as found:
            yield found
