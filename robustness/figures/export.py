"""Figures to files: SVG, PDF and PNG by a browser, HTML without one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import plotly.graph_objects as go

from robustness.errors import RobustnessError, SpecError
from robustness.figures.style import CONFIG, SIZES

__all__ = ["FORMATS", "IMAGES", "require_browser", "write_all"]

IMAGES = ("svg", "pdf", "png")
FORMATS = (*IMAGES, "html")


def require_browser() -> None:
    """Check that pictures can be made here, before any work.

    Raises:
        SpecError: no Chromium.
    """
    from choreographer.browsers.chromium import Chromium

    named = os.environ.get("BROWSER_PATH")
    if not (os.access(named, os.X_OK) if named else Chromium.find_browser(skip_local=False)):
        raise SpecError.of(
            "--formats",
            "svg, pdf and png need a Chromium, and there is none on this machine: install one (apt-get install "
            "chromium, or kaleido_get_chrome), name it in BROWSER_PATH, or ask for html",
        )


def write_all(jobs: Iterable[tuple[go.Figure, Path]]) -> Iterator[Path]:
    """Write each figure to its file, in the format that the file's name ends with; yields what is written.

    One browser serves all of them: starting it takes longer than a figure.

    Raises:
        SpecError: no Chromium, and a file needs it.
        RobustnessError: a figure could not be drawn or written.
    """
    with asyncio.Runner() as runner:
        browser = None
        try:
            for figure, path in jobs:
                if path.suffix == ".html":
                    figure.write_html(path, include_plotlyjs=True, full_html=True, config=CONFIG)
                else:
                    if browser is None:
                        require_browser()
                        browser = _browser()
                        runner.run(browser.open())
                    path.write_bytes(runner.run(_image(browser, figure, path)))
                yield path
        finally:
            if browser is not None:
                runner.run(browser.close())


def _browser() -> object:
    from kaleido import Kaleido, PageGenerator

    # MathJax is fetched from the network, and would read a user's dollars as mathematics.
    page = PageGenerator(mathjax=False)
    # Kaleido asks for margins of a tenth of an inch, which cuts that much off the right and the bottom of a PDF.
    page.header += "<style>@page { margin: 0 }</style>"
    return Kaleido(n=1, page_generator=page)


async def _image(browser: object, figure: go.Figure, path: Path) -> bytes:
    format_ = path.suffix[1:]
    width, height = figure.layout.width, figure.layout.height
    scale = next((size.scale for size in SIZES.values() if size.width == width), 2.0)
    options = {"format": format_, "width": width, "height": height, "scale": scale if format_ == "png" else 1}
    try:
        found: bytes = await browser.calc_fig(figure.to_dict(), opts=options)  # type: ignore[attr-defined]
    except Exception as error:
        raise RobustnessError(f"{path}: the browser could not draw it: {error}") from error
    return found
