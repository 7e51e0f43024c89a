"""The divergence heatmap in numbers: learning rate x initialization, one panel an optimizer."""

# I initializations, L learning rates

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustness.figures import style
from robustness.figures.words import n_text
from robustness.summary import Study, wilson
from robustness.summary.resampled import Resampled
from robustness.summary.sampler_limits import orders_of
from robustness.wording.captions import seeds_text

__all__ = ["SHADES", "HeatmapInfo", "Panel", "Shade", "heatmap_info"]

Shade = Literal["nonfinite", "diverged", "not-trained", "score"]
SHADES: dict[Shade, str] = {
    "nonfinite": "were not finite",
    "diverged": "diverged",
    "not-trained": "did not train",
    "score": "diverged",  # what the numbers in the squares count
}
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One optimizer's squares.

    Attributes:
        optimizer: its label.
        lrs: learning rates, ascending (L); centres of bins where `binned`.
        binned: learning rates were drawn at random: squares are a quarter of a decade.
        n_IL: complete trials a square; 0 is a missing square.
        diverged_IL: of them diverged.
        nonfinite_IL: of them not finite.
        not_trained_IL: of them not trained.
        stalled_IL: of them stalled.
        unresolved_IL: of them neither trained, diverged nor stalled.
        score_IL: median score; NaN where missing.
        tuned_I: index of each initialization's tuned learning rate; -1 where it trains in less than half of the seeds.
    """

    optimizer: str
    lrs: tuple[float, ...]
    binned: bool
    n_IL: Counts
    diverged_IL: Counts
    nonfinite_IL: Counts
    not_trained_IL: Counts
    stalled_IL: Counts
    unresolved_IL: Counts
    score_IL: Floats
    tuned_I: tuple[int, ...]

    @property
    def unlearned_IL(self) -> npt.NDArray[np.bool_]:
        """Squares that look as if they trained: most seeds did not, while at most half diverged and at most half stalled."""
        most = (2 * self.not_trained_IL > self.n_IL) & (2 * self.diverged_IL <= self.n_IL)
        return np.asarray(most & (self.unresolved_IL > 0) & (2 * self.stalled_IL <= self.n_IL))

    def counts_IL(self, shade: Shade) -> Counts:
        """What a shade counts: of each square's trials."""
        if shade == "nonfinite":
            return self.nonfinite_IL
        return self.not_trained_IL if shade == "not-trained" else self.diverged_IL


@dataclass(frozen=True, kw_only=True)
class HeatmapInfo:
    """The numbers of one task's heatmap.

    Attributes:
        title: what is shown, of which task.
        subtitle: the rule and n.
        inits: labels (I).
        panels: of each optimizer.
        shade: what colours a square.
        score_name: as the task's score is called.
        score_range: ends of the score's colours.
        notes: on intervals, and on selection.
        squares: of `Grid.squares`, of this task.
    """

    title: str
    subtitle: str
    inits: tuple[str, ...]
    panels: tuple[Panel, ...]
    shade: Shade
    score_name: str
    score_range: tuple[float, float]
    notes: tuple[str, ...]
    squares: pd.DataFrame

    def frame(self) -> pd.DataFrame:
        """The squares, one a row: optimizer, lr, init, counts by outcome and side, the rate with Wilson's interval, scores."""
        return self.squares


def heatmap_info(study: Study, task: str, shade: Shade = "diverged") -> HeatmapInfo:
    """The heatmap of one task.

    Args:
        study: complete or not.
        task: its label.
        shade: what colours a square: the share of seeds whose loss or parameters were not finite, that diverged,
            or that did not train; or the median score.
    """
    squares = study.grid.squares[study.grid.squares["task"] == task]
    inits = tuple(dict.fromkeys(squares["init"]))
    samples = {sample.cube.optimizer: sample for sample in study.tuning if sample.cube.task == task}
    panels = tuple(
        _panel(
            str(optimizer),
            of_optimizer,
            inits,
            samples.get(str(optimizer)),
            binned=(task, str(optimizer)) in study.grid.binned,
        )
        for optimizer, of_optimizer in squares.groupby("optimizer", sort=False)
    )
    facts = study.facts[task]
    sizes = sorted({int(n) for panel in panels for n in panel.n_IL.flat if n})
    what = {
        "nonfinite": "Where training is not finite",
        "diverged": "Where training diverges",
        "not-trained": "Where nothing is learned",
        "score": "What is learned",
    }[shade]
    framed = f"Framed: the row's best median on {facts.selection} data."
    if any((panel.n_IL[i] > 0).any() for panel in panels for i, j in enumerate(panel.tuned_I) if j < 0):
        framed += " No frame: no learning rate of that row trains in most seeds."
    return HeatmapInfo(
        title=", ".join(text for text in (f"{what}: {task}", study.budget(task)) if text),
        squares=squares.drop(columns="task"),
        subtitle=_subtitle(study, shade, sizes, facts.score_name),
        inits=inits,
        panels=panels,
        shade=shade,
        score_name=facts.score_name,
        score_range=_score_range(panels, accuracy=facts.score == "accuracy"),
        notes=(framed, *_interval_notes(sizes)),
    )


