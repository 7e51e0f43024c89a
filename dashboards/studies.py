"""The list of studies: state, progress, rate, and which trial became not finite last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, html, no_update

from robustness.service import Reader
from robustness.service.kept import Kept
from robustness.service.reading import ROWS_KEPT
from robustness.store import Standing
from robustness.store.activity import last_nonfinite

from .addresses import COMPARE, NEW, query_of
from .raw import raw, rendered
from .sections import Sections

__all__ = ["add_callbacks", "layout"]

SECONDS = 2.0
"""Between two looks at the store."""
MOST = 100
"""Studies on the page; more are found by their names."""


def layout(search: str) -> html.Div:
    """The page, empty; the address has what is looked for."""
    return html.Div(
        [
            html.H1("Studies"),
            html.Div(
                [
                    html.Label("Find", htmlFor="find"),
                    dcc.Input(
                        id="find",
                        type="search",
                        value=_wanted(search),
                        placeholder="part of a name or title",
                        debounce=0.3,
                    ),
                    html.A("New study", href=NEW, className="button"),
                ],
                className="toolbar",
            ),
            dcc.Interval(id="studies-tick", interval=1_000 * SECONDS),
            dcc.Store(id="studies-seen"),
            html.Div(html.P("Reading the store…", className="wait"), id="studies-list"),
        ]
    )


def _wanted(search: str | None) -> str:
    return query_of(search).get("q", "")


def add_callbacks(sections: Sections) -> None:
    """Fill the list while the page is open."""
    reader = sections.reader
    divergences = _Divergences(reader)

    @sections.answer(
        Output("studies-list", "children"),
        Output("studies-seen", "data"),
        Input("studies-tick", "n_intervals"),
        Input("url", "search"),
        State("studies-seen", "data"),
    )
    def fill(_: int | None, search: str | None, seen: str | None) -> Any:
        part = _wanted(search)
        found = reader.named(part)
        # What runs first, then the newest.
        found.sort(key=lambda s: s.updated_at, reverse=True)
        found.sort(key=lambda s: s.stopped)
        rows = [(reader.row(standing), divergences.last(standing)) for standing in found[:MOST]]
        now = json.dumps([part, rows], default=str)
        if now == seen:
            return no_update, no_update
        return _list(rows, len(found), part), now

    sections.app.clientside_callback(
        ClientsideFunction("robustness", "find"),
        Output("url", "search", allow_duplicate=True),
        Input("find", "value"),
        prevent_initial_call=True,
    )


def _list(rows: list[tuple[dict[str, Any], Mapping[str, Any] | None]], total: int, part: str) -> Any:
    if not rows:
        if part:
            return html.P("No study has that in its name or title.")
        return html.P(["There are no studies yet. ", html.A("Launch the first one", href=NEW), "."])
    shown: list[Any] = [raw(rendered("studies", rows=rows))]
    if total > len(rows):
        shown.append(html.P(f"{len(rows)} of {total:,} studies; find the others by name."))
    if total > 1:
        shown.append(html.P(html.A("Compare two studies", href=COMPARE)))
    return shown


class _Divergences:
    """The trial of each study that became not finite last; looked up once a change, and not at every one."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: Kept[int, tuple[Any, Mapping[str, Any] | None]] = Kept(ROWS_KEPT)

    def last(self, standing: Standing) -> Mapping[str, Any] | None:
        # Counts are as old as the reader lets them be, and this is as old as they.
        progress = self._reader.progress(standing)
        known = self._known.get(standing.id)
        if known is None or known[0] is not progress:
            known = (progress, last_nonfinite(self._reader.store, standing.id))
            self._known.put(standing.id, known)
        return known[1]
