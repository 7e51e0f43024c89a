"""The points of a figure as rows of a table, in the words of its axes: for whoever cannot see or point at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go

__all__ = ["columns", "points"]


def columns(figure: go.Figure) -> tuple[str, ...]:
    """What the texts of `points` are."""
    across = next((axis.title.text for axis in figure.select_xaxes() if axis.title.text), "x")
    # Titles of y axes are notes beside them: `style.y_title`.
    notes = figure.layout.annotations
    up = next((note.text for note in notes if note.textangle == -90 and note.yref.endswith("domain")), "row")
    return "panel", "line", across, up


def points(figure: go.Figure) -> Iterator[tuple[str, str, str, str]]:
    """Panel, line, and both coordinates of every point that the figure answers for on hover."""
    name = ""
    for trace in figure.data:
        name = trace.name or name
        if trace.hoverinfo == "skip" or trace.x is None or trace.y is None:
            continue
        across = figure.layout[f"xaxis{(trace.xaxis or 'x')[1:]}"]
        up = figure.layout[f"yaxis{(trace.yaxis or 'y')[1:]}"]
        panel = _heading(figure, across, up)
        for x, y in zip(trace.x, trace.y, strict=False):
            yield panel, name, _read(across, x), _read(up, y)


def _heading(figure: go.Figure, across: Any, up: Any) -> str:
    """What stands above the panel of these axes."""
    (left, right), top = across.domain or (0, 1), (up.domain or (0, 1))[1]
    for note in figure.layout.annotations:
        over = note.xref == note.yref == "paper" and abs(note.y - top) < 1e-9 and left <= note.x <= right
        if over and note.xanchor == "center":
            return str(note.text)
    return ""


def _read(axis: Any, value: Any) -> str:
    """A coordinate in the terms of the axis's labels: of powers the power itself, of words the nearest word."""
    if isinstance(value, str):
        return value
    number = float(value)
    ticks = list(zip(axis.tickvals or (), axis.ticktext or (), strict=False))
    if not ticks:
        return f"{number:.4g}"
    try:
        at, numbers = [float(place) for place, _ in ticks], [float(text) for _, text in ticks]
    except ValueError:
        return str(min(ticks, key=lambda tick: abs(tick[0] - number))[1])
    if len(at) < 2 or min(numbers) <= 0 or at == numbers:
        return f"{number:.4g}"
    base = (numbers[1] / numbers[0]) ** (1 / (at[1] - at[0]))
    return f"{numbers[0] * base ** (number - at[0]):.4g}"
