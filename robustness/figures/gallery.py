"""The registry of figures: what the report, the command line and the web service draw, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from robustness.errors import SpecError, check_known, nearest
from robustness.figures import style
from robustness.figures.best_of_k import best_of_k_info, draw_best_of_k
from robustness.figures.critical import critical_info, draw_critical
from robustness.figures.curves import curves_info, draw_curves
from robustness.figures.difference import DifferenceInfo, difference_info, draw_difference
from robustness.figures.heatmap import Shade, heatmap_info
from robustness.figures.heatmap_drawing import draw_heatmap
from robustness.figures.importance import draw_importance, importance_info, is_slow, lacking
from robustness.figures.learning import (
    Cell,
    LearningInfo,
    cell_epochs,
    draw_learning,
    learning_info,
    telling_cell,
)
from robustness.figures.profile import draw_profile, profile_info
from robustness.figures.shift import draw_shift
from robustness.figures.spread import draw_spread, spread_info
from robustness.store import Store
from robustness.summary import Study, check_begun
from robustness.summary.sampler_limits import sampler_of
from robustness.summary.shift import ShiftInfo, shift_info

__all__ = [
    "FIGURES",
    "Drawing",
    "Info",
    "Request",
    "applicable",
    "draw",
    "info",
    "lacks",
    "parse_cell",
    "task_labels",
]

Kind = Literal["task", "pair", "cell"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be drawn, of which task.

    Attributes:
        study: complete or not.
        task: its label.
        a: an optimizer's label, for figures of a pair; the first with something complete by default.
        b: another's; the second by default.
        cell: for figures of a cell; the most telling one by default.
        store: for figures that need epochs.
        size: where the figure goes.
    """

    study: Study
    task: str
    a: str | None = None
    b: str | None = None
    cell: Cell | None = None
    store: Store | None = None
    size: style.Size = field(default=style.PAGE)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two optimizers; None where there are not two with something complete."""
        names = [cube.optimizer for cube in self.study.grid.of_task(self.task)]
        for name in (self.a, self.b):
            if name is not None and name not in names:
                raise SpecError.of(
                    "optimizer",
                    f"there is no {name!r:.80} with complete trials on {self.task!r:.80}; {nearest(name, names)}",
                )
        a = self.a if self.a is not None else next((name for name in names if name != self.b), None)
        b = self.b if self.b is not None else next((name for name in names if name != a), None)
        if a is None or b is None:
            return None
        if a == b:
            raise SpecError.of("optimizer", f"a pair needs two optimizers, got {a!r:.80} twice")
        return a, b


class Info(Protocol):
    """The numbers of a figure."""

    def frame(self) -> pd.DataFrame:
        """As a table: the page's, and the CSV download."""
        ...


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure of the registry.

    Attributes:
        title: what it shows.
        kind: what it is drawn of: a task, a pair of optimizers, a cell.
        info: its numbers, from a request.
        draw: from the numbers.
        lacks: why a request cannot be drawn; empty where it can.
        is_slow: whether a request takes seconds: reports leave it out.
    """

    title: str
    info: Callable[[Request], Any]
    draw: Callable[[Any, style.Size], go.Figure]
    kind: Kind = "task"
    lacks: Callable[[Request], str] = lambda _: ""
    is_slow: Callable[[Request], bool] = lambda _: False


def _heatmap(title: str, shade: Shade) -> Drawing:
    return Drawing(title=title, info=lambda r: heatmap_info(r.study, r.task, shade), draw=draw_heatmap)


def _difference(r: Request) -> DifferenceInfo:
    a, b = r.pair or ("", "")
    return difference_info(r.study, r.task, a, b)


def _shift(r: Request) -> ShiftInfo:
    a, b = r.pair or ("", "")
    return shift_info(r.study, a, b, r.task)


def _learning(r: Request) -> LearningInfo:
    cell = r.cell or telling_cell(r.study, r.task)
    if cell is None or r.store is None:
        raise SpecError.of("figure", "learning-curves needs a store and a cell")
    return learning_info(r.study, cell_epochs(r.store, r.study, cell), cell)


def _no_pair(r: Request) -> str:
    return "" if r.pair else "it needs two optimizers with complete trials"


def _no_cell(r: Request) -> str:
    if r.store is None:
        return "it needs the store, for the epochs"
    return "" if (r.cell or telling_cell(r.study, r.task)) else "no trial is complete"


def _drawn(r: Request) -> str:
    cubes = r.study.grid.of_task(r.task)
    all_drawn = bool(cubes) and all(cube.binned for cube in cubes)
    return "learning rates were drawn at random: no seed has two" if all_drawn else ""


FIGURES: dict[str, Drawing] = {
    "heatmap-diverged": _heatmap("Where training diverges", "diverged"),
    "heatmap-score": _heatmap("What is learned", "score"),
    "heatmap-nonfinite": _heatmap("Where training is not finite", "nonfinite"),
    "heatmap-not-trained": _heatmap("Where nothing is learned", "not-trained"),
    "difference": Drawing(
        title="Where two optimizers differ",
        info=_difference,
        draw=draw_difference,
        kind="pair",
        lacks=_no_pair,
    ),
    "curves": Drawing(
        title="Score over learning rates", info=lambda r: curves_info(r.study, r.task), draw=draw_curves
    ),
    "critical-lr": Drawing(
        title="Critical learning rates",
        info=lambda r: critical_info(r.study, r.task),
        draw=draw_critical,
        lacks=_drawn,
    ),
    "spread": Drawing(
        title="Spread at the tuned learning rate",
        info=lambda r: spread_info(r.study, r.task),
        draw=draw_spread,
    ),
    "profile": Drawing(
        title="Performance profile", info=lambda r: profile_info(r.study, r.task), draw=draw_profile
    ),
    "best-of-k": Drawing(
        title="Expected score of the best of k trials",
        info=lambda r: best_of_k_info(r.study, r.task),
        draw=draw_best_of_k,
    ),
    "importance": Drawing(
        title="Which axis decides",
        info=lambda r: importance_info(r.study, r.task),
        draw=draw_importance,
        lacks=lambda r: lacking(r.study, r.task),
        is_slow=lambda r: is_slow(r.study, r.task),
    ),
    "shift": Drawing(
        title="Is it just a learning rate?", info=_shift, draw=draw_shift, kind="pair", lacks=_no_pair
    ),
    "learning-curves": Drawing(
        title="Learning curves of a cell", info=_learning, draw=draw_learning, kind="cell", lacks=_no_cell
    ),
}


_MEANT: dict[str, tuple[str, ...]] = {
    "edge": ("critical-lr", "learning-curves"),
    "tpe": ("spread", "profile", "learning-curves"),
}
"""What can be drawn of trials that were chosen by their results."""


def lacks(name: str, request: Request) -> str:
    """Why a figure cannot be drawn of a request; empty where it can."""
    sampler = sampler_of(request.study.spec)
    if name not in _MEANT.get(sampler, FIGURES):
        return f"trials were chosen by {sampler}, for {' and '.join(_MEANT[sampler])}"
    if not (request.study.trials["task"] == request.task).any():
        return "it has no trials yet"
    if not name.startswith("heatmap-") and not (request.study.complete["task"] == request.task).any():
        return "no trial of it is complete"  # a heatmap is then empty squares, which fill in
    return FIGURES[name].lacks(request)


def applicable(request: Request) -> list[str]:
    """The names of the figures that can be drawn of this request."""
    return [name for name in FIGURES if not lacks(name, request)]


def info(name: str, request: Request) -> Info:
    """The numbers of a figure, by its name.

    Raises:
        SpecError: there is no such figure, or this study has none.
    """
    check_known("figure", name, FIGURES)
    why = lacks(name, request)
    if why:
        raise SpecError.of("figure", f"{name} cannot be drawn of {request.task!r:.80}: {why}")
    numbers: Info = FIGURES[name].info(request)
    return numbers


def draw(name: str, request: Request) -> go.Figure:
    """Draw a figure by its name.

    Raises:
        SpecError: there is no such figure, or this study has none.
    """
    numbers = info(name, request)
    return FIGURES[name].draw(numbers, request.size)


def task_labels(study: Study, chosen: Sequence[str] = ()) -> list[str]:
    """The study's tasks, or those chosen.

    Raises:
        SpecError: the study has no such task, or none at all.
    """
    if not study.tasks:
        check_begun(study)
    for task in chosen:
        if task not in study.tasks:
            raise SpecError.of("task", f"there is no task {task!r:.80}; {nearest(task, study.tasks)}")
    return list(dict.fromkeys(chosen)) or list(study.tasks)


def parse_cell(study: Study, task: str, text: str) -> Cell:
    """The cell that "optimizer,lr,init" names; labels may have commas, so the study's own are looked for.

    Raises:
        SpecError: it names none.
    """
    own = study.trials[study.trials["task"] == task]
    optimizers, inits = (list(dict.fromkeys(own[column])) for column in ("optimizer", "init"))
    for optimizer in sorted(optimizers, key=len, reverse=True):
        for init in sorted(inits, key=len, reverse=True):
            if text.startswith(f"{optimizer},") and text.endswith(f",{init}"):
                number = text[len(optimizer) + 1 : len(text) - len(init) - 1]
                return _cell_at(study, Cell(task=task, optimizer=optimizer, lr=_number(number), init=init))
    optimizer, _, rest = text.partition(",")
    init = rest.rpartition(",")[2]
    hint = nearest(optimizer, optimizers) if optimizer not in optimizers else nearest(init, inits)
    raise SpecError.of("cell", f"must be optimizer,lr,init of {task!r:.80}, got {text!r:.80}; {hint}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError.of("cell", f"the learning rate must be a number, got {text!r:.80}") from None


def _cell_at(study: Study, cell: Cell) -> Cell:
    """The same with the study's own learning rate, which the text names to three digits."""
    squares = study.grid.squares
    row = squares[
        (squares["task"] == cell.task)
        & (squares["optimizer"] == cell.optimizer)
        & (squares["init"] == cell.init)
    ]
    lrs = np.unique(row["lr"].to_numpy(dtype=float))
    close = lrs[np.isclose(lrs, cell.lr, rtol=5e-3, atol=0)]
    if not len(close):
        shown = ", ".join(f"{lr:.4g}" for lr in lrs[:40])
        raise SpecError.of("cell", f"there is no learning rate {cell.lr:.4g} in this row (it has {shown})")
    return replace(cell, lr=float(close[np.abs(close - cell.lr).argmin()]))
