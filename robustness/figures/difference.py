"""Where two optimizers differ: the share of seeds that diverged, A minus B, square by square."""

# S seeds, I initializations, L learning rates

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.heatmap import SHADES
from robustness.figures.squares import Squares, canvas, draw_squares, edges, fitting
from robustness.figures.style import Size
from robustness.summary import Study, wilson
from robustness.summary.comparison.paired import newcombe_paired
from robustness.summary.cubes import Cube

__all__ = ["DifferenceInfo", "difference_info", "draw_difference"]

Rule = Literal["nonfinite", "diverged", "not-trained"]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DifferenceInfo:
    """The numbers of one task's difference between two optimizers.

    Attributes:
        title: what is shown.
        subtitle: the rule and n.
        a: label of the first optimizer.
        b: of the second.
        inits: labels that both have (I).
        lrs: learning rates that both have (L), or centres of bins.
        rule: what is counted.
        n_a_IL: trials of A a square; of seeds that B has too, unless binned.
        k_a_IL: of them counted.
        n_b_IL: trials of B.
        k_b_IL: of them counted.
        both_IL: seeds of which both counted; -1 where the trials are no pairs.
    """

    title: str
    subtitle: str
    a: str
    b: str
    inits: tuple[str, ...]
    lrs: tuple[float, ...]
    rule: Rule
    n_a_IL: Counts
    k_a_IL: Counts
    n_b_IL: Counts
    k_b_IL: Counts
    both_IL: Counts

    @property
    def difference_IL(self) -> npt.NDArray[np.float64]:
        """Share of A minus share of B; NaN where one has no trial."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.k_a_IL / self.n_a_IL - self.k_b_IL / self.n_b_IL, dtype=float)

    def interval(self, i: int, j: int) -> tuple[float, float]:
        """Newcombe's paired interval of a square's difference; NaN where the trials are no pairs."""
        both, n = int(self.both_IL[i, j]), int(self.n_a_IL[i, j])
        if both < 0 or n == 0:
            return math.nan, math.nan
        only_a, only_b = int(self.k_a_IL[i, j]) - both, int(self.k_b_IL[i, j]) - both
        _, low, high = newcombe_paired(both, only_a, only_b, n - both - only_a - only_b)
        return low, high

    def frame(self) -> pd.DataFrame:
        """One row a square: init, lr, n and k of both, the difference of their shares with its interval."""
        return pd.DataFrame(
            [
                {
                    "init": init,
                    "lr": lr,
                    "n_a": int(self.n_a_IL[i, j]),
                    "k_a": int(self.k_a_IL[i, j]),
                    "n_b": int(self.n_b_IL[i, j]),
                    "k_b": int(self.k_b_IL[i, j]),
                    "difference": float(self.difference_IL[i, j]),
                    **dict(zip(("low", "high"), self.interval(i, j), strict=True)),
                }
                for i, init in enumerate(self.inits)
                for j, lr in enumerate(self.lrs)
            ],
            columns=["init", "lr", "n_a", "k_a", "n_b", "k_b", "difference", "low", "high"],
        )


def difference_info(study: Study, task: str, a: str, b: str, rule: Rule = "diverged") -> DifferenceInfo:
    """A minus B on one task, at the same nominal learning rates.

    Args:
        study: for the rule.
        task: its label.
        a: an optimizer's label.
        b: another's.
        rule: what is counted.
    """
    first, second = study.grid.cube(task, a), study.grid.cube(task, b)
    inits: tuple[str, ...]
    lrs: tuple[float, ...]
    if first is None or second is None:
        nothing = np.full((0, 0, 0), np.nan)
        inits, lrs, flags = (), (), (nothing, nothing)
    else:
        inits, lrs, flags = _matched(first, second, rule)
    paired = first is not None and second is not None and not (first.binned or second.binned)
    present = [~np.isnan(part) for part in flags]
    n_a_IL, n_b_IL = (part.sum(axis=0) for part in present)
    sizes = sorted({int(n) for n in np.unique(np.minimum(n_a_IL, n_b_IL)) if n})
    n = "none" if not sizes else f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    text = {
        "nonfinite": "Not finite: a loss or a parameter norm was NaN or infinite.",
        "diverged": style.rule_text(study.thresholds),
        "not-trained": f"Not trained: not finite, or skill ≤ {study.thresholds.skill_floor:g}.",
    }[rule]
    return DifferenceInfo(
        title=f"{a} minus {b}, share of seeds that {SHADES[rule]}: {task}",
        subtitle=f"{text} n = {n} seeds a square, the same for both, at the same nominal learning rate.",
        a=a,
        b=b,
        inits=inits,
        lrs=lrs,
        rule=rule,
        n_a_IL=n_a_IL,
        k_a_IL=np.nansum(flags[0], axis=0).astype(np.int64),
        n_b_IL=n_b_IL,
        k_b_IL=np.nansum(flags[1], axis=0).astype(np.int64),
        both_IL=(
            np.nansum(flags[0] * flags[1], axis=0).astype(np.int64)
            if paired
            else np.full(n_a_IL.shape, -1, dtype=np.int64)
        ),
    )


def _matched(
    a: Cube, b: Cube, rule: Rule
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Initializations and learning rates that both have, and the flags there; of seeds that both have."""
    inits = tuple(init for init in a.inits if init in b.inits)
    # Logged learning rates differ in rounding.
    lrs, in_a, in_b = np.intersect1d(
        np.log10(a.lrs_L).round(6), np.log10(b.lrs_L).round(6), return_indices=True
    )
    paired = not (a.binned or b.binned)
    flags = []
    for cube, places in ((a, in_a), (b, in_b)):
        whole = {
            "nonfinite": cube.nonfinite_SIL,
            "diverged": cube.diverged_SIL,
            "not-trained": 1 - cube.trained_SIL,
        }[rule]
        seeds = np.isin(cube.seeds_S, (b if cube is a else a).seeds_S) if paired else slice(None)
        flags.append(whole[seeds][:, [cube.inits.index(init) for init in inits]][:, :, places])
    if paired:
        both = ~np.isnan(flags[0]) & ~np.isnan(flags[1])
        flags = [np.where(both, part, np.nan) for part in flags]
    return inits, tuple(a.lrs_L[in_a].tolist()) if len(lrs) else (), (flags[0], flags[1])


