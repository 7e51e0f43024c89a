"""A service on a real socket, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from robustness.service import Access, Role, Settings, Sites, Token, Tokens, create_app
from robustness.store import Store
from tests.builders import dead_epoch, epoch, record, save, trials
from tests.waiting import PATIENCE

WRITE, READ = Token("w" * 32, Role.WRITE, "writer"), Token("r" * 32, Role.READ, "reader")
HOSTILE = "<img src=x onerror=alert(1)> =cmd| 100 %"
FILLED: dict[str, Any] = {
    "name": "filled",
    "title": HOSTILE,
    "question": HOSTILE,
    "optimizers": [{"name": "sgd", "label": "=cmd|sgd"}, {"name": "adam"}],
    "search": {"lr": [0.1, 1.0], "init": ["default"], "seeds": 3},
}


@dataclass(frozen=True)
class Live:
    """A service that answers."""

    app: FastAPI
    store: Store
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: Token | None = WRITE, **headers: str) -> httpx.Client:
        given = {"authorization": f"Bearer {token.secret}"} if token is not None else {}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers={**given, **headers}, timeout=PATIENCE)


@contextmanager
def live(store: Store, data: Path, *, pages: bool = False, **limits: int) -> Iterator[Live]:
    """The service of a store; its pages take two seconds to import."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        sites = Sites.of("127.0.0.1", port, tls=False)
        access = Access(tokens=Tokens([WRITE, READ]), sites=sites, reading_posts=("/_dash-update-component",))
        app = create_app(store, access, Settings(data=data, **limits))
        if pages:
            from robustness.dashboards import add_pages

            add_pages(app)
        config = uvicorn.Config(app, log_level="warning", ws="websockets-sansio", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Live(app, store, port)
        server.should_exit = True
        thread.join()


def fill(store: Store) -> None:
    """A study of which half diverged, one trial failed to run and one waits; losses that are not finite."""
    held = store.acquire(save(store, **FILLED))
    for trial in trials(**FILLED)[:-1]:
        if trial.cell.lr == 1.0:
            store.finish(held, [record(trial, epoch(1, train_loss_max=float("inf")), dead_epoch(2), step=30)])
        else:
            store.finish(held, [record(trial, epoch(1), epoch(2))])
    store.release(held)
