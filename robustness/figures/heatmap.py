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
from robustness.summary.checks import seeds_text
from robustness.summary.chosen import orders_of, sampler_of
from robustness.summary.cubes import drawn_at_random, lr_bins
from robustness.summary.metrics import tuned_index

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
        """Squares that look as if they trained: most seeds did not, while at most half diverged and none stalled."""
        most = (2 * self.not_trained_IL > self.n_IL) & (2 * self.diverged_IL <= self.n_IL)
        return np.asarray(most & (self.unresolved_IL > 0) & (self.stalled_IL == 0))

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
    """

    title: str
    subtitle: str
    inits: tuple[str, ...]
    panels: tuple[Panel, ...]
    shade: Shade
    score_name: str
    score_range: tuple[float, float]
    notes: tuple[str, ...]


def heatmap_info(study: Study, task: str, shade: Shade = "diverged") -> HeatmapInfo:
    """The heatmap of one task.

    Args:
        study: complete or not.
        task: its label.
        shade: what colours a square: the share of seeds whose loss or parameters were not finite, that diverged,
            or that did not train; or the median score.
    """
    own = study.trials[study.trials["task"] == task]
    inits = tuple(dict.fromkeys(own["init"]))
    complete = dict(iter(study.complete[study.complete["task"] == task].groupby("optimizer", sort=False)))
    panels = tuple(
        _panel(str(name), sampler_of(study.spec), part, complete.get(name, study.complete.iloc[:0]), inits)
        for name, part in own.groupby("optimizer", sort=False)
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
        subtitle=_subtitle(study, shade, sizes, facts.score_name),
        inits=inits,
        panels=panels,
        shade=shade,
        score_name=facts.score_name,
        score_range=_score_range(panels, accuracy=facts.score == "accuracy"),
        notes=(framed, *_interval_notes(sizes)),
    )


def _panel(
    optimizer: str, sampler: str, trials: pd.DataFrame, complete: pd.DataFrame, inits: tuple[str, ...]
) -> Panel:
    binned = drawn_at_random(trials, sampler)

    def columns(part: pd.DataFrame) -> Floats:
        lr = part["lr"].to_numpy(dtype=float)
        return lr_bins(lr) if binned else lr

    lrs_L = np.unique(columns(trials))
    i_T = pd.Categorical(complete["init"], categories=list(inits)).codes.astype(np.intp)
    places = (i_T, np.searchsorted(lrs_L, columns(complete)))
    shape = (len(inits), len(lrs_L))

    def counted(flags: Any) -> Counts:
        found = np.zeros(shape, dtype=np.int64)
        np.add.at(found, places, np.asarray(flags, dtype=np.int64))
        return found

    def median(column: str) -> Floats:
        found = np.full(shape, math.nan)
        by_place = complete[column].groupby(list(places)).median()
        if len(by_place):
            found[tuple(by_place.index.to_frame().to_numpy().T)] = by_place.to_numpy()
        return found

    not_trained_IL, n_IL = counted(complete["outcome"] != "trained"), counted(np.ones(len(complete)))
    tuned_I = tuned_index(median("selection"))
    # Where most seeds train nowhere, all medians are chance, and the first of them is best.
    trains_IL = (n_IL > 0) & (2 * not_trained_IL <= n_IL)
    trains_I = np.take_along_axis(trains_IL, tuned_I[:, None], axis=1)[:, 0]
    return Panel(
        optimizer=optimizer,
        lrs=tuple(lrs_L.tolist()),
        binned=binned,
        n_IL=n_IL,
        diverged_IL=counted(complete["side"] == "diverged"),
        nonfinite_IL=counted(complete["outcome"] == "nonfinite"),
        not_trained_IL=not_trained_IL,
        stalled_IL=counted(complete["side"] == "stalled"),
        unresolved_IL=counted(complete["side"] == "unresolved"),
        score_IL=median("score"),
        tuned_I=tuple(np.where(trains_I, tuned_I, -1).tolist()),
    )


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
