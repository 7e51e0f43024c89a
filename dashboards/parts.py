"""What several pages are made of: badges, progress, tables, pictures with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
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
from .raw import raw, rendered

__all__ = [
    "MOST_ROWS",
    "aria",
    "badge",
    "downloads",
    "frame_table",
    "layout_table",
    "picture",
    "plain_table",
    "progress",
    "request_of",
    "short",
    "spaced",
    "switch",
]

_CURRENT: Any = {"aria-current": "true"}
_CONFIG: Any = {**CONFIG, "responsive": False, "displayModeBar": False}
MOST_ROWS = 600
"""Rows of the numbers under a picture; the whole is in the downloads."""
_FIGURE_FORMATS = ("svg", "pdf", "png", "html", "json", "csv")


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


def picture(figure: go.Figure, name: str, numbers: Any) -> html.Figure:
    """A figure, with its numbers as a table for whoever cannot see or point at it.

    Args:
        figure: drawn.
        name: the element's id.
        numbers: the table; of the figure's own `Info.frame` by `frame_table`.
    """
    figure.update_layout(uirevision=name)
    graph = dcc.Graph(
        id=name,
        figure=figure,
        config=_CONFIG,
        className="plot",
    )
    return html.Figure([graph, html.Details([html.Summary("The same as a table"), numbers])])


def frame_table(frame: pd.DataFrame, caption: str) -> html.Div:
    """The numbers of a figure, `Info.frame`: texts first, at most `MOST_ROWS` rows."""
    texts = [column for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
    ordered = frame[[*texts, *frame.columns.difference(texts, sort=False)]]
    more = (
        f" (the first {MOST_ROWS} of {len(frame):,} rows; all are in the CSV)"
        if len(frame) > MOST_ROWS
        else ""
    )
    rows = [
        [short(value) for value in row]
        for row in ordered.head(MOST_ROWS).astype(object).itertuples(index=False, name=None)
    ]
    heads = [str(column).replace("_", " ") for column in ordered]
    return plain_table(f"{caption}{more}", heads, rows, text=len(texts))


def short(value: Any) -> str:
    """A number to four digits; a dash where there is none."""
    if value is None or value is pd.NA or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