def _panel(
    optimizer: str, squares: pd.DataFrame, inits: tuple[str, ...], sample: Resampled | None, *, binned: bool
) -> Panel:
    lrs_L, l_N = np.unique(squares["lr"].to_numpy(dtype=float), return_inverse=True)
    i_N = pd.Categorical(squares["init"], categories=list(inits)).codes.astype(np.intp)

    def dense(column: str, empty: float) -> Any:
        values_IL = np.full((len(inits), len(lrs_L)), empty)
        values_IL[i_N, l_N] = squares[column]
        return values_IL

    n_IL, trained_IL = (dense(column, 0).astype(np.int64) for column in ("n", "trained"))
    diverged_IL, nonfinite_IL, stalled_IL, unresolved_IL = (
        dense(column, 0).astype(np.int64) for column in ("diverged", "nonfinite", "stalled", "unresolved")
    )
    return Panel(
        optimizer=optimizer,
        lrs=tuple(lrs_L.tolist()),
        binned=binned,
        n_IL=n_IL,
        diverged_IL=diverged_IL,
        nonfinite_IL=nonfinite_IL,
        not_trained_IL=n_IL - trained_IL,
        stalled_IL=stalled_IL,
        unresolved_IL=unresolved_IL,
        score_IL=dense("score_median", math.nan),
        tuned_I=_tuned(sample, inits, lrs_L),
    )


def _tuned(sample: Resampled | None, inits: tuple[str, ...], lrs_L: Floats) -> tuple[int, ...]:
    """Where most seeds train nowhere, all medians are chance, and the first of them would be best."""
    if sample is None:
        return (-1,) * len(inits)
    tuned = {
        init: int(np.searchsorted(lrs_L, sample.cube.lrs_L[place])) if trains else -1
        for init, place, trains in zip(
            sample.cube.inits, sample.tuned_RI[0], sample.trains_RI[0], strict=True
        )
    }
    return tuple(tuned.get(init, -1) for init in inits)


def _score_range(panels: tuple[Panel, ...], *, accuracy: bool) -> tuple[float, float]:
    """0 to 1, or for losses what occurs."""
    scores = np.concatenate(
        [panel.score_IL[np.isfinite(panel.score_IL)] for panel in panels] or [np.zeros(0)]
    )
    if accuracy or not len(scores):
        return (0.0, 1.0)
    low, high = float(scores.min()), float(scores.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _subtitle(study: Study, shade: Shade, sizes: list[int], score_name: str) -> str:
    floor = study.thresholds.skill_floor
    rule = {
        "nonfinite": "Not finite: a loss or a parameter norm was NaN or infinite.",
        "diverged": style.rule_text(study.thresholds),
        "not-trained": f"Not trained: not finite, or skill ≤ {floor:g} in the final epoch.",
        "score": f"Median {score_name} of the final epoch; a trial with skill ≤ {floor:g} counts at chance.",
    }[shade]
    of = f" ({seeds_text(study)})" if orders_of(study.spec) > 1 else ""
    return f"{rule} {n_text(sizes, 'seed', f'{of} a square')}"


def _interval_notes(sizes: list[int]) -> list[str]:
    """Wilson's intervals of every k / n that can stand in a square, for one n; else where to find them."""
    if len(sizes) != 1 or sizes[0] > 10:
        return ["95 % Wilson intervals of each rate: on hover, and in the CSV table."] if sizes else []
    n = sizes[0]
    rates = [wilson(k, n) for k in range(n + 1)]
    shown = ", ".join(f"{r.k}/{n}\u00a0{100 * r.low:.0f}–{100 * r.high:.0f}\u00a0%" for r in rates)
    return [f"95 % intervals (Wilson): {shown}."]
