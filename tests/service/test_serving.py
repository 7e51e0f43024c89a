"""The service as a process, beside its worker."""

from __future__ import annotations

from pathlib import Path

from robustness.service.serving import with_worker


def test_a_service_that_ends_as_soon_as_it_began_leaves_no_worker(tmp_path: Path) -> None:
    with with_worker([], f"sqlite:///{tmp_path / 'store.db'}"):
        pass
