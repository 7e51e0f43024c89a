"""The divergence heatmap: learning rate x initialization, one panel an optimizer."""

# I initializations, L learning rates

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from robustness.figures import style
from robustness.summary import Study, wilson

__all__ = ["HeatmapInfo", "Panel", "draw_heatmap", "heatmap_info"]

Shade = Literal["diverged", "score"]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One optimizer's squares.

    Attributes:
        optimizer: its label.
        lrs: learning rates, ascending (L).
        n_IL: complete trials a square; 0 is a missing square.
        diverged_IL: of them diverged.
        stalled_IL: of them stalled.
        score_IL: median score; NaN where missing.
        tuned_I: index of each initialization's tuned learning rate; -1 where none trains.
    """

    optimizer: str
    lrs: tuple[float, ...]
    n_IL: Counts
    diverged_IL: Counts
    stalled_IL: Counts
    score_IL: Floats
    tuned_I: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class HeatmapInfo:
    """The numbers of one task's heatmap."""

    title: str
    inits: tuple[str, ...]
    panels: tuple[Panel, ...]
    shade: Shade
    notes: tuple[str, ...]


def heatmap_info(
    study: Study, cells: pd.DataFrame, rows: pd.DataFrame, task: str, shade: Shade = "diverged"
) -> HeatmapInfo:
    """The heatmap of one task.

    Args:
        study: for the title and the rule.
        cells: of `summary.cell_table`.
        rows: of `summary.row_table`.
        task: its label.
        shade: what colours a square: the share of seeds that diverged, or the median score.
    """
    own = cells[cells["task"] == task]
    inits = tuple(dict.fromkeys(own["init"]))
    tuned = rows[rows["task"] == task].set_index(["optimizer", "init"])["tuned_lr"]
    panels = []
    for optimizer, part in own.groupby("optimizer", sort=False):
        lrs = tuple(sorted(part["lr"].unique()))

        places = ([inits.index(i) for i in part["init"]], [lrs.index(lr) for lr in part["lr"]])
        n_IL, diverged_IL, stalled_IL = (
            _scattered(part[column], places, (len(inits), len(lrs)), 0)
            for column in ("n", "diverged", "stalled")
        )
        best = [tuned.get((optimizer, init), math.nan) for init in inits]
        panels.append(
            Panel(
                optimizer=str(optimizer),
                lrs=lrs,
                n_IL=n_IL,
                diverged_IL=diverged_IL,
                stalled_IL=stalled_IL,
                score_IL=_scattered(part["score_median"], places, n_IL.shape, math.nan),
                tuned_I=tuple(lrs.index(lr) if lr in lrs else -1 for lr in best),
            )
        )
    config = study.tasks[task]
    what = "Where training breaks" if shade == "diverged" else "What is learned, and where training breaks"
    title = ", ".join(text for text in (f"{what}: {task}", config.budget) if text)
    sizes = sorted({int(n) for panel in panels for n in panel.n_IL.flat if n})
    return HeatmapInfo(
        title=title,
        inits=inits,
        panels=tuple(panels),
        shade=shade,
        notes=(style.rule_text(study.thresholds), *_interval_notes(sizes)),
    )


def _scattered(
    values: pd.Series[Any], places: Any, shape: tuple[int, ...], missing: float
) -> npt.NDArray[Any]:
    """The values at their (init, learning rate) places, `missing` elsewhere."""
    found = np.full(shape, missing)
    found[places] = values
    return found


def _interval_notes(sizes: list[int]) -> list[str]:
    """Wilson's intervals of every k / n that can stand in a square, for one n; else where to find them."""
    if len(sizes) != 1 or sizes[0] > 10:
        return ["95 % Wilson intervals of each rate: on hover, and in the CSV table."] if sizes else []
    n = sizes[0]
    rates = [wilson(k, n) for k in range(n + 1)]
    shown = ", ".join(f"{r.k}/{n} {100 * r.low:.0f}–{100 * r.high:.0f} %" for r in rates)
    return [f"95 % intervals (Wilson): {shown}."]


ROW_HEIGHT = 34
PANEL_GAP = 40
WIDTH = 900


