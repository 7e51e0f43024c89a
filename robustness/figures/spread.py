"""The spread over seeds at each row's tuned learning rate: a box and its points, by initialization."""

# S seeds

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.frames import stacked
from robustness.figures.lanes import Lanes, jitter, lanes
from robustness.figures.style import Size
from robustness.figures.words import n_text, unit
from robustness.summary import Study
from robustness.summary.confirmed import are_confirmed
from robustness.summary.resampled import at

__all__ = ["Box", "SpreadInfo", "draw_spread", "spread_info"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Box:
    """One row's scores.

    Attributes:
        optimizer: its label.
        lane: its place among the task's optimizers.
        init: its label.
        tuned_lr: the learning rate of the scores; NaN where none trains, and all are at chance.
        seeds_S: seed indices of complete trials; of trials drawn at random their own.
        score_S: their scores; chance where not trained.
        trained_S: whether they trained.
        quartiles: least, 25 %, median, 75 %, most.
    """

    optimizer: str
    lane: int
    init: str
    tuned_lr: float
    seeds_S: npt.NDArray[np.int64]
    score_S: Floats
    trained_S: npt.NDArray[np.bool_]
    quartiles: tuple[float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class SpreadInfo:
    """The numbers of one task's spread; `unit` is what a point is."""

    title: str
    subtitle: str
    unit: str
    inits: tuple[str, ...]
    optimizers: tuple[str, ...]
    boxes: tuple[Box, ...]
    chance: float
    score_name: str
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row a point: init, optimizer, the tuned learning rate, seed, score, whether it trained."""
        return stacked(
            ("init", "optimizer", "tuned_lr", self.unit.replace(" ", "_"), "score", "trained"),
            ((b.init, b.optimizer, b.tuned_lr, b.seeds_S, b.score_S, b.trained_S) for b in self.boxes),
        )


def spread_info(study: Study, task: str) -> SpreadInfo:
    """The spread of one task, over its fresh seeds where it has them; rows with nothing complete are left out.

    Args:
        study: for the labels and the rule.
        task: its label.
    """
    trials = study.trials[study.trials["task"] == task]
    names = tuple(dict.fromkeys(trials["optimizer"]))
    samples = [sample for sample in study.tuning if sample.cube.task == task]
    boxes = []
    for sample in samples:
        cube, place_1I = sample.scored.cube, sample.scored.tuned_RI
        score_SI, trained_SI = at(cube.score_SIL, place_1I), at(cube.trained_SIL, place_1I) == 1
        for i, init in enumerate(cube.inits):
            there = ~np.isnan(score_SI[:, i])
            if there.any():
                score_S = score_SI[there, i]
                low, first, middle, third, high = np.quantile(score_S, [0, 0.25, 0.5, 0.75, 1]).tolist()
                boxes.append(
                    Box(
                        optimizer=cube.optimizer,
                        lane=names.index(cube.optimizer),
                        init=init,
                        tuned_lr=float(sample.tuned_lrs_I[i]),
                        seeds_S=cube.seeds_S[there],
                        score_S=score_S,
                        trained_S=trained_SI[there, i],
                        quartiles=(low, first, middle, third, high),
                    )
                )
    facts, fresh = study.facts[task], are_confirmed(samples)
    of = unit((sample.cube for sample in samples), fresh=fresh)
    where = {"fresh seed": " of the other seeds", "trial": ", in bins of a quarter decade"}.get(of, "")
    gone = (
        f" × did not train (skill ≤ {study.thresholds.skill_floor:g}) and counts at chance, the dashed line."
        if any(not box.trained_S.all() for box in boxes)
        else ""
    )
    return SpreadInfo(
        title=f"Spread over {of}s at the tuned learning rate: {task}",
        subtitle=f"{facts.score_name.capitalize()} of the final epoch at each row's best median on {facts.selection} "
        f"data{where}. {n_text((len(box.score_S) for box in boxes), of, ' a box')}",
        unit=of,
        inits=tuple(dict.fromkeys(trials["init"])),
        optimizers=names,
        boxes=tuple(boxes),
        chance=facts.chance,
        score_name=facts.score_name,
        notes=(f"Box: quartiles and median; whiskers: range; points: {of}s.{gone}",),
    )


def draw_spread(info: SpreadInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw it; boxes lie, so that long labels and many optimizers have room."""
    on = lanes(info.inits, len(info.optimizers), size)
    for lane, optimizer in enumerate(info.optimizers):
        _draw_boxes(on, [box for box in info.boxes if box.lane == lane], optimizer, lane, info, size)
    scores = [float(score) for box in info.boxes for score in box.score_S]
    if any(not box.trained_S.all() for box in info.boxes):
        on.figure.add_vline(x=info.chance, line={"color": style.MUTED, "width": 1, "dash": "dot"})
        scores.append(info.chance)
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    margin = 0.04 * (high - low) or 0.05 * max(abs(high), 0.1)
    on.figure.update_xaxes(range=[low - margin, high + margin], title=info.score_name, title_standoff=4)
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


def _tuned_text(box: Box) -> str:
    if math.isnan(box.tuned_lr):
        return "no learning rate trains"
    return f"tuned learning rate {box.tuned_lr:.4g}"


def _draw_boxes(
    on: Lanes, boxes: Sequence[Box], optimizer: str, lane: int, info: SpreadInfo, size: Size
) -> None:
    color = style.OPTIMIZER_COLORS[lane % len(style.OPTIMIZER_COLORS)]
    symbol = style.SYMBOLS[lane % len(style.SYMBOLS)]
    if boxes:
        low, first, middle, third, high = zip(*(box.quartiles for box in boxes), strict=True)
        on.figure.add_trace(
            go.Box(
                y=[on.y(box.init, lane) for box in boxes],
                lowerfence=low,
                q1=first,
                median=middle,
                q3=third,
                upperfence=high,
                orientation="h",
                width=0.62,
                line={"color": color, "width": size.line * 0.6},
                fillcolor="white",
                hoverinfo="skip",
                showlegend=False,
                legendgroup=str(lane),
            )
        )
    x: list[float] = []
    y: list[float] = []
    symbols: list[str] = []
    hover: list[str] = []
    for box in boxes:
        x += box.score_S.tolist()
        y += (on.y(box.init, lane) + jitter(len(box.score_S))).tolist()
        symbols += [symbol if trained else "x-thin" for trained in box.trained_S]
        hover += [
            f"{style.fitted(optimizer, 500, 13)}, {style.fitted(box.init, 500, 13)}<br>"
            f"{_tuned_text(box)}<br>{info.unit} {seed}: {info.score_name} {score:.4f}"
            for seed, score in zip(box.seeds_S, box.score_S, strict=True)
        ]
    marker = {"size": size.mark * 0.75, "color": color, "line": {"color": color, "width": size.line * 0.6}}
    # By itself: a legend shows the first of a trace's marks, which can be a seed's that did not train.
    on.figure.add_trace(
        go.Scatter(
            x=[math.nan],
            y=[math.nan],
            name=optimizer,
            legendgroup=str(lane),
            mode="markers",
            marker={**marker, "symbol": symbol},
            hoverinfo="skip",
        )
    )
    on.figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            legendgroup=str(lane),
            showlegend=False,
            mode="markers",
            marker={**marker, "symbol": symbols},
            text=hover or None,
            hovertemplate="%{text}<extra></extra>",
        )
    )
