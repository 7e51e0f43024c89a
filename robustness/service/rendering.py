"""Tables, figures and reports as files for a browser."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustness.figures import CONFIG, FIGURES, Request
from robustness.figures.export import numbers_csv, write_all
from robustness.figures.gallery import info, parse_cell, task_labels
from robustness.figures.style import SIZES
from robustness.report import write_report
from robustness.service.answers import Answer
from robustness.store import Store
from robustness.summary import Study, check_begun
from robustness.tables import standard_table, write_csv, write_html, write_latex, write_markdown

__all__ = ["FIGURE_MEDIA", "TABLES", "TABLE_MEDIA", "FigureQuery", "figure", "report", "table"]

# Plotly's own script is in the file, and nothing else: the page has no origin, no cookie and no network.
_SANDBOX = {
    "content-security-policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
}


def _csv(study: Study) -> str:
    return write_csv(study.grid.squares)


TABLES: dict[str, tuple[str, str, Callable[[Study], str]]] = {
    "html": ("text/html; charset=utf-8", "html", lambda study: write_html(standard_table(study))),
    "markdown": ("text/markdown; charset=utf-8", "md", lambda study: write_markdown(standard_table(study))),
    "latex": ("application/x-tex; charset=utf-8", "tex", lambda study: write_latex(standard_table(study))),
    "csv": ("text/csv; charset=utf-8", "csv", _csv),
}
"""Media type, ending and writer of each format."""
TABLE_MEDIA = {media.partition(";")[0]: "text" for media, _, _ in TABLES.values()}
_FIGURES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
}
FIGURE_MEDIA = {media.partition(";")[0]: "binary" for media in _FIGURES.values() if "json" not in media}


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureQuery:
    """Which figure, of what, as what."""

    name: str
    format: str
    task: str | None
    a: str | None
    b: str | None
    cell: str | None
    size: str


def _named(study: Study, what: str, ending: str) -> dict[str, str]:
    # A study's name is an id, and needs no escape.
    return {"content-disposition": f'inline; filename="{study.name}-{what}.{ending}"'}


def table(study: Study, format_: str) -> Answer:
    """The study's table in a format of `TABLES`.

    Raises:
        SpecError: it has no trials yet.
    """
    check_begun(study)
    media, ending, write = TABLES[format_]
    return Answer.of(write(study), media, _named(study, "table", ending))


def figure(study: Study, store: Store, asked: FigureQuery) -> Answer:
    """A figure.

    Raises:
        SpecError: no such figure, task, optimizer or cell; the study has none; no Chromium, and the format needs one.
    """
    task = task_labels(study, [] if asked.task is None else [asked.task])[0]
    cell = parse_cell(study, task, asked.cell) if asked.cell is not None else None
    request = Request(
        study=study, task=task, a=asked.a, b=asked.b, cell=cell, store=store, size=SIZES[asked.size]
    )
    numbers = info(asked.name, request)
    media, named = _FIGURES[asked.format], _named(study, asked.name, asked.format)
    if asked.format == "csv":
        return Answer.of(numbers_csv(numbers.frame()), media, named)
    drawn = FIGURES[asked.name].draw(numbers, request.size)
    if asked.format == "json":
        return Answer.of(drawn.to_json(), media)
    if asked.format == "html":
        # Without its id, which is drawn at random: the same figure has the same ETag.
        page = drawn.to_html(include_plotlyjs=True, full_html=True, config=CONFIG, div_id="figure")
        return Answer.of(page, media, {**named, **_SANDBOX})
    return Answer.of(_image(drawn, asked.format), media, {**named, **_SANDBOX})


def _image(drawn: Any, ending: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="robustness-figure-") as folder:
        [path] = write_all([(drawn, Path(folder) / f"figure.{ending}")])
        return path.read_bytes()


def report(study: Study, store: Store) -> Answer:
    """The study's report.

    Raises:
        SpecError: it has no trials yet.
    """
    with tempfile.TemporaryDirectory(prefix="robustness-report-") as folder:
        path = Path(folder) / "report.html"
        write_report(study, path, store)
        return Answer.of(
            path.read_bytes(), "text/html; charset=utf-8", {**_named(study, "report", "html"), **_SANDBOX}
        )
