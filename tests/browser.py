"""Debian's Chromium, headless and without a network."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


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
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr
