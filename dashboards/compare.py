"""Two studies beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from dash import Input, html

from robustness.figures import Request, draw
from robustness.figures.gallery import lacks
from robustness.figures.style import SIZES
from robustness.service import Reader
from robustness.service.answers import finite
from robustness.service.rows import metrics
from robustness.summary import Study
from robustness.summary.rows import DEFAULT_DELTA
from robustness.summary.sampler_limits import not_independent, sampler_of

from .addresses import COMPARE, SHADES, query_of, study_path
from .parts import picture, plain_table, switch
from .sections import Sections

__all__ = ["add_callbacks", "layout"]

METRICS = ("divergence_rate", "nonfinite_rate", "tolerance_window", "score")
"""What is compared; an edge or tpe study has some of them only."""
_SHADES = [shade for shade in SHADES if shade != "difference"]


def layout() -> html.Div:
    """The page, empty."""
    return html.Div(
        [html.H1("Compare two studies"), html.Div(html.P("Reading…", className="wait"), id="compared")]
    )


def add_callbacks(sections: Sections) -> None:
    """Fill it with the two studies of the address."""
    reader = sections.reader

    @sections.fill("compared", Input("url", "search"))
    def fill(search: str | None) -> Any:
        given = query_of(search)
        names = [standing.name for standing in reader.queue.all()]
        a, b = given.get("a"), given.get("b")
        if len(names) < 2:
            return html.P("There are not two studies yet.")
        if a is None or b is None:
            first = a or names[0]
            return _choice(names, first, b or next(name for name in names if name != first))
        shade = given.get("shade", "diverged")
        shade = shade if shade in _SHADES else "diverged"
        links = [
            (SHADES[s], f"{COMPARE}?{urlencode({'a': a, 'b': b, 'shade': s})}", s == shade) for s in _SHADES
        ]
        halves = [
            sections.kept(name, ("compared", shade, side), _half(reader, shade, side))
            for side, name in (("a", a), ("b", b))
        ]
        measured = [sections.kept(name, "measured", lambda study, _: _measured(study)) for name in (a, b)]
        return [
            _choice(names, a, b),
            _numbers((a, b), measured),
            switch("Show", links),
            html.Div(halves, className="halves"),
        ]


def _choice(names: Sequence[str], a: str, b: str) -> html.Form:
    selects = [
        html.Label(
            [text, html.Select([html.Option(n, value=n, selected=n == chosen) for n in names], name=key)]
        )
        for key, text, chosen in (("a", "Study ", a), ("b", " and ", b))
    ]
    return html.Form([*selects, html.Button("Compare")], method="get", action=COMPARE, className="toolbar")


def _half(reader: Reader, shade: str, side: str) -> Any:
    def make(study: Study, _: Any) -> Any:
        # Two versions of a study often share their title.
        parts: list[Any] = [
            html.H2(html.A(study.title or study.name, href=study_path(study.name))),
            html.P(html.Code(study.name)),
        ]
        for place, task in enumerate(study.tasks):
            request = Request(study=study, task=task, store=reader.store, size=SIZES["column"])
            why = lacks(f"heatmap-{shade}", request)
            if why:
                parts.append(html.P(f"There is no such picture of {task}: {why}."))
            else:
                parts.append(
                    picture(draw(f"heatmap-{shade}", request), f"half-{side}-{place}", _elsewhere(study))
                )
        return html.Section(parts)

    return make


def _elsewhere(study: Study) -> Any:
    return html.P(["Every square stands on ", html.A("the study's page", href=study_path(study.name)), "."])


def _measured(study: Study) -> list[dict[str, Any]]:
    """The metrics of each optimizer, pooled over initializations and tasks where there is such a row."""
    if not_independent(sampler_of(study.spec)):
        return []
    found: list[dict[str, Any]] = finite(metrics(study, list(METRICS), DEFAULT_DELTA))
    return found


def _numbers(names: tuple[str, str], measured: Sequence[list[dict[str, Any]]]) -> html.Div:
    keys: dict[tuple[Any, ...], list[dict[str, Any] | None]] = {}
    for side, rows in enumerate(measured):
        for row in rows:
            key = (row["optimizer"], row["task"], row["init"], row["metric"], row["at"])
            keys.setdefault(key, [None, None])[side] = row
    table = [
        (
            ", ".join(str(part) for part in key[:3] if part),
            " ".join(str(part) for part in key[3:] if part),
            *(_value(row) for row in sides),
        )
        for key, sides in keys.items()
        if any(row is not None and row["value"] is not None for row in sides)
    ]
    # What both have comes first.
    table.sort(key=lambda row: ("–" in row[2:], row[1], row[0]))
    shared = sum(all(side is not None for side in sides) for sides in keys.values())
    caption = (
        f"Metrics with 95 % intervals by whole seeds; {shared} of {len(keys)} rows are in both studies. Studies are not "
        "paired: where intervals overlap, this table tells no difference."
    )
    return plain_table(caption, ("row", "metric", *names), table, text=2)


def _value(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "–"
    if row["low"] is None or row["high"] is None:
        return f"{row['value']:.3g} (n = {row['n']})"
    return f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}] (n = {row['n']})"
