"""Figures to files: SVG, PDF and PNG by a browser, HTML without one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from robustness.errors import RobustnessError, SpecError, writing
from robustness.figures.style import CONFIG, SIZES, still
from robustness.spreadsheets import defuse

__all__ = ["FORMATS", "IMAGES", "browser_path", "numbers_csv", "write_all"]

IMAGES = ("svg", "pdf", "png")
FORMATS = (*IMAGES, "html", "csv")
_AHEAD = 3
"""Figures drawn while the browser is busy: more would only fill memory."""
STARTS_WITHIN, CLOSES_WITHIN = 60.0, 10.0
DRAWS_WITHIN = 360.0
"""Seconds for a browser to start, to close, and for a figure with those ahead of it.

Now and then a browser starts and never answers; Kaleido would wait for it for ever.
"""


def browser_path(option: str) -> str:
    """The Chromium that draws pictures, before any work.

    Args:
        option: of the command line that needs it.

    Raises:
        SpecError: there is none.
    """
    from choreographer.browsers.chromium import Chromium

    named = os.environ.get("BROWSER_PATH")
    found = named if named and os.access(named, os.X_OK) else None
    found = Chromium.find_browser(skip_local=False) if named is None else found
    if not found:
        raise SpecError.of(
            option,
            "needs a Chromium for svg, pdf and png, and there is none on this machine: install one (apt-get install "
            "chromium, or kaleido_get_chrome), name it in BROWSER_PATH, or ask for html",
        )
    return str(found)


def write_all(
    jobs: Iterable[tuple[go.Figure | pd.DataFrame, Path]], *, early: bool = False
) -> Iterator[Path]:
    """Write each figure to its file, in the format that the file's name ends with; yields what is written.

    One browser serves all of them, as starting it takes longer than a figure; and it works on one while the next is
    drawn.

    Args:
        jobs: figures, or the numbers of one for a CSV, and their files.
        early: start the browser before the first figure is drawn: some file will need it.

    Raises:
        SpecError: no Chromium, and a file needs it.
        RobustnessError: a figure could not be drawn, or its file not written.
    """
    with _Browser() as browser:
        if early:
            browser.start()
        waiting: list[tuple[Path, Future[bytes]]] = []
        for figure, path in jobs:
            if isinstance(figure, pd.DataFrame):
                with writing(path):
                    path.write_text(numbers_csv(figure), encoding="utf-8")
                yield path
                continue
            if path.suffix == ".html":
                with writing(path):
                    figure.write_html(path, include_plotlyjs=True, full_html=True, config=CONFIG)
                yield path
                continue
            waiting.append((path, browser.image(figure, path.suffix[1:])))
            if len(waiting) > _AHEAD:
                yield _written(*waiting.pop(0))
        for path, image in waiting:
            yield _written(path, image)


def numbers_csv(frame: pd.DataFrame) -> str:
    """The numbers of a figure, `Info.frame`, as CSV: floats to full precision, formulas defused."""
    shown = frame.copy()
    for column in shown.select_dtypes(["object", "string"]):
        shown[column] = shown[column].map(defuse)
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text


def _written(path: Path, image: Future[bytes]) -> Path:
    try:
        found = image.result()
    except Exception as error:
        raise RobustnessError(f"{path}: the browser could not draw it: {error}") from error
    with writing(path):
        path.write_bytes(found)
    return path


class _Browser:
    """Kaleido in a thread of its own, started when the first image is asked for."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: Future[Any] = Future()
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _Browser:
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            wait([self._opened])  # closing what is still opening would leave a browser behind
            if self._opened.exception() is None:
                asyncio.run_coroutine_threadsafe(_close(self._opened.result()), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def image(self, figure: go.Figure, format_: str) -> Future[bytes]:
        """The picture's bytes, some time."""
        self.start()
        assert self._loop is not None
        plain = still(figure)
        width, height = plain["layout"]["width"], plain["layout"]["height"]
        scale = next((size.scale for size in SIZES.values() if size.width == width), 2.0)
        options = {"format": format_, "width": width, "height": height}
        options["scale"] = scale if format_ == "png" else 1
        return asyncio.run_coroutine_threadsafe(self._calculated(plain, options), self._loop)

    async def _calculated(self, plain: dict[str, Any], options: dict[str, Any]) -> bytes:
        kaleido = await asyncio.wrap_future(self._opened)
        found: bytes = await asyncio.wait_for(kaleido.calc_fig(plain, opts=options), DRAWS_WITHIN)
        return found

    def start(self) -> None:
        """Start it, and do not wait for it."""
        if self._loop is not None:
            return
        browser_path("--formats")
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._opened = asyncio.run_coroutine_threadsafe(_open(), self._loop)

    def _serve(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _open() -> Any:
    """A browser that answers; the second one, where the first does not."""
    from choreographer.errors import BrowserClosedError, BrowserFailedError
    from kaleido import Kaleido, PageGenerator

    # MathJax is fetched from the network, and would read a user's dollars as mathematics.
    page = PageGenerator(mathjax=False)
    # Kaleido asks for margins of a tenth of an inch, which cuts that much off the right and the bottom of a PDF.
    page.header += "<style>@page { margin: 0 }</style>"
    for _ in range(2):
        kaleido = Kaleido(n=1, page_generator=page)
        try:
            await asyncio.wait_for(kaleido.open(), STARTS_WITHIN)
        except (TimeoutError, BrowserFailedError, BrowserClosedError) as error:
            await _close(kaleido)
            failure = error
        else:
            return kaleido
    raise RobustnessError(
        f"the browser did not start within {STARTS_WITHIN:g} s, twice: {failure}"
    ) from failure


async def _close(kaleido: Any) -> None:
    """Close a browser, which may not answer any more: given up, Kaleido ends its process."""
    with suppress(TimeoutError):
        await asyncio.wait_for(kaleido.close(), CLOSES_WITHIN)
