"""The heatmap of a study: it fills in while the study runs, and a square leads to its trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, html

from robustness.errors import check_known
from robustness.figures import Request, draw
from robustness.figures.gallery import lacks
from robustness.service import Reader
from robustness.summary import Study, cell_table, wilson

from .addresses import SHADES, View, study_at
from .parts import MOST_ROWS, downloads, picture, plain_table, request_of, switch
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
    why = lacks(_figure_name(view.shade), request)
    if why:
        return [*parts, html.P(f"There is no such picture of {task}: {why}.")]
    query: dict[str, str | None] = {"task": task}
    if view.shade == "difference":
        a, b = request.pair or ("", "")
        parts.append(_pair(study, request, view, a, b))
        query |= {"a": a, "b": b}
    name = _figure_name(view.shade)
    figure = draw(name, request)
    if view.shade == "difference":
        for trace in figure.select_traces(selector={"type": "heatmap"}):
            trace.meta = {**trace.meta, "optimizer": a}  # its squares lead to the first one's trials
    parts.append(picture(figure, "heatmap", numbers=_squares(study, task, view)))
    return [*parts, downloads(study.name, name, **query)]


def _shade_switch(name: str, view: View) -> html.Nav:
    """What the squares show."""
    return switch(
        "Show", [(text, view.href(name, shade=shade), shade == view.shade) for shade, text in SHADES.items()]
    )


def _pair(study: Study, request: Request, view: View, a: str, b: str) -> html.Form:
    """Which two optimizers; a plain form, whose fields are the page's address."""
    names = [cube.optimizer for cube in request.cubes]
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


def _squares(study: Study, task: str, view: View) -> Any:
    """Every square with what it counts; a square's name leads to its trials."""
    own, complete = (part[part["task"] == task] for part in (study.trials, study.complete))
    found = cell_table(own, complete)
    if len(found) > MOST_ROWS:
        return html.P(
            f"{len(found):,} squares are many: choose one optimizer above, and its squares stand here."
        )
    rows = []
    for row in found.to_dict("records"):
        n, score = int(row["n"]), float(row["score_median"])
        optimizer, lr, init = row["optimizer"], float(row["lr"]), row["init"]
        rate = wilson(int(row["diverged"]), n)
        rows.append(
            (
                link(
                    f"{optimizer}, {lr:.3g}, {init}",
                    view.href(study.name, cell=f"{optimizer},{lr!r},{init}"),
                ),
                n,
                row["nonfinite"],
                row["diverged"],
                f"{100 * rate.low:.0f} to {100 * rate.high:.0f}" if n else "–",
                n - int(row["trained"]),
                "–" if math.isnan(score) else f"{score:.3f}",
            )
        )
    columns = ("square", "n", "not finite", "diverged", "95 % interval, %", "not trained", "median score")
    return plain_table(
        "Every square: optimizer, learning rate, initialization; Wilson's interval of the share that diverged",
        columns,
        rows,
    )
