"""Learning curves of a cell's trials, with a cross where one was no longer finite."""

# T trials, E epochs

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from robustness.figures import style
from robustness.figures.frames import stacked
from robustness.figures.lines import panels
from robustness.figures.style import Size
from robustness.phrases import counted
from robustness.store import Store
from robustness.store.trial_frames import read_cell_epochs
from robustness.summary import Study
from robustness.summary.tasks import raw_score

__all__ = [
    "Cell",
    "LearningInfo",
    "Run",
    "cell_epochs",
    "cell_trials",
    "draw_learning",
    "learning_info",
    "telling_cell",
]

Floats = npt.NDArray[np.float64]

KINDS = ("trained", "nonfinite", "blowup", "untrained")
_LOOKS = {
    "trained": (style.OPTIMIZER_COLORS[0], "solid"),
    "nonfinite": (style.OPTIMIZER_COLORS[1], "dash"),
    "blowup": (style.OPTIMIZER_COLORS[5], "dashdot"),
    "untrained": (style.OPTIMIZER_COLORS[7], "dot"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A square of the heatmap, by its labels."""

    task: str
    optimizer: str
    lr: float
    init: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trial.

    Attributes:
        seed_index: its seed.
        outcome: of the trial.
        epochs_E: 0 is before the first step; only epochs with a finite loss or score.
        loss_E: training loss; NaN where not finite.
        score_E: test score; NaN where not finite or not known.
        died: the epoch of the first step that was not finite; NaN where all were.
        step: that step; NaN where not known.
    """

    seed_index: int
    outcome: str
    epochs_E: Floats
    loss_E: Floats
    score_E: Floats
    died: float
    step: float


@dataclass(frozen=True, kw_only=True)
class LearningInfo:
    """The numbers of a cell's curves."""

    title: str
    subtitle: str
    runs: tuple[Run, ...]
    chance: float
    constant_loss: float
    score_name: str
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row an epoch of a trial: seed, outcome, epoch (0 is before the first step), training loss, test score."""
        return stacked(
            ("seed", "outcome", "epoch", "train_loss", "score"),
            ((run.seed_index, run.outcome, run.epochs_E, run.loss_E, run.score_E) for run in self.runs),
        )


def cell_trials(study: Study, trials: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """Those of these trials that stand in a square.

    Args:
        study: theirs.
        trials: of the study, complete or not.
        cell: its learning rate is met to three digits, as it is written.
    """
    near = np.isclose(study.grid.square_lr(trials), cell.lr, rtol=1e-3, atol=0)
    labels = (
        (trials["task"] == cell.task)
        & (trials["optimizer"] == cell.optimizer)
        & (trials["init"] == cell.init)
    )
    return trials[labels & near]


def cell_epochs(store: Store, study: Study, cell: Cell) -> pd.DataFrame:
    """Every epoch of the complete trials of a square; see `store.trial_frames.read_cell_epochs`."""
    return read_cell_epochs(store, study.id, cell_trials(study, study.complete, cell).index.tolist())


def telling_cell(study: Study, task: str) -> Cell | None:
    """The cell that shows how training breaks: above a row's tuned learning rate, some of the seeds diverged.

    Of all rows the one with the most diverged seeds that has some that did not, nearest to the tuned learning rate;
    else the nearest where all did; else the first row's tuned one. None where nothing is complete.
    """
    best: tuple[tuple[float, ...], Cell] | None = None
    for sample in (sample for sample in study.tuning if sample.cube.task == task):
        cube = sample.cube
        n_IL = (~np.isnan(cube.diverged_SIL)).sum(axis=0)
        for i in np.flatnonzero(sample.seeds_I).tolist():
            places = [p for p in range(int(sample.tuned_RI[0, i]), len(cube.lrs_L)) if n_IL[i, p]]
            for steps, place in enumerate(places):
                share = float(np.nansum(cube.diverged_SIL[:, i, place]) / n_IL[i, place])
                kind = 0 if 0 < share < 1 else 1 if share == 1 else 2
                rank = (kind, steps, -share)
                if best is None or rank < best[0]:
                    lr = float(cube.lrs_L[place])
                    best = (rank, Cell(task=task, optimizer=cube.optimizer, lr=lr, init=cube.inits[i]))
    return best[1] if best else None


def learning_info(study: Study, epochs: pd.DataFrame, cell: Cell) -> LearningInfo:
    """The curves of a cell.

    Args:
        study: for labels and outcomes.
        epochs: of `cell_epochs`.
        cell: which.
    """
    facts = study.facts[cell.task]
    recorded: dict[int, list[pd.DataFrame]] = {}
    for _, rows in epochs.groupby("key", sort=False):
        recorded.setdefault(int(rows["seed_index"].iloc[0]), []).append(rows)
    runs = []
    for _, trial in (
        cell_trials(study, study.complete, cell).sort_values("seed_index", kind="stable").iterrows()
    ):
        # Imports can have several trials of one seed; both sides are in the study's order.
        rest = recorded.get(int(trial["seed_index"]), [])
        runs.append(_run(trial, rest.pop(0) if rest else None, facts.score))
    counts = {kind: sum(run.outcome == kind for run in runs) for kind in KINDS}
    dead = any(math.isfinite(run.died) for run in runs)
    told = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    return LearningInfo(
        title=f"{cell.optimizer}, learning rate {cell.lr:.4g}, {cell.init}: {cell.task}",
        subtitle=f"n = {counted(len(runs), 'seed')}: {told or 'nothing is complete yet'}. Not trained: not finite, or "
        f"skill ≤ {study.thresholds.skill_floor:g} in the final epoch.",
        runs=tuple(runs),
        chance=facts.chance,
        constant_loss=facts.constant_loss,
        score_name=facts.score_name,
        notes=(
            (
                "Cross: the epoch of the first step that was not finite, at the last finite value. "
                if dead
                else ""
            )
            + "Epoch 0: before the first step. Thin dashed line: the best constant predictor.",
            *(
                ["No epochs were recorded for these trials."]
                if runs and not epochs["epoch"].notna().any()
                else []
            ),
        ),
    )


def _run(trial: pd.Series[Any], rows: pd.DataFrame | None, score: str) -> Run:
    epochs_E, loss_E, score_E, step = [0.0], [float(trial["l0"])], [math.nan], math.nan
    if rows is not None:
        step = float(rows["first_nonfinite_step"].iloc[0])
        rows = rows[rows["epoch"].notna()]
        epochs_E += rows["epoch"].tolist()
        loss_E += rows["train_loss"].tolist()
        score_E += raw_score(rows, score).tolist()
    epochs, loss, scores = (np.array(part, dtype=float) for part in (epochs_E, loss_E, score_E))
    loss, scores = (np.where(np.isfinite(part), part, np.nan) for part in (loss, scores))
    return Run(
        seed_index=int(trial["seed_index"]),
        outcome=str(trial["outcome"]),
        epochs_E=epochs,
        loss_E=loss,
        score_E=scores,
        # The epoch in which a trial dies is its last row.
        died=float(epochs[-1]) if trial["outcome"] == "nonfinite" else math.nan,
        step=step,
    )


def draw_learning(info: LearningInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw them: training loss on a logarithmic axis, test score below or beside."""
    page = size.name == "page"
    on = panels(["training loss", info.score_name], size, columns=2 if page else 1, height=size.panel * 1.2)
    figure = on.figure
    names: dict[str, str] = {}
    losses = [run.loss_E for run in info.runs]
    positive = np.concatenate([part[part > 0] for part in losses] or [np.zeros(0)])
    log = bool(len(positive)) and all(not (part <= 0).any() for part in losses)
    low, high = np.log10([positive.min(), positive.max()]).tolist() if log else (0.0, 0.0)
    margin = max(0.08 * (high - low), 0.05)
    ticks = _log_ticks(low - margin, high + margin)
    log = log and len(ticks) > 1  # of a single one nobody reads a scale
    for run in info.runs:
        names.setdefault(run.outcome, f"{run.outcome} ({sum(r.outcome == run.outcome for r in info.runs)})")
        for p, values in enumerate((run.loss_E, run.score_E)):
            first = p == 0 and names[run.outcome] not in {trace.name for trace in figure.data}
            _draw_run(figure, run, values, on.place(p), names[run.outcome] if first else "", size)
    for p, level in enumerate((info.constant_loss, info.chance)):
        if math.isfinite(level) and (p == 1 or not log or level > 0):
            figure.add_hline(y=level, line={"color": style.MUTED, "width": 1, "dash": "dot"}, **on.place(p))
    if log:
        figure.update_yaxes(
            type="log",
            range=[low - margin, high + margin],
            tickvals=ticks,
            ticktext=[f"{tick:g}" for tick in ticks],
            **on.place(0),
        )
    last = max((float(run.epochs_E[-1]) for run in info.runs), default=1.0)
    figure.update_xaxes(range=[-0.02 * last, 1.03 * last], dtick=max(math.ceil(last / 8), 1))
    figure.update_yaxes(showticklabels=True, matches=None)
    if info.score_name == "test accuracy":
        figure.update_yaxes(range=[0, 1.02], **on.place(1))
    for p in range(2) if page else (1,):
        figure.update_xaxes(title="epoch", title_standoff=4, **on.place(p))
    _mark_unfinished(info, on.figure, [on.place(0), on.place(1)], size, names)
    style.finish(
        figure,
        size=size,
        title=info.title,
        subtitle=info.subtitle,
        notes=info.notes,
        inner=on.inner,
        left=on.left,
        heading=size.font * 1.8,
        legend=list(names.values()),
    )
    return figure


def _log_ticks(low: float, high: float) -> list[float]:
    """Ticks within two powers of ten: decades, within two of them 1, 2, 5, and more within half a one."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    steps: tuple[float, ...] = (1, 2, 5) if high - low < 2 else (1,)
    if high - low < 0.5:
        steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    every = -(-len(decades) // 6)
    found = [step * 10.0**decade for decade in decades[::every] for step in steps]
    return [tick for tick in found if low <= math.log10(tick) <= high]


def _draw_run(
    figure: go.Figure, run: Run, values: Floats, place: dict[str, int], name: str, size: Size
) -> None:
    color, dash = _LOOKS[run.outcome]
    there = ~np.isnan(values)
    figure.add_trace(
        go.Scatter(
            x=run.epochs_E[there],
            y=values[there],
            name=name,
            showlegend=bool(name),
            legendgroup=run.outcome,
            mode="lines+markers" if there.sum() < 3 else "lines",
            line={"color": color, "width": size.line * 0.8, "dash": dash},
            marker={"size": size.mark * 0.6, "color": color},
            text=[f"seed {run.seed_index}, epoch {epoch:g}" for epoch in run.epochs_E[there]],
            hovertemplate="%{text}: %{y:.4g}<extra></extra>",
        ),
        **place,
    )


def _mark_unfinished(
    info: LearningInfo, figure: go.Figure, places: list[dict[str, int]], size: Size, names: dict[str, str]
) -> None:
    """A cross for each run that was no longer finite, and its entry in the legend."""
    for p, place in enumerate(places):
        marks = []
        for run in info.runs:
            values = run.loss_E if p == 0 else run.score_E
            finite = values[~np.isnan(values)]
            if math.isfinite(run.died):
                # Dead before anything was measured: it stands where a constant predictor would.
                height = finite[-1] if len(finite) else info.chance if p else info.constant_loss
                marks.append((run, height))
        if not marks:
            continue
        if p == 0:
            names["cross"] = "not finite from here"
        figure.add_trace(
            go.Scatter(
                x=[run.died for run, _ in marks],
                y=[height for _, height in marks],
                name="not finite from here",
                showlegend=p == 0,
                mode="markers",
                marker={
                    "symbol": "x-thin",
                    "size": size.mark * 1.3,
                    "line": {"color": style.MARK, "width": size.line},
                },
                text=[
                    f"seed {run.seed_index}: not finite in epoch {run.died:g}"
                    + (f", step {run.step:.0f}" if math.isfinite(run.step) else "")
                    for run, _ in marks
                ],
                hovertemplate="%{text}<extra></extra>",
            ),
            **place,
        )
