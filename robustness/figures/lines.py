"""Panels of lines with bands: what the curves share."""

# P points of a line

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from robustness.figures import style
from robustness.figures.style import Size

__all__ = ["Line", "Panels", "add_line", "panels"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a panel, in drawing coordinates.

    Attributes:
        name: a label, escaped when its figure is finished.
        index: which colour, dash and symbol.
        x: (P).
        y: (P).
        low: lower edge of the band (P); NaN where there is none.
        high: upper edge.
        hover: of each point, escaped.
        open_: points with an open mark.
        marks: draw points.
        step: hold each value up to the next x.
    """

    name: str
    index: int
    x: Floats
    y: Floats
    low: Floats
    high: Floats
    hover: Sequence[str] = ()
    open_: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    marks: bool = True
    step: bool = False


@dataclass(frozen=True, kw_only=True)
class Panels:
    """A figure of panels in two columns (one panel: one), and its measures in pixels: `each` is a panel's width."""

    figure: go.Figure
    columns: int
    count: int
    inner: float
    left: int
    each: float

    def place(self, p: int) -> dict[str, int]:
        """The `row` and `col` of panel p."""
        return {"row": p // self.columns + 1, "col": p % self.columns + 1}

    def first_axes(self) -> list[str]:
        """The y axis at the left of each line of panels."""
        firsts = range(0, self.count, self.columns)
        return ["y" if p == 0 else f"y{p + 1}" for p in firsts]

    def decades(self, lrs: Sequence[float], size: Size) -> tuple[list[float], list[str]]:
        """Ticks of learning rates that do not touch each other."""
        return style.decade_ticks(lrs, max(int(self.each // (_tick_width(size) + 8)), 2))

    def lowest(self) -> list[dict[str, int]]:
        """The places that need an axis title: nothing is below them."""
        return [self.place(p) for p in range(max(self.count - self.columns, 0), self.count)]


def panels(headings: Sequence[str], size: Size, *, height: float | None = None, columns: int = 2) -> Panels:
    """Empty panels, one a heading."""
    count = max(len(headings), 1)
    columns = min(count, columns)
    rows = -(-count // columns)
    gap = size.font * 4.2
    inner = rows * (height or size.panel) + (rows - 1) * gap
    left = int(size.font * 4.6)
    # Neighbours' outermost ticks stand at the corners: half of each between the panels.
    axes, between = size.width - left - 20, _tick_width(size) + 4
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes=True,
        subplot_titles=style.told_apart(headings, axes / columns - 16, size.font * 1.08),
        horizontal_spacing=between / axes,
        vertical_spacing=gap / inner if rows > 1 else 0,
    )
    figure.update_annotations(font_size=size.font * 1.08)
    figure.update_xaxes(**style.AXIS)
    figure.update_yaxes(**style.AXIS)
    each = (axes - between * (columns - 1)) / columns
    return Panels(figure=figure, columns=columns, count=count, inner=inner, left=left, each=each)


def _tick_width(size: Size) -> float:
    return style.text_width("0.0001", size.font)


def add_line(on: Panels, p: int, line: Line, size: Size, *, legend: bool, crowd: int) -> None:
    """Draw a line and its band on panel p.

    Args:
        on: the panels.
        p: which.
        line: what.
        size: for widths.
        legend: show it in the legend.
        crowd: how many lines share a panel: more make each band fainter.
    """
    color = style.OPTIMIZER_COLORS[line.index % len(style.OPTIMIZER_COLORS)]
    shape = "hv" if line.step else "linear"
    for trace in _band(line, _faint(color, 0.20 if crowd <= 4 else 0.10), shape, size):
        on.figure.add_trace(trace, **on.place(p))
    symbol = style.SYMBOLS[line.index % len(style.SYMBOLS)]
    is_open = line.open_ if len(line.open_) else np.zeros(len(line.x), dtype=bool)
    on.figure.add_trace(
        go.Scatter(
            x=line.x,
            y=line.y,
            name=line.name,
            legendgroup=str(line.index),
            showlegend=legend,
            mode="lines+markers" if line.marks else "lines",
            line={
                "color": color,
                "width": size.line,
                "dash": style.DASHES[line.index % len(style.DASHES)],
                "shape": shape,
            },
            marker={
                "size": size.mark,
                "symbol": [f"{symbol}-open" if gone else symbol for gone in is_open],
                "color": color,
                "line": {"width": size.line * 0.7, "color": color},
            },
            text=list(line.hover) or None,
            hovertemplate="%{text}<extra></extra>" if line.hover else None,
        ),
        **on.place(p),
    )


def _band(line: Line, color: str, shape: str, size: Size) -> Iterator[go.Scatter]:
    """The band, in parts: a point without an interval has none, and nothing is said of it by its neighbours'."""
    plain = {"mode": "lines", "hoverinfo": "skip", "showlegend": False, "legendgroup": str(line.index)}
    whole = np.flatnonzero(~np.isnan(line.low) & ~np.isnan(line.high))
    for part in np.split(whole, np.flatnonzero(np.diff(whole) > 1) + 1):
        x, low, high = (values[part] for values in (line.x, line.low, line.high))
        if len(part) == 1:  # without neighbours it has no area
            bar = {"width": size.mark, "color": color}
            yield go.Scatter(x=[x[0], x[0]], y=[low[0], high[0]], line=bar, **plain)
        elif len(part):
            edge = {"width": 0, "shape": shape}
            yield go.Scatter(x=x, y=low, line=edge, **plain)
            yield go.Scatter(x=x, y=high, line=edge, fill="tonexty", fillcolor=color, **plain)


def _faint(color: str, opacity: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
