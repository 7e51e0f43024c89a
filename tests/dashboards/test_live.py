"""A study from the page that launches it to the curve of one of its trials: a real service, worker, Ray and browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from robustness.service import Role, Token
from tests.dashboards.conftest import click_panel, ready, visiting
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.cluster, pytest.mark.slow]

TOKEN = Token("t" * 40, Role.WRITE, "operator")
RUN_MS = 1_000 * PATIENCE
"""Milliseconds that a study may take, with the start of its Ray."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`robustness serve`, with the worker that it starts."""
    folder: Path = tmp_path_factory.mktemp("service")
    command = [sys.executable, "-m", "robustness.cli", "serve", "--port", "0", "--data", str(folder)]
    environment = {
        **os.environ,
        "ROBUSTNESS_TOKEN": TOKEN.secret,
        "ROBUSTNESS_STORE": f"sqlite:///{folder / 'store.db'}",
        "ROBUSTNESS_CHECKPOINTS": str(folder),
        "HOME": str(folder),
    }
    environment.pop("RAY_ADDRESS", None)
    with (folder / "log").open("w") as log:
        service = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert service.stdout is not None
        yield service.stdout.readline().strip().rstrip("/")
        service.terminate()
        assert service.wait(PATIENCE) == 0


@pytest.fixture(scope="module")
def page(browser: Browser, url: str) -> Iterator[Page]:
    with visiting(browser, url, TOKEN) as found:
        yield found


def launch(page: Page, url: str, change: dict[str, str]) -> None:
    page.goto(f"{url}/new")
    ready(page)
    spec = page.get_by_label("Spec")
    text = spec.input_value()
    for before, after in change.items():
        assert before in text
        text = text.replace(before, after)
    spec.fill(text)
    expect(page.get_by_role("button", name="Launch")).to_be_enabled()
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(f"{url}/studies/"))


def test_the_quickstart_is_launched_fills_in_and_leads_to_a_curve_that_it_trained(
    page: Page, url: str
) -> None:
    launch(page, url, {})
    heading = page.locator("h1")
    expect(heading).to_contain_text("running", timeout=RUN_MS)
    # While it runs, without a reload: squares appear.
    expect(page.locator("#study-head .progress")).to_contain_text(
        re.compile("[1-9][0-9]* of 1,280"), timeout=RUN_MS
    )
    expect(page.locator("#heatmap .textpoint").first).to_be_visible(timeout=RUN_MS)
    expect(heading).to_contain_text("complete", timeout=RUN_MS)
    expect(page.locator("#answer")).to_contain_text("The study's claim: On digits mlp, insgd")
    # The last drawing comes after the word: until then squares are not whole, and are about to be replaced.
    whole = page.locator("#heatmap-section tbody td:nth-child(2)", has_text=re.compile("^5$"))
    expect(whole).to_have_count(256)
    expect(page.locator("#heatmap")).to_contain_text("0/5")

    # sgd; its highest learning rate, the last initialization
    click_panel(page, 1, 0.985, 0.9)
    rows = page.locator("#trials-section tbody tr")
    expect(rows).to_have_count(5)
    expect(page.locator("#trials-section h2")).to_contain_text("sgd, learning rate 10, normal std=2 (bad)")
    page.get_by_role("link", name="seed 3").click()
    expect(page.locator("#curve-section .step")).to_contain_text(
        "All losses and parameter norms were finite."
    )
    page.locator("#curve-section summary").click()
    shown = page.locator("#curve-section tbody tr").last.inner_text().split()
    deep = page.url

    with httpx.Client(
        base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {TOKEN.secret}"}
    ) as client:
        asked: dict[str, str | int] = {"optimizer": "sgd", "lr": 10, "init": "normal std=2 (bad)"}
        trials = client.get("/studies/quickstart/trials", params=asked).json()["items"]
        [trained] = [trial for trial in trials if trial["seed_index"] == 3]
        assert trained["key"] in deep
        assert shown[:2] == ["10", f"{trained['train_loss']:.4g}"]
        latex = client.get("/studies/quickstart/table", params={"format": "latex"}).text
    page.get_by_role("button", name="Copy as LaTeX").click()
    expect(page.locator("#said")).to_contain_text("clipboard")
    assert page.evaluate("navigator.clipboard.readText()") == latex

    page.goto(f"{url}/")
    page.goto(deep)
    expect(page.locator("#curve-section h2")).to_contain_text("seed 3")


def test_a_running_study_is_cancelled_from_its_page_and_keeps_what_it_has(page: Page, url: str) -> None:
    launch(page, url, {'"quickstart"': '"long"', "epochs = 10": "epochs = 400", "seeds = 5": "seeds = 40"})
    expect(page.locator("h1")).to_contain_text("running", timeout=RUN_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1")).to_contain_text("cancelled", timeout=RUN_MS)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
