"""Lanes: one line of the picture for each initialization and optimizer, initializations grouped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.style import Size

__all__ = ["Lanes", "jitter", "lanes"]


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """Where each lane lies, downwards.

    Attributes:
        figure: with its y axis and the initializations' labels.
        inits: labels.
        lanes: in each group.
        inner: height of the axes, pixels.
        left: margin, pixels.
    """

    figure: go.Figure
    inits: tuple[str, ...]
    lanes: int
    inner: float
    left: int

    def y(self, init: str, lane: int) -> float:
        """The middle of a lane."""
        return self.inits.index(init) * (self.lanes + 1.0) + lane


def lanes(inits: Sequence[str], count: int, size: Size, tall: float = 1.0) -> Lanes:
    """An empty picture with `count` lanes for each initialization, `tall` times as high as usual."""
    count = max(count, 1)
    each = tall * ((17 if count > 3 else 22) if size.name == "page" else (10 if count > 3 else 13))
    left = style.left_margin(inits, size)
    groups = max(len(inits), 1)
    figure = go.Figure()
    middles = [i * (count + 1.0) + (count - 1) / 2 for i in range(len(inits))]
    total = groups * (count + 1.0)
    figure.update_yaxes(
        range=[total - 1.0, -1.0],
        tickvals=middles,
        ticktext=[style.fitted(init, left - 10, size.font) for init in inits],
        **{**style.AXIS, "showgrid": False, "ticks": "", "ticklen": 0},
    )
    figure.update_xaxes(**style.AXIS)
    for i in range(1, len(inits)):
        figure.add_hline(y=i * (count + 1.0) - 1.0, line={"color": "#d0d5dc", "width": 0.7})
    return Lanes(
        figure=figure, inits=tuple(inits), lanes=count, inner=max(total * each, 6 * size.font), left=left
    )


def jitter(count: int, width: float = 0.5) -> npt.NDArray[np.float64]:
    """Offsets of points that would hide each other, the same every time."""
    offsets = np.arange(count, dtype=np.float64) * 0.618034 % 1 - 0.5
    return np.asarray(offsets * width if count > 1 else np.zeros(count), dtype=np.float64)
