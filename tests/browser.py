"""Debian's Chromium, headless and without a network."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.waiting import PATIENCE

__all__ = ["PATIENCE_MS", "open_page", "rendered", "require_chromium"]

PATIENCE_MS = 120_000
"""Milliseconds that a page may take to show anything; Playwright's own are 5,000, too few on a busy machine."""
expect.set_options(timeout=PATIENCE_MS)


def require_chromium() -> str:
    """Its path; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed (make system-packages)")
    return found


def rendered(page: Path, profile: Path) -> tuple[str, str]:
    """The document after its scripts ran, and what was logged; any request but for files fails."""
    command = [
        require_chromium(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
        "--v=0",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout, done.stderr


@contextmanager
def open_page() -> Iterator[Page]:
    """A page to click on, which reaches this machine alone."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=require_chromium(),
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 1200})
            page.set_default_timeout(PATIENCE_MS)
            yield page
        finally:
            browser.close()
