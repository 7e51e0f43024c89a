"""Drawing the divergence heatmap."""

# I initializations, L learning rates

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.heatmap import SHADES, HeatmapInfo, Panel
from robustness.figures.squares import Canvas, Squares, canvas, draw_squares, edges, fitting
from robustness.figures.style import Size
from robustness.summary import wilson

__all__ = ["draw_heatmap"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def draw_heatmap(info: HeatmapInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw it; k/n stands in every square that has trials (k where that is too wide), missing ones are grey."""
    on = canvas(size, info.inits, len(info.panels))
    grids = [panel.lrs for panel in info.panels]
    full = {
        f"{k}/{n}"
        for p in info.panels
        for k, n in zip(p.counts_IL(info.shade).flat, p.n_IL.flat, strict=True)
    }
    # In a column a fraction would be smaller than a reader can see: n stands in the subtitle.
    font, fraction = (fitting(on, grids, sorted(full)) if size.name == "page" else 0.0), True
    if not font:
        font, fraction = fitting(on, grids, sorted({text.split("/")[0] for text in full})), False
    panels = [_squares(panel, info, fraction=fraction) for panel in info.panels]
    shapes = [
        shape
        for row, (panel, squares) in enumerate(zip(info.panels, panels, strict=True), start=1)
        for shape in _shapes(panel, squares, "" if row == 1 else str(row), on)
    ]
    figure = draw_squares(on, info.inits, panels, font=font, color=_color(info))
    style.finish(
        figure,
        size=size,
        title=info.title,
        subtitle=info.subtitle,
        notes=_notes(info, font=font, fraction=fraction),
        inner=on.inner,
        left=on.left,
        right=on.right,
        heading=size.font * 1.6,
        below=on.below,
    )
    figure.layout.shapes = shapes  # last: Plotly checks all of a layout at every change
    return figure


def _color(info: HeatmapInfo) -> dict[str, Any]:
    if info.shade != "score":
        bar = {"title": {"text": f"share of seeds that {SHADES[info.shade]}"}, "tickformat": ".0%"}
        return {"colorscale": style.RATE_SCALE, "cmin": 0, "cmax": 1, "colorbar": bar}
    low, high = info.score_range
    bar = {"title": {"text": f"median {info.score_name}"}}
    return {"colorscale": style.SCORE_SCALE, "cmin": low, "cmax": high, "colorbar": bar}


def _notes(info: HeatmapInfo, *, font: float, fraction: bool) -> list[str]:
    verb = SHADES[info.shade]
    if not font:
        marks = ["The counts of each square: on hover, and in the CSV table."]
    elif fraction:
        marks = [f"In each square: trials that {verb} / complete trials (one a seed)."]
    else:
        marks = [f"In each square: how many of n {verb}; blank: none."]
    if any(panel.binned for panel in info.panels):
        marks.append("Learning rates were drawn at random: a square is a quarter of a decade.")
    if info.shade == "score":
        marks.append("Crossed out: most seeds diverged.")
    if any(panel.stalled_IL.any() for panel in info.panels):
        marks.append("Dashed: some stalled.")
    if any(_hatched(panel, info).any() for panel in info.panels):
        marks.append("Hatched: most neither trained nor diverged.")
    if any((panel.n_IL == 0).any() for panel in info.panels):
        marks.append("Grey, struck through: missing.")
    return [" ".join([*marks, info.notes[0]]), *info.notes[1:]]


def _squares(panel: Panel, info: HeatmapInfo, *, fraction: bool) -> Squares:
    counts_IL, hatched_IL = panel.counts_IL(info.shade), _hatched(panel, info)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate_IL = np.where(panel.n_IL > 0, counts_IL / panel.n_IL, np.nan)
    score = info.shade == "score"
    off_scale_IL = (rate_IL > 0.5) if score else np.zeros_like(rate_IL, dtype=bool)
    shade_IL = np.where(off_scale_IL, np.nan, panel.score_IL) if score else rate_IL
    low, high = info.score_range if score else (0.0, 1.0)
    texts = [
        [_text(k, n, fraction=fraction) for k, n in zip(*row, strict=True)]
        for row in zip(counts_IL.tolist(), panel.n_IL.tolist(), strict=True)
    ]
    return Squares(
        heading=panel.optimizer,
        lrs=panel.lrs,
        shade_IL=shade_IL,
        texts_IL=texts,
        patch_IL=off_scale_IL | (hatched_IL & (counts_IL == 0)),
        dark_IL=(shade_IL - low) / (high - low) > 0.55,
        hatched_IL=hatched_IL,
        hover_IL=_hover(panel, info),
    )


def _hatched(panel: Panel, info: HeatmapInfo) -> Flags:
    """Squares whose shade does not say that most of their seeds did not train."""
    return panel.unlearned_IL & (info.shade != "not-trained")


def _text(k: int, n: int, *, fraction: bool) -> str:
    if n == 0 or (k == 0 and not fraction):
        return ""
    return f"{k}/{n}" if fraction else str(k)


def _shapes(panel: Panel, squares: Squares, axis: str, on: Canvas) -> Iterator[dict[str, Any]]:
    x_edges = edges(panel.lrs)
    thin = on.size.line / 2
    crossed_IL = squares.patch_IL & ~squares.hatched_IL
    for i, j in itertools.product(range(len(panel.n_IL)), range(len(panel.lrs))):
        for shape in _marks(panel, i, j, x_edges, off_scale=bool(crossed_IL[i, j]), thin=thin):
            yield {**shape, "xref": f"x{axis}", "yref": f"y{axis}"}


def _marks(
    panel: Panel, i: int, j: int, x_edges: list[float], *, off_scale: bool, thin: float
) -> Iterator[dict[str, Any]]:
    """The marks of one square: missing, off the scale, stalled, tuned."""
    x0, x1, y0, y1 = x_edges[j], x_edges[j + 1], i - 0.5, i + 0.5
    box = {"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1}
    line = {"type": "line", "x0": x0, "x1": x1, "layer": "below"}
    if panel.n_IL[i, j] == 0:
        yield {**box, "fillcolor": style.MISSING, "line": {"width": 0}, "layer": "below"}
        # Grey alone could be a shade of the scale on paper.
        yield {**line, "y0": y1, "y1": y0, "line": {"color": "white", "width": 2 * thin}}
        return
    if off_scale:
        yield {**box, "line": {"color": style.INK, "width": thin}}
        crossing = {**line, "line": {"color": "#9ca3af", "width": 0.8 * thin}}
        yield {**crossing, "y0": y0, "y1": y1}
        yield {**crossing, "y0": y1, "y1": y0}
    inset = (x1 - x0) * 0.06
    inner = {"type": "rect", "x0": x0 + inset, "x1": x1 - inset, "y0": i - 0.42, "y1": i + 0.42}
    if panel.stalled_IL[i, j]:
        yield {**inner, "line": {"color": style.MUTED, "width": thin, "dash": "dot"}}
    if panel.tuned_I[i] == j:
        # Red and the darkest shades are one grey: white parts them.
        yield {**inner, "line": {"color": "white", "width": 5 * thin}}
        yield {**inner, "line": {"color": style.MARK, "width": 2.5 * thin}}


def _hover(panel: Panel, info: HeatmapInfo) -> list[list[str]]:
    optimizer = style.fitted(panel.optimizer, 500, 13)
    counts_IL = panel.counts_IL(info.shade)
    lines = []
    for i, init in enumerate(info.inits):
        line = []
        for j, lr in enumerate(panel.lrs):
            rate = wilson(int(counts_IL[i, j]), int(panel.n_IL[i, j]))
            line.append(
                f"{optimizer}, {style.fitted(init, 500, 13)}<br>learning rate {lr:.4g}<br>"
                f"{SHADES[info.shade]}: {rate.k} of {rate.n}, {100 * rate.value:.0f} % "
                f"[{100 * rate.low:.0f}, {100 * rate.high:.0f}]<br>"
                f"not finite {panel.nonfinite_IL[i, j]}, diverged {panel.diverged_IL[i, j]}, "
                f"not trained {panel.not_trained_IL[i, j]}, stalled {panel.stalled_IL[i, j]}<br>"
                f"median {info.score_name} {panel.score_IL[i, j]:.3f}"
            )
        lines.append(line)
    return lines