def draw_heatmap(info: HeatmapInfo) -> go.Figure:
    """Draw it; k/n stands in every square that has trials, squares without any are grey."""
    height = ROW_HEIGHT * len(info.inits)
    inner = len(info.panels) * height + (len(info.panels) - 1) * PANEL_GAP
    notes = _notes(info)
    top, bottom = 62, 62 + 17 * len(notes)
    figure = make_subplots(
        rows=len(info.panels),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=PANEL_GAP / inner if len(info.panels) > 1 else 0,
    )
    left = 30 + 7 * max((len(init) for init in info.inits), default=0)
    shapes: list[dict[str, Any]] = []
    for row, panel in enumerate(info.panels, start=1):
        shapes += _draw_panel(figure, row, panel, info)
    all_lrs = [lr for panel in info.panels for lr in panel.lrs]
    positions, labels = style.decade_ticks(all_lrs)
    edges = [edge for panel in info.panels for edge in _edges(panel.lrs)]
    figure.update_xaxes(
        tickvals=positions,
        ticktext=labels,
        ticks="outside",
        range=[min(edges), max(edges)],
        showline=True,
        linecolor=style.INK,
        zeroline=False,
        showgrid=False,
    )
    figure.update_xaxes(title="learning rate", title_standoff=6, row=len(info.panels), col=1)
    style.apply(figure, title=info.title, width=WIDTH, height=inner + top + bottom, left=left, bottom=bottom)
    bar = "share of seeds<br>that diverged" if info.shade == "diverged" else "median test accuracy"
    figure.update_layout(
        margin_t=top,
        shapes=shapes,
        coloraxis={
            "colorscale": style.RATE_SCALE if info.shade == "diverged" else style.SCORE_SCALE,
            "cmin": 0,
            "cmax": 1,
            "colorbar": {
                "title": {"text": bar, "side": "right"},
                "tickformat": ".0%",
                "thickness": 12,
                "len": min(1.0, 260 / inner),
                "outlinewidth": 0,
            },
        },
    )
    style.caption(figure, notes, bottom=bottom)
    return figure


def _notes(info: HeatmapInfo) -> list[str]:
    marks = ["In each square: diverged / complete trials (one a seed). Dotted: some stalled. Grey: missing."]
    crossed = "Crossed out: most seeds diverged. " if info.shade == "score" else ""
    marks.append(f"{crossed}Red frame: the row's best median on validation data.")
    return [*marks, *info.notes]


