"""Score against learning rate, one panel an initialization, one line an optimizer."""

# R resamples, S seeds, L learning rates

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.frames import stacked
from robustness.figures.lines import Line, Panels, add_line, panels
from robustness.figures.style import Size
from robustness.figures.words import n_text, unit
from robustness.summary import Study
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import estimates

__all__ = ["Band", "Curve", "CurvesInfo", "curves_info", "draw_curves", "score_axis"]

Floats = npt.NDArray[np.float64]
Band = Literal["range", "interval"]

SEEDS_FOR_INTERVAL = 10
"""Below, an interval of a median covers less than it states: the range says what was seen."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One optimizer on one initialization over its learning rates (L), ascending.

    Attributes:
        optimizer: its label.
        index: its place among the task's optimizers.
        lrs_L: learning rates with at least one complete trial.
        median_L: median score.
        low_L: lower edge of the band.
        high_L: upper edge.
        n_L: complete trials.
        mostly_diverged_L: whether more than half of the seeds diverged.
    """

    optimizer: str
    index: int
    lrs_L: Floats
    median_L: Floats
    low_L: Floats
    high_L: Floats
    n_L: npt.NDArray[np.int64]
    mostly_diverged_L: npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class CurvesInfo:
    """The numbers of one task's curves: for each initialization its curves.

    Attributes:
        title: what is shown.
        subtitle: the rule and n.
        panels: of each initialization, its curves.
        chance: score of the best constant predictor.
        score_name: as the task's score is called.
        band: what the bands are.
        notes: what the marks mean.
    """

    title: str
    subtitle: str
    panels: tuple[tuple[str, tuple[Curve, ...]], ...]
    chance: float
    score_name: str
    band: Band
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row a point: init, optimizer, lr, median score, its band, n, whether most seeds diverged."""
        return stacked(
            ("init", "optimizer", "lr", "median", "low", "high", "n", "mostly_diverged"),
            (
                (init, c.optimizer, c.lrs_L, c.median_L, c.low_L, c.high_L, c.n_L, c.mostly_diverged_L)
                for init, curves in self.panels
                for c in curves
            ),
        )


def curves_info(
    study: Study,
    task: str,
    *,
    band: Band | None = None,
) -> CurvesInfo:
    """The curves of one task, from its complete trials.

    Args:
        study: for the labels and the rule.
        task: its label.
        band: the range over seeds, or the 95 % interval of the median by resampling whole seeds; by default the
            interval from ten seeds on.
    """
    trials = study.trials[study.trials["task"] == task]
    inits = list(dict.fromkeys(trials["init"]))
    names = list(dict.fromkeys(trials["optimizer"]))
    own = study.grid.of_task(task)
    independent = max((cube.shape[0] for cube in own if not cube.clustered), default=0)
    band = band or ("interval" if independent >= SEEDS_FOR_INTERVAL else "range")
    possible = (0.0, 1.0) if study.facts[task].score == "accuracy" else (-math.inf, math.inf)
    samples = study.resamples if band == "interval" else study.tuning
    curves = [
        _curves(sample, names.index(sample.cube.optimizer), band, possible)
        for sample in samples
        if sample.cube.task == task
    ]
    facts, of = study.facts[task], unit(own)
    drawn = "trials" if of == "trial" else "whole seeds"
    ends = f"range over {of}s" if band == "range" else f"95 % interval of the median, {drawn} resampled"
    drawn_curves = [curve for part in curves for curve in part.values()]
    sizes = [int(n) for curve in drawn_curves for n in curve.n_L]
    bare = any(np.isnan(curve.low_L).any() for curve in drawn_curves)
    return CurvesInfo(
        title=f"{facts.score_name.capitalize()} over learning rates: {task}",
        subtitle=f"Median and {ends}. "
        f"{n_text(sizes, of, ' a bin of a quarter decade' if of == 'trial' else '')} "
        f"A trial that did not train (skill ≤ {study.thresholds.skill_floor:g}) counts at chance.",
        panels=tuple(
            (init, tuple(part[init] for part in curves if init in part and len(part[init].lrs_L)))
            for init in inits
        ),
        chance=facts.chance,
        score_name=facts.score_name,
        band=band,
        notes=(
            f"Thin dashed line: chance. Open marks: more than half of the {of}s diverged. "
            f"{f'Without a band: too few {of}s for an interval. ' if bare else ''}"
            f"{style.rule_text(study.thresholds)}",
        ),
    )


def _curves(sample: Resampled, index: int, band: Band, possible: tuple[float, float]) -> dict[str, Curve]:
    cube = sample.cube
    _, inits, lrs = cube.shape
    median_IL = sample.score_RIL[0]
    if band == "interval":
        intervals = estimates(
            list(sample.score_RIL.reshape(-1, inits * lrs).T),
            sample.resamples.levels,
            bounds=[possible] * (inits * lrs),
        )
        low, high = ([getattr(interval, end) for interval in intervals] for end in ("low", "high"))
        low_IL, high_IL = (np.array(ends, dtype=float).reshape(inits, lrs) for ends in (low, high))
    else:
        low_IL, high_IL = np.fmin.reduce(cube.score_SIL), np.fmax.reduce(cube.score_SIL)
    n_IL = (~np.isnan(cube.score_SIL)).sum(axis=0)
    gone_IL = np.nansum(cube.diverged_SIL, axis=0) > 0.5 * n_IL
    present_IL = ~np.isnan(median_IL)
    return {
        init: Curve(
            optimizer=cube.optimizer,
            index=index,
            lrs_L=cube.lrs_L[present_IL[i]],
            median_L=median_IL[i, present_IL[i]],
            low_L=low_IL[i, present_IL[i]],
            high_L=high_IL[i, present_IL[i]],
            n_L=n_IL[i, present_IL[i]],
            mostly_diverged_L=gone_IL[i, present_IL[i]],
        )
        for i, init in enumerate(cube.inits)
    }


def score_axis(on: Panels, score_name: str, size: Size) -> None:
    """The y axes: 0 to 1 for an accuracy, what occurs for a loss."""
    if score_name == "test accuracy":
        on.figure.update_yaxes(range=[0, 1.02])
    style.y_title(on.figure, score_name, size, left=on.left, axes=on.first_axes())


def draw_curves(info: CurvesInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw them, two panels a line."""
    on = panels([init for init, _ in info.panels], size)
    shown: set[str] = set()
    for p, (_, curves) in enumerate(info.panels):
        for curve in curves:
            line = Line(
                name=curve.optimizer,
                index=curve.index,
                x=np.log10(curve.lrs_L),
                y=curve.median_L,
                low=curve.low_L,
                high=curve.high_L,
                hover=_hover(curve),
                open_=curve.mostly_diverged_L,
            )
            add_line(on, p, line, size, legend=curve.optimizer not in shown, crowd=len(curves))
            shown.add(curve.optimizer)
        on.figure.add_hline(
            y=info.chance, line={"color": style.MUTED, "width": 1, "dash": "dot"}, **on.place(p)
        )
    lrs = [lr for _, curves in info.panels for curve in curves for lr in curve.lrs_L]
    positions, labels = on.decades(lrs or [1.0], size)
    logs = np.log10(lrs or [1.0])
    on.figure.update_xaxes(tickvals=positions, ticktext=labels, range=[logs.min() - 0.15, logs.max() + 0.15])
    for place in on.lowest():
        on.figure.update_xaxes(title="learning rate", title_standoff=4, **place)
    score_axis(on, info.score_name, size)
    style.finish(
        on.figure,
        size=size,
        title=info.title,
        subtitle=info.subtitle,
        notes=info.notes,
        inner=on.inner,
        left=on.left,
        heading=size.font * 1.8,
        legend=list(dict.fromkeys(c.optimizer for _, curves in info.panels for c in curves)),
    )
    return on.figure


def _hover(curve: Curve) -> list[str]:
    name = style.fitted(curve.optimizer, 500, 13)
    return [
        f"{name}<br>learning rate {lr:.4g}<br>median {median:.3f}{'' if np.isnan(low) else f' [{low:.3f}, {high:.3f}]'}"
        f", n = {n}"
        for lr, median, low, high, n in zip(
            curve.lrs_L, curve.median_L, curve.low_L, curve.high_L, curve.n_L, strict=True
        )
    ]
