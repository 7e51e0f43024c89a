"""Panels of squares, learning rate x initialization: what the heatmaps share."""

# I initializations, L learning rates

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from robustness.figures import style
from robustness.figures.style import Size

__all__ = ["Canvas", "Squares", "canvas", "draw_squares", "edges", "fitting"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Squares:
    """What one panel shows.

    Attributes:
        heading: an optimizer's label, or whatever stands above.
        lrs: ascending (L).
        shade_IL: on the colour scale; NaN is off it.
        texts_IL: in the squares.
        patch_IL: squares whose text stands on a white patch.
        dark_IL: squares that need white text.
        hatched_IL: squares with a hatching, under the text.
        hover_IL: on hover, escaped.
    """

    heading: str
    lrs: tuple[float, ...]
    shade_IL: Floats
    texts_IL: list[list[str]]
    patch_IL: Flags
    dark_IL: Flags
    hatched_IL: Flags
    hover_IL: list[list[str]]


_LEAST_BAR = 100  # pixels
_HATCHES = (0.4, 0.8, 1.2, 1.6)  # sums of x and y of the lines in a square of 1 by 1


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Where the squares go: sizes in pixels."""

    size: Size
    row: float
    gap: float
    inner: float
    left: int
    right: int
    below: float


def canvas(size: Size, inits: Sequence[str], panels: int) -> Canvas:
    """A canvas for this many panels of these rows; the colour bar is at the right, in a column below."""
    page = size.name == "page"
    row, gap = (34.0, 40) if page else (15.0, 22)
    rows, gaps = max(panels, 1) * max(len(inits), 1), max(panels - 1, 0) * gap
    if page:  # the colour bar with its title stands beside them
        row = max(row, (_LEAST_BAR - gaps) / rows)
    inner = rows * row + gaps
    return Canvas(
        size=size,
        row=row,
        gap=gap,
        inner=inner,
        left=style.left_margin(inits, size),
        right=112 if page else 10,
        below=0 if page else 40,
    )


def edges(lrs: Sequence[float]) -> list[float]:
    """Edges of the squares in log10: halfway between neighbours; a quarter decade around a single one."""
    logs = [math.log10(lr) for lr in lrs]
    if len(logs) == 1:
        return [logs[0] - 0.25, logs[0] + 0.25]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(logs)]
    return [2 * logs[0] - middles[0], *middles, 2 * logs[-1] - middles[-1]]


def fitting(on: Canvas, grids: Sequence[Sequence[float]], texts: Sequence[str]) -> float:
    """The font at which all texts fit the narrowest square; 0 where none that can be read does."""
    found = [edges(lrs) for lrs in grids if lrs]
    if not found or not texts:
        return 0.0
    span = max(max(part) for part in found) - min(min(part) for part in found)
    narrow = min(b - a for part in found for a, b in itertools.pairwise(part))
    pixels = narrow / span * (on.size.width - on.left - on.right) - (2.5 if on.size.name == "page" else 1)
    least, most = (8.0, 11.0) if on.size.name == "page" else (6.5, 8.5)
    font = min(most, pixels / max(*(style.text_width(text, 1) for text in texts), 0.1))
    return font if font >= least else 0.0


def _numbers(panel: Squares, font: float) -> go.Scatter:
    """The texts, on a white patch where the square is crossed out.

    One trace: an annotation a square takes Plotly time that grows with their number squared.
    """
    x_edges = edges(panel.lrs)
    cells = itertools.product(range(len(panel.texts_IL)), range(len(panel.lrs)))
    places = [(i, j) for i, j in cells if panel.texts_IL[i][j]]
    return go.Scatter(
        x=[(x_edges[j] + x_edges[j + 1]) / 2 for _, j in places],
        y=[i for i, _ in places],
        text=[panel.texts_IL[i][j] for i, j in places],
        mode="markers+text",
        textfont={
            "size": font,
            "color": [_ink(panel, i, j) for i, j in places],
        },
        marker={
            "symbol": "square",
            "size": 1.6 * font,
            "opacity": [1.0 if panel.patch_IL[i, j] else 0.0 for i, j in places],
            "color": "white",
        },
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
    )


def _hatching(panel: Squares, on: Canvas) -> go.Scatter:
    """Slanted lines; a trace, as a shape would lie over the text or under the square."""
    x_edges = edges(panel.lrs)
    x: list[float | None] = []
    y: list[float | None] = []
    for i, j in np.argwhere(panel.hatched_IL).tolist():
        for place in _HATCHES:
            low = max(place - 0.94, 0.06)  # so that neighbours' lines do not meet
            x += [*(x_edges[j] + part * (x_edges[j + 1] - x_edges[j]) for part in (low, place - low)), None]
            y += [i - 0.5 + place - low, i - 0.5 + low, None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": style.MUTED, "width": on.size.line / 2},
        hoverinfo="skip",
        showlegend=False,
    )


def _ink(panel: Squares, i: int, j: int) -> str:
    if panel.dark_IL[i, j]:
        return "white"
    # Nothing happened there: it must not compete with what did.
    return "#9aa2ae" if panel.shade_IL[i, j] == 0 else style.INK


def draw_squares(
    on: Canvas,
    inits: Sequence[str],
    panels: Sequence[Squares],
    *,
    font: float,
    color: dict[str, Any],
) -> go.Figure:
    """The panels under each other, on one axis of learning rates.

    Args:
        on: the canvas.
        inits: labels (I).
        panels: what they show.
        font: of the texts; 0 leaves them out.
        color: the colour axis; its `colorbar.title.text` is placed by the size.
    """
    figure = make_subplots(
        rows=max(len(panels), 1),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=on.gap / on.inner if len(panels) > 1 else 0,
    )
    for row, panel in enumerate(panels, start=1):
        figure.add_trace(_heat(panel, inits, on), row=row, col=1)
        if panel.hatched_IL.any():
            figure.add_trace(_hatching(panel, on), row=row, col=1)
        if font:
            figure.add_trace(_numbers(panel, font), row=row, col=1)
        _heading(figure, panel.heading, row, on)
    every = [edge for panel in panels for edge in edges(panel.lrs)] or [-1.0, 1.0]
    positions, labels = style.decade_ticks(
        [lr for panel in panels for lr in panel.lrs] or [0.1, 10.0],
        int((on.size.width - on.left - on.right) // (style.text_width("0.0001", on.size.font) + 8)),
    )
    axis = {**style.AXIS, "showgrid": False}
    figure.update_xaxes(tickvals=positions, ticktext=labels, range=[min(every), max(every)], **axis)
    figure.update_xaxes(title="learning rate", title_standoff=4, row=max(len(panels), 1), col=1)
    figure.update_yaxes(
        tickvals=list(range(len(inits))),
        ticktext=[style.fitted(init, on.left - 10, on.size.font) for init in inits],
        range=[len(inits) - 0.5, -0.5],
        **{**axis, "ticks": "", "ticklen": 0},
    )
    figure.update_layout(coloraxis={**color, "colorbar": _bar(on, color["colorbar"])})
    return figure


def _heat(panel: Squares, inits: Sequence[str], on: Canvas) -> go.Heatmap:
    gap = 1.5 if on.size.name == "page" else 0.7
    return go.Heatmap(
        x=edges(panel.lrs),
        y=[i - 0.5 for i in range(len(panel.shade_IL) + 1)],
        z=panel.shade_IL,
        coloraxis="coloraxis",
        xgap=gap,
        ygap=gap,
        hoverongaps=False,
        text=panel.hover_IL,
        hovertemplate="%{text}<extra></extra>",
        # What a square stands for, for pages that follow a click on it.
        meta={"optimizer": panel.heading, "lrs": list(panel.lrs), "inits": list(inits)},
    )


def _heading(figure: go.Figure, text: str, row: int, on: Canvas) -> None:
    axis = "" if row == 1 else str(row)
    room = on.size.width - on.left - on.right
    figure.add_annotation(
        text=f"<b>{style.fitted(text, room, on.size.font * 1.08)}</b>",
        xref=f"x{axis} domain",
        yref=f"y{axis} domain",
        x=0,
        y=1,
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font={"size": on.size.font * 1.08},
    )


def _bar(on: Canvas, bar: dict[str, Any]) -> dict[str, Any]:
    plain = {**bar, "outlinewidth": 0.5, "outlinecolor": style.MUTED, "tickfont": {"size": on.size.small}}
    text = bar["title"]["text"]
    if on.size.name == "page":
        title = {"text": "<br>".join(style.wrapped(text, 120, on.size.font)), "side": "right"}
        return {**plain, "title": title, "thickness": 12, "len": min(1.0, 260 / on.inner)}
    return {
        **plain,
        "orientation": "h",
        "title": {"text": text, "side": "top", "font": {"size": on.size.small}},
        "thickness": 7,
        "len": 0.9,
        "x": 0.5,
        "xanchor": "center",
        "y": -3.5 * on.size.font / on.inner,
        "yanchor": "top",
        "xpad": 0,
        "ypad": 0,
    }