def draw_difference(info: DifferenceInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw it: signed percentage points in every square that differs."""
    on = canvas(size, info.inits, 1)
    difference_IL = info.difference_IL
    texts = [[_signed(value) for value in row] for row in difference_IL.tolist()]
    font, signs = fitting(on, [info.lrs], [text for row in texts for text in row] or [""]), False
    if not font:  # in grey the two ends of the scale look alike: the sign always stands there
        texts, signs = [[text[:1] for text in row] for row in texts], True
        font = fitting(on, [info.lrs], ["+"])
    panels = []
    if info.lrs and info.inits:
        heading = f"{info.a} − {info.b}"
        panels = [
            Squares(
                heading=heading,
                lrs=info.lrs,
                shade_IL=difference_IL,
                texts_IL=texts,
                patch_IL=np.zeros(difference_IL.shape, dtype=bool),
                dark_IL=np.abs(difference_IL) > 0.8,
                hatched_IL=np.zeros(difference_IL.shape, dtype=bool),
                hover_IL=_hover(info),
            )
        ]
    bar = {"title": {"text": "difference of shares"}, "tickformat": "+.0%"}
    color = {"colorscale": style.DIFFERENCE_SCALE, "cmin": -1, "cmax": 1, "colorbar": bar}
    figure = draw_squares(on, info.inits, panels, font=font, color=color)
    style.finish(
        figure,
        size=size,
        title=info.title,
        subtitle=info.subtitle,
        notes=[_note(info, signs=signs)],
        hover="95 % intervals of both shares (Wilson) and of the difference (Newcombe, paired): on hover."
        if panels
        else "",
        inner=on.inner,
        left=on.left,
        right=on.right,
        heading=size.font * 1.6,
        below=on.below,
    )
    figure.layout.shapes = _missing(difference_IL, info.lrs)
    return figure


def _note(info: DifferenceInfo, *, signs: bool) -> str:
    if not info.lrs or not info.inits:
        return "They share no learning rate and initialization with complete trials."
    where = "The sign of the difference" if signs else "In each square: percentage points"
    return (
        f"{where}; + (orange): {info.a} has the larger share, − (violet): {info.b} has. Blank: no difference. "
        "Grey: missing."
    )


def _signed(value: float) -> str:
    if np.isnan(value) or round(100 * value) == 0:
        return ""
    return f"{'+' if value > 0 else '−'}{abs(round(100 * value))}"


def _missing(difference_IL: npt.NDArray[np.float64], lrs: tuple[float, ...]) -> list[dict[str, object]]:
    x_edges = edges(lrs) if lrs else []
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "y",
            "x0": x_edges[j],
            "x1": x_edges[j + 1],
            "y0": i - 0.5,
            "y1": i + 0.5,
            "fillcolor": style.MISSING,
            "line": {"width": 0},
            "layer": "below",
        }
        for i, j in np.argwhere(np.isnan(difference_IL)).tolist()
    ]


def _interval(info: DifferenceInfo, i: int, j: int) -> str:
    """The difference, with Newcombe's interval where the trials are pairs."""
    value = f"{100 * info.difference_IL[i, j]:+.0f}"
    low, high = info.interval(i, j)
    return value if math.isnan(low) else f"{value} [{100 * low:+.0f}, {100 * high:+.0f}]"


def _hover(info: DifferenceInfo) -> list[list[str]]:
    found = []
    for i, init in enumerate(info.inits):
        line = []
        for j, lr in enumerate(info.lrs):
            text = f"{style.fitted(init, 500, 13)}<br>learning rate {lr:.4g}"
            for label, k_IL, n_IL in (
                (info.a, info.k_a_IL, info.n_a_IL),
                (info.b, info.k_b_IL, info.n_b_IL),
            ):
                rate = wilson(int(k_IL[i, j]), int(n_IL[i, j]))
                text += (
                    f"<br>{style.fitted(label, 500, 13)}: {rate.k} of {rate.n}, {100 * rate.value:.0f} % "
                    f"[{100 * rate.low:.0f}, {100 * rate.high:.0f}]"
                )
            line.append(f"{text}<br>difference {_interval(info, i, j)} points")
        found.append(line)
    return found
