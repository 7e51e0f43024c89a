"""What several pages are made of: badges, progress, tables, pictures with their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html

from robustness.figures import CONFIG, Request
from robustness.figures.gallery import task_labels
from robustness.figures.style import SIZES
from robustness.service import Reader
from robustness.summary import Study
from robustness.tables import write_html
from robustness.tables.layout import TableLayout

from .addresses import View, api
from .numbers import columns, points
from .raw import raw, rendered

__all__ = [
    "MOST_ROWS",
    "aria",
    "badge",
    "downloads",
    "layout_table",
    "picture",
    "plain_table",
    "progress",
    "request_of",
    "spaced",
    "switch",
]

_CURRENT: Any = {"aria-current": "true"}
_CONFIG: Any = {**CONFIG, "responsive": False, "displayModeBar": False}
MOST_ROWS = 600
"""Rows of the numbers under a picture; the whole is in the downloads."""
_FIGURE_FORMATS = ("svg", "pdf", "png", "html", "json")


def aria(label: str) -> Any:
    """What a screen reader calls an element: `**aria("Pages")`; Dash knows such attributes by no name."""
    return {"aria-label": label}


def badge(state: str) -> html.Span:
    """A word with a mark; its colour says nothing that the word does not."""
    return html.Span(state, className=f"badge state-{state}")


def progress(done: int, total: int, label: str) -> html.Div:
    """A bar with its numbers."""
    share = done / total if total else 0.0
    return html.Div(
        [
            html.Progress(value=str(done), max=str(max(total, 1)), **aria(label)),
            html.Span(f"{done:,} of {total:,} trials ({100 * share:.0f} %)", className="figure"),
        ],
        className="progress",
    )


def switch(label: str, choices: Sequence[tuple[str, str, bool]]) -> html.Nav:
    """Links of which one is current: (text, address, current)."""
    return html.Nav(
        [
            html.Span(label, className="label"),
            *(html.A(text, href=href, **(_CURRENT if current else {})) for text, href, current in choices),
        ],
        className="switch",
        **aria(label),
    )


def plain_table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[Any]], *, text: int = 1
) -> html.Div:
    """A table; the first `text` columns are flush left, the rest are figures."""
    kinds = ["text" if i < text else "figure" for i in range(len(heads))]
    return _scrolled(rendered("table", caption=caption, columns=heads, rows=rows, kinds=kinds), caption)


def layout_table(layout: TableLayout) -> html.Div:
    """A paper-style table."""
    return _scrolled(write_html(layout), layout.caption, "paper")


def _scrolled(text: str, label: str, kind: str = "") -> html.Div:
    # Whoever scrolls by keyboard must be able to reach it.
    return raw(text, className=f"scroll {kind}".strip(), tabIndex=0, role="region", **aria(label[:200]))


def request_of(reader: Reader, study: Study, view: View, *, narrow: bool) -> Request:
    """What a view asks the gallery to draw.

    Raises:
        SpecError: the study has no such task.
    """
    return Request(
        study=study,
        task=task_labels(study, [] if view.task is None else [view.task])[0],
        a=view.a,
        b=view.b,
        store=reader.store,
        size=SIZES["column" if narrow else "page"],
    )


def picture(figure: go.Figure, name: str, *, numbers: Any = None) -> html.Figure:
    """A figure, with its numbers as a table for whoever cannot see or point at it.

    Args:
        figure: drawn.
        name: the element's id.
        numbers: the table; that of the figure's own points by default.
    """
    figure.update_layout(uirevision=name)
    graph = dcc.Graph(
        id=name,
        figure=figure,
        config=_CONFIG,
        className="plot",
    )
    table = numbers if numbers is not None else _points(figure)
    return html.Figure([graph, html.Details([html.Summary("The same as a table"), table])])


def _points(figure: go.Figure) -> html.Div:
    rows = list(itertools.islice(points(figure), MOST_ROWS + 1))
    more = " (the first rows; all are in the downloads)" if len(rows) > MOST_ROWS else ""
    return plain_table(f"Points of the picture{more}", columns(figure), rows[:MOST_ROWS], text=2)


def downloads(study: str, figure: str, **query: str | None) -> html.P:
    """Links to a figure in every format."""
    links = [
        html.A(kind.upper(), href=api(study, f"/figures/{figure}", format=kind, **query), download="")
        for kind in _FIGURE_FORMATS
    ]
    return html.P(["Download: ", *spaced(links)], className="downloads")


def spaced(links: Sequence[Any]) -> Iterator[Any]:
    """Links in a line of text."""
    for place, link in enumerate(links):
        yield from ([" "] if place else [])
        yield link
