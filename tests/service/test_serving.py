"""The service as a process, beside its worker."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from robustness.errors import SpecError
from robustness.service.serving import bound, with_worker


def test_whoever_knows_the_address_waits_for_the_first_answer_and_is_not_refused() -> None:
    with bound("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        pass  # nothing has accepted it yet


def test_an_address_where_somebody_listens_is_refused() -> None:
    with bound("127.0.0.1", 0) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(SpecError, match=rf"cannot listen on 127\.0\.0\.1 port {taken}"):
            bound("127.0.0.1", taken)


def test_a_service_that_ends_as_soon_as_it_began_leaves_no_worker(tmp_path: Path) -> None:
    with with_worker([], f"sqlite:///{tmp_path / 'store.db'}"):
        pass
