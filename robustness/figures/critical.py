"""Where training ends: each seed's first failure tried and its last learning rate that trains."""

# R resamples, S seeds

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.lanes import Lanes, jitter, lanes
from robustness.figures.style import Size
from robustness.figures.words import n_text
from robustness.summary import Study
from robustness.summary.metrics import estimates_from_ends
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import Estimate, quantile

__all__ = ["CriticalInfo", "CriticalRow", "critical_info", "draw_critical"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CriticalRow:
    """One optimizer on one initialization; logarithms to base 10.

    Attributes:
        optimizer: its label.
        lane: its place among the task's optimizers.
        init: its label.
        seeds_S: seed indices for which some learning rate trains.
        first_S: first learning rate that does not train; +inf where none was tried.
        last_S: last that trains.
        monotone_S: none trains above one that does not.
        never: seeds for which no learning rate trains.
        tenth: 10 % point of `first_S`, with its interval.
        half: 50 % point.
    """

    optimizer: str
    lane: int
    init: str
    seeds_S: npt.NDArray[np.int64]
    first_S: Floats
    last_S: Floats
    monotone_S: npt.NDArray[np.bool_]
    never: int
    tenth: Estimate
    half: Estimate


@dataclass(frozen=True, kw_only=True)
class CriticalInfo:
    """The numbers of one task; `low` and `high` are the ends of the learning rates tried (log10)."""

    title: str
    subtitle: str
    inits: tuple[str, ...]
    optimizers: tuple[str, ...]
    rows: tuple[CriticalRow, ...]
    low: float
    high: float
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Of each row its seeds, then the 10 % and 50 % points of their first failures; learning rates, not logarithms."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            labels = {"init": row.init, "optimizer": row.optimizer}
            lines += [
                {
                    **labels,
                    "what": "seed",
                    "seed": seed,
                    "first_not_trained": 10**first,
                    "last_trained": 10**last,
                }
                for seed, first, last in zip(row.seeds_S, row.first_S, row.last_S, strict=True)
            ]
            lines += [
                {
                    **labels,
                    "what": name,
                    "first_not_trained": 10**estimate.value,
                    "low": 10**estimate.low,
                    "high": 10**estimate.high,
                }
                for name, estimate in (("10 % point", row.tenth), ("50 % point", row.half))
            ]
        columns = ["init", "optimizer", "what", "seed", "first_not_trained", "last_trained", "low", "high"]
        return pd.DataFrame(lines, columns=columns).astype({"seed": "Int64"})


def critical_info(study: Study, task: str) -> CriticalInfo:
    """The critical learning rates of one task; learning rates drawn at random have none, a seed having only one."""
    trials = study.trials[study.trials["task"] == task]
    names = tuple(dict.fromkeys(trials["optimizer"]))
    samples = [s for s in study.resamples if s.cube.task == task and not s.cube.binned]
    rows = [row for sample in samples for row in _rows(sample, names.index(sample.cube.optimizer))]
    lrs = trials["lr"].to_numpy(dtype=float)
    never = sum(row.never for row in rows)
    return CriticalInfo(
        title=f"Critical learning rates: {task}",
        subtitle="The first failure tried of each seed, above a learning rate that trains. Not trained: not finite, "
        f"or skill ≤ {study.thresholds.skill_floor:g}. "
        + n_text((sample.cube.shape[0] for sample in samples), "seed", " a row"),
        inits=tuple(dict.fromkeys(trials["init"])),
        optimizers=names,
        rows=tuple(rows),
        low=math.log10(lrs.min()),
        high=math.log10(lrs.max()),
        notes=(
            "Filled: the seed's last learning rate that trains. Open: the first failure tried. Thin line between them: "
            "a gap, it trains above one that does not. Diamond: 50 % point of the first failures tried, small: 10 % point, "
            "bars: 95 % intervals, whole seeds resampled"
            + (
                ", down to where a failure was not looked for"
                if any(sample.cube.chosen for sample in samples)
                else ""
            )
            + ". Arrow: beyond the grid."
            + (
                f" Left out, {never} seeds of rows: none of their learning rates trains, or less than half were tried."
                if never
                else ""
            ),
        ),
    )


def _rows(sample: Resampled, lane: int) -> list[CriticalRow]:
    cube, found = sample.cube, sample.cube.critical
    rows = []
    for i, init in enumerate(cube.inits):
        first_S, there = found.first_not_trained[:, i], ~np.isnan(found.first_not_trained[:, i])
        complete = ~np.isnan(cube.trained_SIL[:, i]).all(axis=1)
        if not complete.any():
            continue
        low_MR, high_MR = (
            [quantile(logs_S[:, None], sample.resamples, q)[:, 0] for q in (0.1, 0.5)]
            for logs_S in (cube.lowest_first_failure_SI[:, i], first_S)
        )
        tenth, half = estimates_from_ends(low_MR, high_MR, sample.resamples.levels)
        rows.append(
            CriticalRow(
                optimizer=cube.optimizer,
                lane=lane,
                init=init,
                seeds_S=cube.seeds_S[there],
                first_S=first_S[there],
                last_S=found.last_trained[there, i],
                monotone_S=found.monotone[there, i],
                never=int((complete & ~there).sum()),
                tenth=tenth,
                half=half,
            )
        )
    return rows


def draw_critical(info: CriticalInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw it: lanes over the learning rates."""
    on = lanes(info.inits, len(info.optimizers), size, tall=1.7)
    edge = info.high + 0.12 * max(info.high - info.low, 1.0) / 2
    for lane, optimizer in enumerate(info.optimizers):
        rows = [row for row in info.rows if row.lane == lane]
        _draw_points(on, rows, optimizer, lane, edge, size)
        for row in rows:
            _draw_estimates(on, row, edge, size)
    room = (size.width - on.left - 20) // (style.text_width("0.0001", size.font) + 8)
    # Only the part where something ends, and a decade to its left.
    ends = [
        float(v) for row in info.rows for v in (*row.first_S, *row.last_S, row.tenth.low) if math.isfinite(v)
    ]
    start = max(info.low, math.floor(min(ends, default=info.low))) - 0.15
    positions, labels = style.decade_ticks([10**start, 10**info.high], int(room))
    on.figure.update_xaxes(
        tickvals=positions,
        ticktext=labels,
        range=[start, edge + 0.1],
        title="learning rate",
        title_standoff=4,
    )
    style.finish(
        on.figure,
        size=size,
        title=info.title,
        subtitle=info.subtitle,
        notes=info.notes,
        inner=on.inner,
        left=on.left,
        legend=info.optimizers,
    )
    return on.figure


def _draw_points(
    on: Lanes, rows: Sequence[CriticalRow], optimizer: str, lane: int, edge: float, size: Size
) -> None:
    """The seeds: gaps as segments, last that trains filled, first that does not open, an arrow where censored."""
    color = style.OPTIMIZER_COLORS[lane % len(style.OPTIMIZER_COLORS)]
    symbol = style.SYMBOLS[lane % len(style.SYMBOLS)]
    gaps: tuple[list[float | None], list[float | None]] = ([], [])
    x: list[float] = []
    y: list[float] = []
    symbols: list[str] = []
    hover: list[str] = []
    for row in rows:
        for k, offset in enumerate(jitter(len(row.first_S), 0.45)):
            first, last = float(row.first_S[k]), float(row.last_S[k])
            place = on.y(row.init, lane) - 0.17 + float(offset)
            if not row.monotone_S[k]:
                gaps[0].extend((first, last, None))
                gaps[1].extend((place, place, None))
            x += [last, min(first, edge)]
            y += [place, place]
            symbols += [symbol, f"{symbol}-open" if math.isfinite(first) else "triangle-right-open"]
            head = f"{style.fitted(optimizer, 500, 13)}, {style.fitted(row.init, 500, 13)}<br>seed {row.seeds_S[k]}: "
            fails = f"first failure tried {10**first:.4g}" if math.isfinite(first) else "nothing above fails"
            hover += [f"{head}last trained {10**last:.4g}", f"{head}{fails}"]
    line = {"color": color, "width": size.line * 0.6}
    on.figure.add_trace(
        go.Scatter(x=gaps[0], y=gaps[1], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    )
    on.figure.add_trace(
        go.Scatter(
            x=x or [math.nan],
            y=y or [math.nan],
            name=optimizer,
            mode="markers",
            marker={
                "size": size.mark * 0.7,
                "color": color,
                "symbol": symbols or [symbol],
                "line": {"color": color, "width": size.line * 0.5},
            },
            text=hover or None,
            hovertemplate="%{text}<extra></extra>",
        )
    )


def _draw_estimates(on: Lanes, row: CriticalRow, edge: float, size: Size) -> None:
    """The 10 % and the 50 % point on their lane, in ink: they are the result."""
    place = on.y(row.init, row.lane)
    for estimate, share, scale, shift in ((row.tenth, 10, 0.7, 0.4), (row.half, 50, 1.0, 0.2)):
        if math.isnan(estimate.value):
            continue
        inside = math.isfinite(estimate.value)
        ends = [min(end, edge) for end in (estimate.low, estimate.high) if not math.isnan(end)]
        text = (
            f"{share} % point of the first failures tried: "
            f"{10**estimate.value:.4g} [{10**estimate.low:.4g}, {10**estimate.high:.4g}]"
        )
        on.figure.add_trace(
            go.Scatter(
                x=ends,
                y=[place + shift] * len(ends),
                mode="lines",
                line={"color": style.INK, "width": size.line * 0.7},
                hoverinfo="skip",
                showlegend=False,
            )
        )
        on.figure.add_trace(
            go.Scatter(
                x=[min(estimate.value, edge)],
                y=[place + shift],
                mode="markers",
                marker={
                    "symbol": "diamond" if inside else "triangle-right",
                    "size": size.mark * scale,
                    "color": style.INK,
                    "line": {"color": "white", "width": 0},
                },
                text=[text],
                hovertemplate="%{text}<extra></extra>",
                showlegend=False,
            )
        )
