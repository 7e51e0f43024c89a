"""A report on paper: the same page, printed by a browser."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from robustness.errors import RobustnessError
from robustness.figures.export import browser_path

__all__ = ["print_pdf"]

SECONDS = 120


def print_pdf(page: Path, target: Path) -> None:
    """Print an HTML file.

    Raises:
        SpecError: no Chromium on this machine.
        RobustnessError: it could not print.
    """
    with tempfile.TemporaryDirectory(prefix="robustness-pdf-") as folder:
        command = [
            browser_path("--pdf"),
            "--headless",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}",
            "--virtual-time-budget=60000",
            f"--print-to-pdf={target.absolute()}",
            page.absolute().as_uri(),
        ]
        if os.name == "posix" and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium's sandbox refuses to start for root
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise RobustnessError(f"{target}: the browser did not print within {SECONDS} s") from None
        if done.returncode or not target.exists():
            raise RobustnessError(f"{target}: the browser could not print: {done.stderr.strip()[-400:]}")
