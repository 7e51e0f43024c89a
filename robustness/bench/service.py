"""How fast the service opens a large study, and answers about it when it does not change, alone and beside a sweep."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robustness.bench.reading import NAME, fill
from robustness.errors import RobustnessError

__all__ = ["FIRST", "KINDS", "Load", "Opening", "measured"]

KINDS = ("whole", "unchanged")
"""Answers of 200, and of 304 to whoever has the ETag."""
FIRST = {"summary": "", "cells": "/cells", "trials": "/trials"}
"""What a reader who opens a study asks for, one after the other."""
SWEEP: dict[str, Any] = {
    "name": "sweep",
    "tasks": [{"data": "digits", "model": "mlp", "epochs": 20, "batch_size": 64}],
    "optimizers": [{"name": "insgd"}, {"name": "sgd", "momentum": 0.9}, {"name": "adam"}],
    "search": {"lr": {"low": 1e-4, "high": 10.0, "points": 50}, "seeds": 100},
}
"""Long enough to outlast the measurements; cancelled with the service."""
START_SECONDS = 600.0
"""Of a service, and of a sweep's first trials, on a machine that is busy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """An answer of a service that has just been started.

    Attributes:
        what: of `FIRST`; or `warnings`, the first summary that has them all.
        sweep: whether another service's worker trained meanwhile.
        seconds: from the first request to the end of this answer.
        kilobytes: of it.
    """

    what: str
    sweep: bool
    seconds: float
    kilobytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """One measurement.

    Attributes:
        kind: of `KINDS`.
        sweep: whether the service's worker trained meanwhile.
        requests: answered.
        per_second: of all clients together.
        median_ms: of the time from request to answer.
        p99_ms: 99 of 100 take less.
        most_ms: the longest.
        swept: trials of the sweep that were finished meanwhile.
    """

    kind: str
    sweep: bool
    requests: int
    per_second: float
    median_ms: float
    p99_ms: float
    most_ms: float
    swept: int


@dataclass(frozen=True, slots=True)
class _Service:
    port: int
    token: str

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: str | None = None,
        **headers: str,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        given = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **headers}
        connection.request(method, f"/api/v1/studies{path}", body, given)
        answer = connection.getresponse()
        return answer, answer.read()

    def complete(self, study: str) -> int:
        return int(self._summary(study)["counts"]["complete"])

    def swept(self) -> bool:
        """Whether trials of the sweep come in."""
        found = self._summary("sweep")
        if found["state"] not in ("queued", "running"):
            raise RobustnessError(
                f"the sweep is {found['state']}: {found['error'] or 'sooner than measured'}"
            )
        return int(found["counts"]["complete"]) > 0

    def _summary(self, study: str) -> dict[str, Any]:
        answer, body = self.ask(self.connect(), "GET", f"/{study}")
        if answer.status != 200:
            raise RobustnessError(f"the service answered {answer.status}: {body.decode()[:500]}")
        found: dict[str, Any] = json.loads(body)
        return found


def measured(
    folder: Path, *, trials: int, seconds: float, clients: int, on_measured: Callable[[], None]
) -> Iterator[Opening | Load]:
    """Measure the opening and each kind of load without a sweep, then with one.

    Args:
        folder: for the store.
        trials: of the study that is asked for.
        seconds: of each measurement.
        clients: that ask at the same time, each by one connection.
        on_measured: called after each, for a progress bar.

    Raises:
        RobustnessError: the service or its sweep did not start.
    """
    fill(folder / "large.db", trials)
    with _served(folder) as service:
        yield from _opened(service, sweep=False)
        on_measured()
        answer, _ = service.ask(service.connect(), "GET", f"/{NAME}")
        etag = answer.headers["etag"]
        for sweep in (False, True):
            if sweep:
                answer, body = service.ask(service.connect(), "POST", "", json.dumps(SWEEP))
                if answer.status != 201:
                    raise RobustnessError(f"the sweep was refused: {answer.status} {body.decode()[:500]}")
                _await(service.swept, "the sweep did not start")
            for kind in KINDS:
                before = service.complete("sweep") if sweep else 0
                headers = {"if-none-match": etag} if kind == "unchanged" else {}
                began = time.perf_counter()
                taken = _taken(service, headers, seconds, clients)
                elapsed = time.perf_counter() - began
                middle, p99 = np.percentile(taken, [50, 99])
                yield Load(
                    kind=kind,
                    sweep=sweep,
                    requests=len(taken),
                    per_second=round(len(taken) / elapsed, 1),
                    median_ms=round(float(middle), 2),
                    p99_ms=round(float(p99), 2),
                    most_ms=round(max(taken), 2),
                    swept=service.complete("sweep") - before if sweep else 0,
                )
                on_measured()
        with _served(folder, "--no-worker") as fresh:
            yield from _opened(fresh, sweep=True)
        on_measured()


def _opened(service: _Service, *, sweep: bool) -> Iterator[Opening]:
    connection = service.connect()
    began = time.perf_counter()

    def asked(what: str, path: str) -> tuple[Opening, bytes]:
        answer, body = service.ask(connection, "GET", f"/{NAME}{path}")
        if answer.status != 200:
            raise RobustnessError(f"the service answered {answer.status}: {body.decode()[:500]}")
        seconds = round(time.perf_counter() - began, 2)
        size = round(len(body) / 1_000, 1)
        return Opening(what=what, sweep=sweep, seconds=seconds, kilobytes=size), body

    for what, path in FIRST.items():
        yield asked(what, path)[0]
    while True:
        opening, body = asked("warnings", "")
        if not json.loads(body)["warnings_pending"]:
            yield opening
            return
        time.sleep(0.1)


def _taken(service: _Service, headers: dict[str, str], seconds: float, clients: int) -> list[float]:
    """Milliseconds of every request of all clients."""
    found: list[list[float]] = [[] for _ in range(clients)]
    end = time.perf_counter() + seconds
    wrong: list[int] = []

    def ask(own: list[float]) -> None:
        connection = service.connect()
        while (began := time.perf_counter()) < end:
            answer, _ = service.ask(connection, "GET", f"/{NAME}", **headers)
            own.append(1_000 * (time.perf_counter() - began))
            if answer.status != (304 if headers else 200):
                wrong.append(answer.status)
                return

    threads = [threading.Thread(target=ask, args=(own,)) for own in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RobustnessError(f"the service answered {wrong[0]}")
    return [value for own in found for value in own]


@contextmanager
def _served(folder: Path, *more: str) -> Iterator[_Service]:
    """`robustness serve`, with more options, as a process of its own."""
    tokens, said = folder / "tokens", folder / f"said{''.join(more)}"
    options = [
        "--store",
        f"sqlite:///{folder / 'large.db'}",
        "--token-file",
        str(tokens),
        "--port",
        "0",
        *more,
    ]
    environment = {
        k: v for k, v in os.environ.items() if k not in ("ROBUSTNESS_TOKEN", "ROBUSTNESS_READ_TOKEN")
    }
    command = [sys.executable, "-m", "robustness.cli", "serve", *options]
    with said.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment)
    try:
        assert process.stdout is not None
        address = process.stdout.readline()
        if not address:
            raise RobustnessError("the service did not start")
        service = _Service(int(address.split("/")[2].rpartition(":")[2]), tokens.read_text().split()[0])
        _await(lambda: _listens(service), "the service does not answer")
        yield service
    except RobustnessError as error:
        raise RobustnessError(f"{error}\n{said.read_text(errors='replace')[-2_000:]}".strip()) from None
    finally:
        process.terminate()
        process.wait()


def _listens(service: _Service) -> bool:
    try:
        service.connect().connect()
    except OSError:
        return False
    return True


def _await(what: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + START_SECONDS
    while not what():
        if time.monotonic() > end:
            raise RobustnessError(otherwise)
        time.sleep(0.5)
