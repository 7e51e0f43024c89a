"""Accuracy against learning rate, one panel an initialization, one line an optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from robustness.figures import style
from robustness.summary import Study

__all__ = ["Curve", "CurvesInfo", "curves_info", "draw_curves"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One optimizer on one initialization over its learning rates (L), ascending.

    Attributes:
        optimizer: its label.
        lrs_L: learning rates with at least one complete trial.
        median_L: median score.
        low_L: lowest score of a seed.
        high_L: highest score of a seed.
        mostly_diverged_L: whether more than half of the seeds diverged.
    """

    optimizer: str
    lrs_L: Floats
    median_L: Floats
    low_L: Floats
    high_L: Floats
    mostly_diverged_L: npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class CurvesInfo:
    """The numbers of one task's curves: for each initialization its curves."""

    title: str
    panels: tuple[tuple[str, tuple[Curve, ...]], ...]
    chance: float
    notes: tuple[str, ...]


def curves_info(study: Study, task: str) -> CurvesInfo:
    """The curves of one task, from its complete trials."""
    own = study.complete[study.complete["task"] == task]
    inits = list(dict.fromkeys(study.trials.loc[study.trials["task"] == task, "init"]))
    optimizers = list(dict.fromkeys(study.trials.loc[study.trials["task"] == task, "optimizer"]))
    by_row = {key: part for key, part in own.groupby(["optimizer", "init"], sort=False)}
    panels = tuple(
        (
            init,
            tuple(_curve(name, by_row[name, init]) for name in optimizers if (name, init) in by_row),
        )
        for init in inits
    )
    seeds = own["seed_index"].nunique()
    return CurvesInfo(
        title=f"Test accuracy over learning rates: {task}",
        panels=panels,
        chance=study.facts[task].chance,
        notes=(
            f"Median and range over {seeds} seeds; a trial that did not train counts at chance (dotted line).",
            f"Open marks: more than half of the seeds diverged. {style.rule_text(study.thresholds)}",
        ),
    )


def _curve(optimizer: str, part: pd.DataFrame) -> Curve:
    grouped = part.groupby("lr")
    score = grouped["score"].agg(["median", "min", "max"])
    diverged = (part["side"] == "diverged").groupby(part["lr"]).mean()
    return Curve(
        optimizer=optimizer,
        lrs_L=score.index.to_numpy(dtype=float),
        median_L=score["median"].to_numpy(),
        low_L=score["min"].to_numpy(),
        high_L=score["max"].to_numpy(),
        mostly_diverged_L=(diverged > 0.5).to_numpy(),
    )


def draw_curves(info: CurvesInfo) -> go.Figure:
    """Draw them, two panels a line."""
    columns = min(len(info.panels), 2)
    lines = -(-len(info.panels) // columns)
    bottom = 112
    height = 250 * lines + 92 + bottom
    figure = make_subplots(
        rows=lines,
        cols=columns,
        shared_yaxes=True,
        subplot_titles=[style.escaped(init) for init, _ in info.panels],
        horizontal_spacing=0.04,
        vertical_spacing=70 / (250 * lines) if lines > 1 else 0,
    )
    names = list(dict.fromkeys(curve.optimizer for _, curves in info.panels for curve in curves))
    in_legend: set[str] = set()
    for p, (_, curves) in enumerate(info.panels):
        row, column = p // columns + 1, p % columns + 1
        for curve in curves:
            _draw_curve(
                figure,
                curve,
                names.index(curve.optimizer),
                row,
                column,
                legend=curve.optimizer not in in_legend,
            )
            in_legend.add(curve.optimizer)
        figure.add_hline(
            y=info.chance, line={"color": style.MUTED, "width": 1, "dash": "dot"}, row=row, col=column
        )
    lrs = [lr for _, curves in info.panels for curve in curves for lr in curve.lrs_L]
    positions, labels = style.decade_ticks(lrs or [1.0])
    axis = {
        "ticks": "outside",
        "showline": True,
        "linecolor": style.INK,
        "gridcolor": "#eceff3",
        "zeroline": False,
    }
    figure.update_xaxes(tickvals=positions, ticktext=labels, **axis)
    for p in range(max(len(info.panels) - columns, 0), len(info.panels)):
        row, column = p // columns + 1, p % columns + 1
        figure.update_xaxes(title="learning rate", title_standoff=4, row=row, col=column)
    figure.update_yaxes(range=[0, 1.02], **axis)
    figure.update_yaxes(title="test accuracy", col=1)
    style.apply(figure, title=info.title, width=900, height=height, left=64, bottom=bottom)
    figure.update_layout(
        margin_t=92,
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1 + 24 / (250 * lines),
            "yanchor": "bottom",
        },
    )
    style.caption(figure, info.notes, bottom=bottom)
    return figure


def _draw_curve(figure: go.Figure, curve: Curve, index: int, row: int, column: int, *, legend: bool) -> None:
    color = style.OPTIMIZER_COLORS[index % len(style.OPTIMIZER_COLORS)]
    x = np.log10(curve.lrs_L)
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([curve.high_L, curve.low_L[::-1]]),
            fill="toself",
            fillcolor=color,
            opacity=0.13,
            line_width=0,
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        ),
        row=row,
        col=column,
    )
    symbol = style.SYMBOLS[index % len(style.SYMBOLS)]
    figure.add_trace(
        go.Scatter(
            x=x,
            y=curve.median_L,
            name=style.escaped(curve.optimizer),
            legendgroup=curve.optimizer,
            showlegend=legend,
            mode="lines+markers",
            line={"color": color, "width": 2, "dash": style.DASHES[index % len(style.DASHES)]},
            marker={
                "size": 7,
                "symbol": [f"{symbol}-open" if gone else symbol for gone in curve.mostly_diverged_L],
            },
            customdata=curve.lrs_L,
            hovertemplate="%{customdata:.4g}: %{y:.3f}",
        ),
        row=row,
        col=column,
    )
