"""What k trials of tuning give: the expected test score of the best of k learning rates drawn at random."""

# R resamples, K numbers of trials

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.curves import score_axis
from robustness.figures.frames import stacked
from robustness.figures.lines import Line, add_line, panels
from robustness.figures.style import Size
from robustness.figures.words import n_text
from robustness.summary import Study
from robustness.summary.best_of_k import BestOfRow, best_of_row
from robustness.summary.resampled import Resampled
from robustness.summary.resampling import estimates
from robustness.summary.rows import bounds_of

__all__ = ["BestOfK", "BestOfKInfo", "best_of_k_info", "draw_best_of_k"]

Floats = npt.NDArray[np.float64]
MOST = 64


@dataclass(frozen=True, kw_only=True)
class BestOfK:
    """One optimizer's line on one initialization.

    Attributes:
        optimizer: its label.
        index: its place among the task's optimizers.
        ks_K: numbers of trials.
        score_K: expected score.
        low_K: end of the 95 % interval; NaN with one seed.
        high_K: the other end.
    """

    optimizer: str
    index: int
    ks_K: npt.NDArray[np.int64]
    score_K: Floats
    low_K: Floats
    high_K: Floats


@dataclass(frozen=True, kw_only=True)
class BestOfKInfo:
    """The numbers of one task: for each initialization its lines."""

    title: str
    subtitle: str
    panels: tuple[tuple[str, tuple[BestOfK, ...]], ...]
    score_name: str
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row a point: init, optimizer, k, the expected score and its band."""
        return stacked(
            ("init", "optimizer", "k", "score", "low", "high"),
            (
                (init, line.optimizer, line.ks_K, line.score_K, line.low_K, line.high_K)
                for init, lines in self.panels
                for line in lines
            ),
        )


def best_of_k_info(study: Study, task: str) -> BestOfKInfo:
    """The curves of one task; k up to the number of learning rates: beyond, a grid has nothing new.

    Args:
        study: for the labels.
        task: its label.
    """
    trials = study.trials[study.trials["task"] == task]
    names = list(dict.fromkeys(trials["optimizer"]))
    found: dict[str, list[BestOfK]] = {init: [] for init in dict.fromkeys(trials["init"])}
    rows: list[BestOfRow] = []
    for sample in (sample for sample in study.resamples if sample.cube.task == task):
        cube = sample.cube
        for i, init in enumerate(cube.inits):
            if not np.isnan(cube.score_SIL[:, i]).all():
                row = best_of_row(sample, i, lambda most: range(1, min(most, MOST) + 1))
                rows.append(row)
                found[init].append(_line(row, sample, names.index(cube.optimizer)))
    facts = study.facts[task]
    pooled = any(row.pooled for row in rows)
    drawn = "trials" if pooled else "learning rates of a seed"
    what = "trial" if pooled else "seed"
    return BestOfKInfo(
        title=f"Expected {facts.score_name} of the best of k trials: {task}",
        subtitle=f"k {drawn} drawn at random without replacement; the best on {facts.selection} data, valued by "
        f"{facts.score_name} of the final epoch{'' if pooled else '; mean over seeds'}. "
        + n_text((row.n for row in rows), what, " a row"),
        panels=tuple((init, tuple(lines)) for init, lines in found.items()),
        score_name=facts.score_name,
        notes=(
            (
                "Bands: 95 %, trials resampled; none of thousands, or where several have one setting. "
                if pooled
                else "Bands: 95 %, whole seeds resampled; none with one seed. Where seeds have different learning rates, "
                "those with the most are drawn from, and there is no band. "
            )
            + "A trial that did not train counts at chance.",
        ),
    )


def _line(row: BestOfRow, sample: Resampled, index: int) -> BestOfK:
    bounds = [bounds_of("expected_best_of_k", sample.unit)] * len(row.ks_K)
    intervals = estimates(list(row.values_RK.T), sample.resamples.levels, bounds=bounds)
    return BestOfK(
        optimizer=sample.cube.optimizer,
        index=index,
        ks_K=np.array(row.ks_K),
        score_K=row.values_RK[0],
        low_K=np.array([interval.low for interval in intervals]),
        high_K=np.array([interval.high for interval in intervals]),
    )


def draw_best_of_k(info: BestOfKInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw them, two panels a line."""
    on = panels([init for init, _ in info.panels], size)
    shown: set[str] = set()
    for p, (_, lines) in enumerate(info.panels):
        for part in lines:
            line = Line(
                name=part.optimizer,
                index=part.index,
                x=np.log2(part.ks_K),
                y=part.score_K,
                low=part.low_K,
                high=part.high_K,
                hover=[
                    f"{style.fitted(part.optimizer, 500, 13)}<br>best of {k}: {score:.3f} [{low:.3f}, {high:.3f}]"
                    for k, score, low, high in zip(
                        part.ks_K, part.score_K, part.low_K, part.high_K, strict=True
                    )
                ],
            )
            add_line(on, p, line, size, legend=part.optimizer not in shown, crowd=len(lines))
            shown.add(part.optimizer)
    most = max((int(part.ks_K[-1]) for _, lines in info.panels for part in lines), default=1)
    ticks = [k for k in (1, 2, 4, 8, 16, 32, 64) if k <= most]
    on.figure.update_xaxes(
        tickvals=np.log2(ticks).tolist(),
        ticktext=[str(k) for k in ticks],
        range=[-0.15, float(np.log2(most)) + 0.15],
    )
    for place in on.lowest():
        on.figure.update_xaxes(title="trials of tuning, k", title_standoff=4, **place)
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
        legend=list(dict.fromkeys(part.optimizer for _, lines in info.panels for part in lines)),
    )
    return on.figure
