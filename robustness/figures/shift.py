"""Is it just a learning rate? Left the curves as they are, right the second optimizer's shifted onto the first's."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.curves import score_axis
from robustness.figures.lines import Line, add_line, panels
from robustness.figures.style import Size
from robustness.phrases import counted
from robustness.summary.resampling import Estimate
from robustness.summary.shift import ShiftInfo, signed, verdict

__all__ = ["draw_shift"]


def draw_shift(info: ShiftInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw it: a line of panels for each initialization."""
    shift = 0.0 if math.isnan(info.shift.value) else info.shift.value
    inits = info.inits if len(info.lrs_a) else ()
    right = f"shifted {signed(shift, 2)} decades" if size.name == "page" else signed(shift, 2)
    headings = [text for init in inits for text in (init, f"{right}: {init}")]
    on = panels(headings or [""], size, height=size.panel * (0.75 if len(inits) > 1 else 1.2))
    nothing = np.full(0, math.nan)
    for p in range(2 * len(inits)):
        for index, (name, lrs, median_IL) in enumerate(
            ((info.a, info.lrs_a, info.median_a_IL), (info.b, info.lrs_b, info.median_b_IL))
        ):
            moved = shift if p % 2 and index else 0.0
            y = median_IL[p // 2]
            line = Line(
                name=name,
                index=index,
                x=np.log10(lrs) + moved,
                y=y,
                low=np.full(len(y), math.nan) if len(y) else nothing,
                high=np.full(len(y), math.nan) if len(y) else nothing,
                hover=[
                    f"{style.fitted(name, 500, 13)}<br>learning rate {lr:.4g}<br>median {score:.3f}"
                    for lr, score in zip(lrs, y, strict=True)
                ],
            )
            add_line(on, p, line, size, legend=p == 0, crowd=2)
    logs = np.log10([*info.lrs_a, *info.lrs_b] or [1.0])
    low, high = logs.min() + min(shift, 0.0), logs.max() + max(shift, 0.0)
    positions, labels = on.decades([10.0**low, 10.0**high], size)
    on.figure.update_xaxes(tickvals=positions, ticktext=labels, range=[low - 0.15, high + 0.15])
    axes = ["learning rate", f"learning rate of {info.a}"]
    for place, title in zip(on.lowest(), axes, strict=False):
        room = size.width / 2 - 30
        on.figure.update_xaxes(title=style.fitted(title, room, size.font), title_standoff=4, **place)
    score_axis(on, info.score_name, size)
    style.finish(
        on.figure,
        size=size,
        title=f"Is it just a learning rate? {info.a} and {info.b}: {info.task}",
        subtitle=f"{verdict(info)} {_medians(info)}",
        notes=_notes(info),
        inner=on.inner,
        left=on.left,
        heading=size.font * 1.8,
        legend=[info.a, info.b] if inits else (),
    )
    return on.figure


def _notes(info: ShiftInfo) -> list[str]:
    if info.note:
        return []
    return [
        f"Best shift of {info.b}, one for all initializations: {_shown(info.shift, 2)} decades. Mean absolute "
        f"difference of the curves: {_shown(info.before, 3, plus=False)} before, {_shown(info.remaining, 3, plus=False)} after.",
        f"{info.a} minus {info.b}: window {_shown(info.window, 2)} decades (within 5 % of skill of the best), tuned "
        f"{info.score_name} {_shown(info.tuned, 3)}."
        + (" 95 % intervals, whole seeds resampled, the shift anew in each draw." if info.paired else ""),
    ]


def _medians(info: ShiftInfo) -> str:
    if info.paired:
        return f"Median over seeds, n = {info.seeds}."
    return f"Median over trials in bins of a quarter decade, n = {counted(info.seeds, 'trial')}."


def _shown(estimate: Estimate, digits: int, *, plus: bool = True) -> str:
    if math.isnan(estimate.value):
        return "not defined"
    value, low, high = (
        signed(part, digits) if plus else f"{part:.{digits}f}"
        for part in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} (no interval)" if math.isnan(estimate.low) else f"{value} [{low}, {high}]"
