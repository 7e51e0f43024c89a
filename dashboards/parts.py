"""What several pages are made of: badges, progress, tables, pictures with their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html

from robustness.figures import CONFIG
from robustness.tables.layout import TableLayout

from .addresses import api

__all__ = [
    "MOST_ROWS",
    "ago",
    "aria",
    "badge",
    "downloads",
    "duration",
    "layout_table",
    "picture",
    "plain_table",
    "progress",
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


def badge(state: str, *, kind: str = "state") -> html.Span:
    """A word with a mark; its colour says nothing that the word does not."""
    return html.Span(state, className=f"badge {kind}-{state}")


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


def duration(seconds: float) -> str:
    """In the largest unit that says it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def ago(stamp: str) -> html.Time:
    """When something was, as people say it; the exact time on hover."""
    then = datetime.fromisoformat(stamp)
    seconds = (datetime.now(UTC) - then).total_seconds()
    text = "now" if seconds < 2 else f"{duration(seconds)} ago"
    return html.Time(text, dateTime=stamp, title=stamp)


def switch(label: str, choices: Sequence[tuple[str, str, bool]]) -> html.Nav:
    """Links of which one is current: (text, address, current)."""
    return html.Nav(
        [
            html.Span(label, className="label"),
            *(
                dcc.Link(text, href=href, className="current" if current else "")
                if not current
                else html.A(text, href=href, className="current", **_CURRENT)
                for text, href, current in choices
            ),
        ],
        className="switch",
        **aria(label),
    )


def plain_table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, text: int = 1
) -> html.Div:
    """A table; the first `text` columns are flush left, the rest are figures."""
    kinds = ["text" if i < text else "figure" for i in range(len(columns))]
    head = html.Tr(
        [html.Th(name, scope="col", className=kind) for name, kind in zip(columns, kinds, strict=True)]
    )
    body = [
        html.Tr(
            [
                html.Th(entry, scope="row", className=kind) if i == 0 else html.Td(entry, className=kind)
                for i, (entry, kind) in enumerate(zip(row, kinds, strict=True))
            ]
        )
        for row in rows
    ]
    table = html.Table([html.Caption(caption), html.Thead(head), html.Tbody(body)])
    return _scroll(table, caption)


def _scroll(table: Any, label: str, *more: Any) -> html.Div:
    # Whoever scrolls by keyboard must be able to reach it.
    return html.Div([table, *more], className="scroll", tabIndex=0, role="region", **aria(label[:200]))


def layout_table(layout: TableLayout) -> html.Div:
    """A paper-style table as `tables.write_html` writes it, as components."""
    kinds = ["figure" if numeric else "text" for numeric in layout.numeric]
    heads = [
        html.Th(name, scope="col", className=kind) for name, kind in zip(layout.columns, kinds, strict=True)
    ]
    spanned = [html.Tr(list(_spanned(level, len(layout.columns)))) for level in layout.spanners]
    body = [
        html.Tr([_entry(layout, r, c, text, kinds[c]) for c, text in enumerate(row)])
        for r, row in enumerate(layout.rows)
    ]
    notes = [html.P([html.Sup(mark), f" {text}"], className="note") for mark, text in layout.notes]
    table = html.Table(
        [html.Caption(layout.caption), html.Thead([*spanned, html.Tr(heads)]), html.Tbody(body)],
        className="paper",
    )
    return _scroll(table, layout.caption, *notes)


def _spanned(spanners: Sequence[Any], columns: int) -> Iterator[Any]:
    column = 0
    for spanner in spanners:
        if spanner.first > column:
            yield html.Td(colSpan=spanner.first - column)
        yield html.Th(spanner.text, scope="colgroup", colSpan=spanner.last - spanner.first + 1)
        column = spanner.last + 1
    if column < columns:
        yield html.Td(colSpan=columns - column)


def _entry(layout: TableLayout, row: int, column: int, text: str, kind: str) -> Any:
    entry: Any = text
    if (row, column) in layout.bold:
        entry = html.Strong(entry)
    if (row, column) in layout.underlined:
        entry = html.U(entry)
    parts = [entry]
    if mark := layout.marks.get((row, column), ""):
        parts.append(html.Sup(mark))
    if aside := layout.asides.get((row, column), ""):
        parts.append(html.Small(f" {aside}"))
    if column < layout.labels:
        return html.Th(parts, scope="row", className=kind)
    return html.Td(parts, className=kind)


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
    rows = list(itertools.islice(_rows(figure), MOST_ROWS + 1))
    more = " (the first rows; all are in the downloads)" if len(rows) > MOST_ROWS else ""
    x = next((str(a.title.text) for a in figure.select_xaxes() if a.title.text), "x")
    table: html.Div = plain_table(f"Points of the picture{more}", ("line", x, "value"), rows[:MOST_ROWS])
    return table


def _rows(figure: go.Figure) -> Iterator[tuple[str, str, str]]:
    name = ""
    for trace in figure.data:
        name = trace.name or name
        if trace.hoverinfo == "skip" or trace.x is None or trace.y is None:
            continue
        logs = _logarithmic(figure, trace)
        for x, y in zip(trace.x, trace.y, strict=False):
            yield name, _number(x, log=logs), _number(y, log=False)


def _logarithmic(figure: go.Figure, trace: Any) -> bool:
    """Whether the axis has powers of ten as its labels: the points are then their exponents."""
    axis = figure.layout[f"xaxis{(trace.xaxis or 'x')[1:]}"]
    return (
        bool(axis.title.text is None or "learning rate" in str(axis.title.text)) and axis.tickvals is not None
    )


def _number(value: Any, *, log: bool) -> str:
    if isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "–"
    return f"{10**number:.4g}" if log else f"{number:.4g}"


def downloads(study: str, figure: str, **query: str | None) -> html.P:
    """Links to a figure in every format."""
    links = [
        html.A(kind.upper(), href=api(study, f"/figures/{figure}", format=kind, **query), download="")
        for kind in _FIGURE_FORMATS
    ]
    return html.P(["Download: ", *_spaced(links)], className="downloads")


def _spaced(links: Sequence[Any]) -> Iterator[Any]:
    for place, link in enumerate(links):
        yield from ([" "] if place else [])
        yield link
