"""A service as a process: a socket, the application, and a worker that ends with it."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

from robustness.errors import SpecError

__all__ = ["bound", "check_certificate", "serve", "with_worker"]

BACKLOG = 2048
"""Connections that wait to be accepted; as many as uvicorn asks for."""
LONGEST_PAUSE = 60.0
"""Seconds between two workers where each dies at once."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Raises:
        SpecError: no such address, or somebody listens there already.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        # Now, so that whoever reads the address that is printed waits for the first answer and is not refused.
        found.listen(BACKLOG)
    except OSError as error:
        raise SpecError.of("--host", f"cannot listen on {host} port {port}: {error}") from None
    return found


def check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Load them once, before anything else is made.

    Raises:
        SpecError: the certificate or its key cannot be used.
    """
    for option, path in (("--certificate", certificate), ("--key", key)):
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise SpecError.of(option, f"{path} cannot be read: {error.strerror}") from None
    if certificate is None:
        if key is not None:
            raise SpecError.of("--key", "goes with --certificate")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        where = "the same file, without --key" if key is None else key
        raise SpecError.of(
            "--certificate", f"{certificate} must hold a certificate in PEM, and {where}, its key: {error}"
        ) from None


def serve(app: ASGIApp, listener: socket.socket, *, certificate: Path | None, key: Path | None) -> None:
    """Answer until SIGINT or SIGTERM, with a certificate that was checked."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who stands before it is told by --public-url, never by a header
        ws="websockets-sansio",
        ws_max_size=1_000_000,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=5,
    )
    # uvicorn raises the signal again when it has shut down; the worker must be stopped first.
    signal.signal(signal.SIGTERM, _end)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)


@contextmanager
def with_worker(options: Sequence[str], store_url: str) -> Iterator[None]:
    """A worker beside the service, started again when it dies; stopped with its study when the service ends.

    Args:
        options: of `robustness worker`, without the store.
        store_url: told by the environment, where `ps` does not show its password.
    """
    stopping = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        pause = 1.0
        while not stopping.is_set():
            command = [sys.executable, "-m", "robustness.cli", "worker", "--with-parent", *options]
            environment = {**os.environ, "ROBUSTNESS_STORE": store_url}
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, env=environment, start_new_session=True
            )
            running[:] = [process]
            if stopping.is_set():  # since the loop looked; whoever set it saw no process
                process.terminate()
            process.wait()
            if not stopping.wait(pause):
                print("the worker died; another is started", file=sys.stderr, flush=True)
                pause = min(2 * pause, LONGEST_PAUSE)

    keeper = threading.Thread(target=keep, name="worker", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stopping.set()
        for process in running:
            process.terminate()
        keeper.join()
