"""A study's page: how far it is, its answer, its heatmap down to a trial's curve, its tables, its spec."""

from __future__ import annotations

import json
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, html, no_update
from markupsafe import Markup

from . import heatmaps, results, trials
from .addresses import STUDIES, api, study_named
from .parts import badge, progress
from .raw import raw, rendered
from .sections import Sections

__all__ = ["add_callbacks", "layout"]

QUICK, SLOW = 2.0, 15.0
"""Seconds between two looks at a study: the second of a large one, which takes seconds to read."""
LARGE = 20_000


def layout(name: str) -> html.Div:
    """The page of one study, empty."""
    return html.Div(
        [
            dcc.Interval(id="study-tick", interval=1_000 * QUICK),
            dcc.Store(id="study-seen"),
            dcc.Store(id="revision"),
            dcc.Store(id="settled"),
            html.Div([html.H1(name), _wait("Reading the study…")], id="study-head"),
            html.Div(id="study-actions", children=_buttons(name, "", cancelling=False), hidden=True),
            html.Section([html.H2("Answer"), html.Div(_wait("Computing…"), id="answer")]),
            html.Section([html.H2("Heatmap"), html.Div(_wait("Drawing…"), id="heatmap-section")]),
            html.Section(id="trials-section", tabIndex=-1),
            html.Section(id="curve-section", tabIndex=-1),
            html.Section([html.H2("More figures"), html.Div(_wait("Drawing…"), id="figures-section")]),
            html.Section([html.H2("Table"), html.Div(_wait("Computing…"), id="table-section")]),
            html.Section([html.H2("Spec"), html.Div(_wait("Reading…"), id="spec-section")]),
        ]
    )


def _wait(text: str) -> html.P:
    return html.P(text, className="wait")


def add_callbacks(sections: Sections) -> None:
    """Fill the page, and let it follow the study."""
    reader = sections.reader
    given = (Input("url", "pathname"), Input("url", "search"))

    @sections.answer(
        Output("study-head", "children"),
        Output("study-actions", "children"),
        Output("study-actions", "hidden"),
        Output("study-seen", "data"),
        Output("revision", "data"),
        Output("study-tick", "interval"),
        Input("study-tick", "n_intervals"),
        Input("url", "pathname"),
        State("study-seen", "data"),
        State("revision", "data"),
    )
    def look(_: int | None, path: str, seen: str | None, before: dict[str, Any] | None) -> Any:
        name = study_named(path)
        if name is None:  # the page is being left
            return (no_update,) * 6
        answer = reader.summary(name)
        if answer.etag == seen:
            return (no_update,) * 6
        row = json.loads(answer.body)
        standing = reader.queue.of(name)
        now = {"study": name, "revision": standing.revision, "running": row["state"] == "running"}
        pause = SLOW if row["trials"] > LARGE and row["state"] == "running" else QUICK
        return (
            _head(row),
            _buttons(name, row["state"], cancelling=row["cancelling"]),
            False,
            answer.etag,
            no_update if now == before else now,  # warnings alone may have come
            1_000 * pause,
        )

    sections.app.clientside_callback(
        ClientsideFunction("robustness", "settle"),
        Output("settled", "data"),
        Input("revision", "data"),
        State("settled", "data"),
        State("study-tick", "interval"),
    )
    for action in ("cancel", "resume", "delete"):
        sections.app.clientside_callback(
            ClientsideFunction("robustness", action),
            Output("said", "children", allow_duplicate=True),
            Input(f"{action}-study", "n_clicks"),
            State("url", "pathname"),
            prevent_initial_call=True,
        )
    heatmaps.add_callbacks(sections, given)
    trials.add_callbacks(sections, given)
    results.add_callbacks(sections, given)


def _head(row: dict[str, Any]) -> list[Any]:
    counts = row["counts"]
    begun = "imported" if row["imported"] else "last run begun or submitted"
    facts = Markup("<code>{}</code> · {}").format(row["id"], Markup(rendered("facts", row=row, begun=begun)))
    head = [
        html.P(html.A("All studies", href=STUDIES), className="back"),
        html.H1([row["title"] or row["id"], " ", badge(row["state"])]),
        html.P(row["question"], className="question"),
        progress(counts["complete"], row["trials"], "Complete trials"),
        raw(facts, className="facts"),
    ]
    if row["error"]:
        head.append(html.Pre(row["error"], className="refused"))
    if row["warnings"]:
        head.append(
            html.Details(
                [
                    html.Summary(f"Before you believe it ({len(row['warnings'])})"),
                    html.Ul([html.Li(text) for text in row["warnings"]]),
                ],
                open=len(row["warnings"]) <= 3,
                className="warnings",
            )
        )
    return head


def _buttons(name: str, state: str, *, cancelling: bool) -> html.Div:
    """All are there, so that their callbacks are; those that make no sense are hidden."""
    can_cancel = state in ("queued", "running") and not cancelling
    return html.Div(
        [
            html.Button("Cancel", id="cancel-study", hidden=not can_cancel),
            html.Button("Resume", id="resume-study", hidden=state not in ("cancelled", "failed")),
            html.A("Report", href=api(name, "/report"), className="button", download=f"{name}.html"),
            html.A("Edit as a new study", href=f"/new?from={name}", className="button"),
            html.Button(
                "Delete", id="delete-study", className="grave", hidden=state in ("queued", "running", "")
            ),
        ],
        className="toolbar",
    )
