"""The heatmap of a study: it fills in while the study runs, and a square leads to its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from dash import ClientsideFunction, Input, Output, State, dcc, html
from markupsafe import Markup

from robustness.errors import check_known
from robustness.figures import FIGURES, Request
from robustness.figures.gallery import info, lacks
from robustness.service import Reader
from robustness.summary import Study

from .addresses import SHADES, View, study_at
from .parts import MOST_ROWS, downloads, picture, plain_table, request_of, short, switch
from .raw import link
from .sections import Sections

__all__ = ["add_callbacks"]


def add_callbacks(sections: Sections, given: Sequence[Any]) -> None:
    """Draw it, and follow clicks."""

    @sections.fill("heatmap-section", *given, Input("revision", "data"), Input("narrow", "data"))
    def fill(path: str, search: str, _: Any, narrow: bool | None) -> Any:
        # The same for every square: what is kept for one reader is another's too.
        name, view = study_at(path), View.of(search).with_(cell=None)
        return sections.kept(
            name,
            ("heatmap", view, bool(narrow)),
            lambda study, _: _section(sections.reader, study, view, narrow=bool(narrow)),
        )

    sections.app.clientside_callback(
        ClientsideFunction("robustness", "pick"),
        Output("url", "search", allow_duplicate=True),
        Input("heatmap", "clickData"),
        State("heatmap", "figure"),
        State("url", "search"),
        prevent_initial_call=True,
    )


def _figure_name(shade: str) -> str:
    return shade if shade == "difference" else f"heatmap-{shade}"


def _section(reader: Reader, study: Study, view: View, *, narrow: bool) -> list[Any]:
    labels = list(study.optimizers)
    if view.optimizer is not None:
        check_known("optimizer", view.optimizer, labels)
        if view.shade != "difference":
            study = study.only([view.optimizer])
    request = request_of(reader, study, view, narrow=narrow)
    task = request.task
    parts: list[Any] = []
    if len(study.tasks) > 1:
        parts.append(
            switch(
                "Task", [(label, view.href(study.name, task=label), label == task) for label in study.tasks]
            )
        )
    parts.append(_shade_switch(study.name, view))
    if len(labels) > 1 and view.shade != "difference":
        each = [(label, view.href(study.name, optimizer=label), label == view.optimizer) for label in labels]
        everyone = ("all", view.href(study.name, optimizer=None), view.optimizer is None)
        parts.append(switch("Optimizer", [everyone, *each]))
    a = ""
    why = lacks(_figure_name(view.shade), request)
    if why:
        return [*parts, html.P(f"There is no such picture of {task}: {why}.")]
    query: dict[str, str | None] = {"task": task}
    if view.shade == "difference":
        a, b = request.pair or ("", "")
        parts.append(_pair(study, request, view, a, b))
        query |= {"a": a, "b": b}
    name = _figure_name(view.shade)
    numbers = info(name, request)
    figure = FIGURES[name].draw(numbers, request.size)
    if view.shade == "difference":
        for trace in figure.select_traces(selector={"type": "heatmap"}):
            trace.meta = {**trace.meta, "optimizer": a}  # its squares lead to the first one's trials
    parts.append(picture(figure, "heatmap", _squares(study, numbers.frame(), view, first=a)))
    return [*parts, downloads(study.name, name, **query)]


def _shade_switch(name: str, view: View) -> html.Nav:
    """What the squares show."""
    return switch(
        "Show", [(text, view.href(name, shade=shade), shade == view.shade) for shade, text in SHADES.items()]
    )


def _pair(study: Study, request: Request, view: View, a: str, b: str) -> html.Form:
    """Which two optimizers; a plain form, whose fields are the page's address."""
    names = [cube.optimizer for cube in study.grid.of_task(request.task)]
    fields = {"task": view.task, "shade": view.shade, "figure": view.figure}
    hidden = [
        dcc.Input(type="hidden", name=key, value=value) for key, value in fields.items() if value is not None
    ]
    selects = [
        html.Label(
            [
                text,
                html.Select([html.Option(n, value=n, selected=n == chosen) for n in names], name=key),
            ]
        )
        for key, text, chosen in (("a", "Share of ", a), ("b", " minus that of ", b))
    ]
    return html.Form([*hidden, *selects, html.Button("Show")], method="get", className="toolbar")


def _squares(study: Study, squares: pd.DataFrame, view: View, *, first: str) -> Any:
    """Every square of the picture; a square's name leads to its trials: of a difference those of the first optimizer."""
    if len(squares) > MOST_ROWS:
        return html.P(
            f"{len(squares):,} squares are many: choose one optimizer above, and its squares stand here."
        )
    numbers = [
        column for column in squares if column not in ("optimizer", "lr", "init", "trained", "untrained")
    ]
    rows = [
        (_square_link(study, view, first or row["optimizer"], float(row["lr"]), row["init"]),)
        + tuple(short(row[column]) for column in numbers)
        for row in squares.to_dict("records")
    ]
    heads = ("square", *(str(column).replace("_", " ") for column in numbers))
    return plain_table(
        "Every square: optimizer, learning rate, initialization; 95 % intervals are Wilson's, of a difference Newcombe's",
        heads,
        rows,
    )


def _square_link(study: Study, view: View, optimizer: str, lr: float, init: str) -> Markup:
    return link(f"{optimizer}, {lr:.3g}, {init}", view.href(study.name, cell=f"{optimizer},{lr!r},{init}"))
