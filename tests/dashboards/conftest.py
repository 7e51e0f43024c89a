"""A store with studies, the service with its pages, and a browser that reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from robustness.service import Token
from robustness.store import lease as leases
from robustness.store import open_store
from tests.browser import PATIENCE_MS, require_chromium
from tests.builders import dead_epoch, epoch, record, save, trials
from tests.service.live import WRITE, Live, fill, live

OTHER: dict[str, Any] = {
    "name": "other",
    "title": "Another study",
    "task": {"epochs": 3},  # else its trials would be those of `filled`
    "optimizers": [{"name": "sgd", "label": "plain"}, {"name": "adam"}],
    "search": {"lr": [0.01, 0.1, 1.0], "init": ["default", "orthogonal"], "seeds": 3},
}

LISTENS = """() => {
  const drawing = document.querySelector("#heatmap .js-plotly-plot");
  return drawing?._ev?.listenerCount("plotly_click") > 0 && !drawing.classList.contains("dash-graph--pending");
}"""
"""The heatmap answers clicks: Dash begins to listen some time after Plotly has drawn."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=require_chromium(),
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Two studies, `filled` of the service's tests and a complete one."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch, open_store(str(folder / "store.db"), create=True) as store:
        patch.setattr(leases, "LEASE_SECONDS", 3_600.0)
        fill(store)
        held = store.acquire(save(store, **OTHER))
        for trial in trials(**OTHER):
            if trial.cell.lr == 1.0 and trial.cell.optimizer.name == "adam":
                store.finish(held, [record(trial, epoch(1), dead_epoch(2), step=30)])
            else:
                store.finish(held, [record(trial, epoch(1), epoch(2))])
        store.release(held)
        with live(store, folder, pages=True) as found:
            yield found


@contextmanager
def visiting(
    browser: Browser, url: str, token: Token | None = WRITE, *, complaints: int = 0, **options: Any
) -> Iterator[Page]:
    """A page that is logged in; what it asked of other sites, and what its console complained of, fail the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    foreign: list[str] = []
    said: list[str] = []
    page.on(
        "request",
        lambda asked: (
            foreign.append(asked.url) if not asked.url.startswith((url, "data:", "blob:")) else None
        ),
    )
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    if token is not None:
        page.goto(f"{url}/login")
        page.get_by_label("Token").fill(token.secret)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{url}/")
    yield page
    context.close()
    assert not foreign
    assert len(said) == complaints, said


@pytest.fixture
def page(browser: Browser, served: Live) -> Iterator[Page]:
    with visiting(browser, served.url) as found:
        yield found


def ready(page: Page) -> None:
    """Every section is filled."""
    page.wait_for_load_state()
    page.locator("main h1").first.wait_for()
    page.locator(".wait").first.wait_for(state="detached")


def click_panel(page: Page, panel: int, x: float, y: float) -> None:
    """Click a panel of the heatmap at a share of its width, from the left, and of its height, from the top."""
    page.wait_for_function(LISTENS)
    squares = page.locator("#heatmap .nsewdrag").nth(panel)
    box = squares.bounding_box()
    assert box is not None
    # By its name once more: a drawing that came meanwhile has put another element in this one's place.
    squares.click(position={"x": x * box["width"], "y": y * box["height"]})