def _draw_panel(figure: go.Figure, row: int, panel: Panel, info: HeatmapInfo) -> list[dict[str, Any]]:
    """Add one panel's traces and axes; its marks as shapes, for one call that sets them all."""
    x_edges = _edges(panel.lrs)
    y_edges = [i - 0.5 for i in range(len(info.inits) + 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate_IL = np.where(panel.n_IL > 0, panel.diverged_IL / panel.n_IL, np.nan)
    off_scale_IL = (rate_IL > 0.5) if info.shade == "score" else np.zeros_like(rate_IL, dtype=bool)
    shade_IL = rate_IL if info.shade == "diverged" else np.where(off_scale_IL, np.nan, panel.score_IL)
    figure.add_trace(
        go.Heatmap(
            x=x_edges,
            y=y_edges,
            z=shade_IL,
            coloraxis="coloraxis",
            xgap=1.5,
            ygap=1.5,
            hoverongaps=False,
            text=_hover(panel, info.inits),
            hovertemplate="%{text}<extra></extra>",
        ),
        row=row,
        col=1,
    )
    figure.add_trace(_numbers(panel, shade_IL, off_scale_IL, x_edges), row=row, col=1)
    figure.update_yaxes(
        tickvals=list(range(len(info.inits))),
        ticktext=[style.escaped(init) for init in info.inits],
        range=[len(info.inits) - 0.5, -0.5],
        showline=True,
        linecolor=style.INK,
        zeroline=False,
        showgrid=False,
        row=row,
        col=1,
    )
    axis = "" if row == 1 else str(row)
    figure.add_annotation(
        text=f"<b>{style.escaped(panel.optimizer)}</b>",
        xref=f"x{axis} domain",
        yref=f"y{axis} domain",
        x=0,
        y=1,
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font={"size": 14},
    )
    squares = itertools.product(range(len(info.inits)), range(len(panel.lrs)))
    shapes = [shape for i, j in squares for shape in _marks(panel, i, j, bool(off_scale_IL[i, j]), x_edges)]
    return [{**shape, "xref": f"x{axis}", "yref": f"y{axis}"} for shape in shapes]


def _numbers(panel: Panel, shade_IL: Floats, off_scale_IL: Flags, x_edges: list[float]) -> go.Scatter:
    """k/n of every square that has trials, on a white patch where the square is crossed out.

    One trace: an annotation a square takes Plotly time that grows with their number squared.
    """
    places = [(int(i), int(j)) for i, j in zip(*np.nonzero(panel.n_IL), strict=True)]
    colors = []
    for i, j in places:
        shade = shade_IL[i, j]
        quiet = panel.diverged_IL[i, j] == 0 and shade == 0
        colors.append("white" if shade > 0.55 else "#a3aab5" if quiet else style.INK)
    return go.Scatter(
        x=[(x_edges[j] + x_edges[j + 1]) / 2 for _, j in places],
        y=[i for i, _ in places],
        text=[f"{panel.diverged_IL[i, j]}/{panel.n_IL[i, j]}" for i, j in places],
        mode="markers+text",
        textfont={"size": 11, "color": colors},
        marker={
            "symbol": "square",
            "size": 20,
            "opacity": [1.0 if off_scale_IL[i, j] else 0.0 for i, j in places],
            "color": "white",
        },
        hoverinfo="skip",
        showlegend=False,
    )


def _marks(panel: Panel, i: int, j: int, off_scale: bool, x_edges: list[float]) -> Iterator[dict[str, Any]]:
    """The marks of one square: missing, off the scale, stalled, tuned."""
    x0, x1, y0, y1 = x_edges[j], x_edges[j + 1], i - 0.5, i + 0.5
    box = {"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1}
    if panel.n_IL[i, j] == 0:
        yield {**box, "fillcolor": style.MISSING, "line": {"width": 0}, "layer": "below"}
        return
    if off_scale:
        yield {**box, "line": {"color": style.INK, "width": 1}}
        thin = {
            "type": "line",
            "x0": x0,
            "x1": x1,
            "line": {"color": "#9ca3af", "width": 0.8},
            "layer": "below",
        }
        yield {**thin, "y0": y0, "y1": y1}
        yield {**thin, "y0": y1, "y1": y0}
    inset = (x1 - x0) * 0.06
    inner = {"type": "rect", "x0": x0 + inset, "x1": x1 - inset, "y0": i - 0.42, "y1": i + 0.42}
    if panel.stalled_IL[i, j]:
        yield {**inner, "line": {"color": style.MUTED, "width": 1, "dash": "dot"}}
    if panel.tuned_I[i] == j:
        yield {**inner, "line": {"color": style.MARK, "width": 2.5}}


def _hover(panel: Panel, inits: tuple[str, ...]) -> list[list[str]]:
    lines = []
    for i, init in enumerate(inits):
        line = []
        for j, lr in enumerate(panel.lrs):
            rate = wilson(int(panel.diverged_IL[i, j]), int(panel.n_IL[i, j]))
            line.append(
                f"{style.escaped(panel.optimizer)}, {style.escaped(init)}<br>learning rate {lr:.4g}<br>"
                f"diverged {rate.k} of {rate.n}: {100 * rate.value:.0f} % "
                f"[{100 * rate.low:.0f}, {100 * rate.high:.0f}]<br>"
                f"stalled {panel.stalled_IL[i, j]}<br>median test accuracy {panel.score_IL[i, j]:.3f}"
            )
        lines.append(line)
    return lines


def _edges(lrs: tuple[float, ...]) -> list[float]:
    """Edges of the squares in log10: halfway between neighbours; a quarter decade around a single one."""
    logs = [math.log10(lr) for lr in lrs]
    if len(logs) == 1:
        return [logs[0] - 0.25, logs[0] + 0.25]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(logs)]
    return [2 * logs[0] - middles[0], *middles, 2 * logs[-1] - middles[-1]]
