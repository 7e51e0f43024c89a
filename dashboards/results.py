"""The answer, further figures, the table, and the spec of a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Input, Output, State, html

from robustness.figures import FIGURES, applicable
from robustness.figures.gallery import info
from robustness.report import answer, asides
from robustness.service import Reader
from robustness.service.rendering import TABLES
from robustness.spec import StudySpec
from robustness.summary import Study
from robustness.tables import standard_table

from .addresses import View, api, study_at
from .parts import downloads, frame_table, layout_table, picture, request_of, spaced, switch
from .sections import Sections

__all__ = ["add_callbacks"]

_ELSEWHERE = {*(name for name in FIGURES if name.startswith("heatmap-")), "difference", "learning-curves"}
"""Figures that the page has in another place."""
_NAMES = {"html": "HTML", "markdown": "Markdown", "latex": "LaTeX", "csv": "CSV"}


def add_callbacks(sections: Sections, given: Sequence[Any]) -> None:
    """Fill them; a running study's anew at every fifth look."""
    settled = Input("settled", "data")

    @sections.fill("answer", Input("url", "pathname"), settled)
    def say(path: str, _: Any) -> Any:
        return sections.kept(study_at(path), "answer", lambda study, _: _answer(study))

    @sections.fill("figures-section", *given, settled, Input("narrow", "data"))
    def figures(path: str, search: str, _: Any, narrow: bool | None) -> Any:
        view = View.of(search).with_(cell=None)
        asked = ("figures", view, bool(narrow))
        return sections.kept(
            study_at(path),
            asked,
            lambda study, _: _figures(sections.reader, study, view, narrow=bool(narrow)),
        )

    @sections.fill("table-section", Input("url", "pathname"), settled)
    def table(path: str, _: Any) -> Any:
        return sections.kept(study_at(path), "table", lambda study, _: _table(study))

    @sections.fill("spec-section", Input("url", "pathname"), settled)
    def spec(path: str, _: Any) -> Any:
        return sections.kept(study_at(path), "spec", lambda study, _: _spec(study))

    sections.app.clientside_callback(
        ClientsideFunction("robustness", "copy"),
        Output("said", "children", allow_duplicate=True),
        Input("copy-latex", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )


def _answer(study: Study) -> list[Any]:
    sentences = [html.P(text) for text in answer(study)]
    return [*sentences, *(html.P(text, className="aside") for text in asides(study))]


def _figures(reader: Reader, study: Study, view: View, *, narrow: bool) -> list[Any]:
    request = request_of(reader, study, view, narrow=narrow)
    names = [name for name in applicable(request) if name not in _ELSEWHERE]
    if not names:
        return [html.P("Nothing to draw yet.")]
    chosen = view.figure if view.figure in names else names[0]
    links = [(FIGURES[name].title, view.href(study.name, figure=name), name == chosen) for name in names]
    numbers = info(chosen, request)
    query: dict[str, str | None] = {"task": request.task}
    if FIGURES[chosen].kind == "pair":
        query |= {"a": view.a, "b": view.b}
    return [
        switch("Figure", links),
        picture(
            FIGURES[chosen].draw(numbers, request.size),
            "figure",
            frame_table(numbers.frame(), FIGURES[chosen].title),
        ),
        downloads(study.name, chosen, **query),
    ]


def _table(study: Study) -> list[Any]:
    if not len(study.complete):
        return [html.P("Nothing is complete yet.")]
    links = [
        html.A(
            _NAMES[kind], href=api(study.name, "/table", format=kind), download=f"{study.name}-table.{ending}"
        )
        for kind, (_, ending, _) in TABLES.items()
    ]
    return [
        layout_table(standard_table(study)),
        html.P(
            [html.Button("Copy as LaTeX", id="copy-latex"), " Download: ", *spaced(links)],
            className="downloads",
        ),
    ]


def _spec(study: Study) -> list[Any]:
    if study.source:
        return [
            html.P("Imported: it was not run here."),
            html.Pre(json.dumps(study.source, indent=2, ensure_ascii=False)),
        ]
    if not study.spec:
        return [html.P("There is no spec yet: it is stored with the first trials.")]
    text = StudySpec.model_validate(study.spec).model_dump_json(indent=2, exclude_defaults=True)
    return [
        html.P(
            [
                "To run it again anywhere, save this as ",
                html.Code(f"{study.name}.json"),
                ": ",
                html.Code(f"robustness run {study.name}.json"),
                ". Or ",
                html.A("edit it as a new study", href=f"/new?from={study.name}"),
                ".",
            ]
        ),
        html.Details([html.Summary("The spec"), html.Pre(text, tabIndex=0)]),
    ]
