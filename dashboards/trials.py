"""The trials of a square, and the learning curve of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dash import Input, html
from markupsafe import Markup

from robustness.figures.gallery import parse_cell, task_labels
from robustness.figures.learning import Cell, cell_epochs, draw_learning, learning_info
from robustness.figures.style import SIZES
from robustness.service import Reader, rows
from robustness.store.trial_frames import read_trial_epochs
from robustness.summary import Study
from robustness.summary.grid import BINS_PER_DECADE

from .addresses import View, api, study_at
from .parts import aria, picture, plain_table, short, spaced
from .raw import link
from .sections import Sections

__all__ = ["add_callbacks"]

A_PAGE = 50


def add_callbacks(sections: Sections, given: Sequence[Any]) -> None:
    """List the chosen square's trials, and draw the chosen trial's curve."""
    reader = sections.reader

    @sections.fill("trials-section", *given, Input("revision", "data"))
    def trials(path: str, search: str, _: Any) -> Any:
        name, view = study_at(path), View.of(search)
        if view.cell is None:
            return []
        asked = ("trials", view)
        return sections.kept(name, asked, lambda study, _: _trials(reader, study, view))

    @sections.fill("curve-section", *given, Input("revision", "data"), Input("narrow", "data"))
    def curve(path: str, search: str, _: Any, narrow: bool | None) -> Any:
        name, view = study_at(path), View.of(search)
        if view.trial is None or view.cell is None:
            return []
        asked = ("curve", view.task, view.cell, view.trial, bool(narrow))
        return sections.kept(name, asked, lambda study, _: _curve(reader, study, view, narrow=bool(narrow)))


def _cell(study: Study, view: View) -> Cell:
    task = task_labels(study, [] if view.task is None else [view.task])[0]
    return parse_cell(study, task, view.cell or "")


def _trials(reader: Reader, study: Study, view: View) -> list[Any]:
    cell = _cell(study, view)
    query = rows.TrialQuery(
        labels=rows.Labels(task=cell.task, optimizer=cell.optimizer, init=cell.init),
        lr=cell.lr,
        states=(),
        outcomes=(),
        sort="position",
        descending=False,
        limit=A_PAGE,
        offset=view.first,
    )
    found = rows.trials(reader.store, study, query)
    table = [_row(study.name, view, trial) for trial in found["items"]]
    score = study.facts[cell.task].score_name
    columns = (
        "trial",
        "execution",
        "outcome",
        "skill",
        score,
        "training loss",
        "epochs",
        "first step not finite",
        "seconds",
    )
    is_bin = (cell.task, cell.optimizer) in study.grid.binned
    heading = f"Trials: {cell.optimizer}, {_lr_text(cell.lr, is_bin=is_bin)}, {cell.init}"
    caption = f"{found['total']} trials of one {'bin' if is_bin else 'square, one a seed'}"
    return [
        html.H2([heading, " ", html.A("close", href=view.href(study.name, cell=None), className="close")]),
        plain_table(caption, columns, table, text=3),
        *_pages(study.name, view, found["total"]),
        html.P(
            [
                "As JSON: ",
                html.A(
                    "trials",
                    href=api(
                        study.name,
                        "/trials",
                        task=cell.task,
                        optimizer=cell.optimizer,
                        init=cell.init,
                        lr=f"{cell.lr:.6g}",
                    ),
                ),
            ],
            className="downloads",
        ),
    ]


def _lr_text(lr: float, *, is_bin: bool) -> str:
    """The learning rate of a square; the centre of a bin is one that nobody tried."""
    if not is_bin:
        return f"learning rate {lr:.4g}"
    half = 10 ** (0.5 / BINS_PER_DECADE)
    return f"learning rates from {lr / half:.3g} to {lr * half:.3g}"


def _row(name: str, view: View, trial: dict[str, Any]) -> list[Any]:
    seed = f"seed {trial['seed_index']}"
    shown: Any = link(seed, view.href(name, trial=trial["key"]))
    if trial["key"] == view.trial:
        shown = Markup("<strong>{}</strong>").format(seed)
    outcome = trial["outcome"] or ""
    mark = Markup('<span class="badge outcome-{0}">{0}</span>').format(outcome) if outcome else ""
    tried = f" ({trial['attempts']} attempts)" if trial["attempts"] > 1 else ""
    accuracy, loss = trial["test_accuracy"], trial["test_loss"]
    score = accuracy if _known(accuracy) else loss
    return [
        shown,
        f"{trial['state']}{tried}",
        mark,
        *(short(value) for value in (trial["skill"], score, trial["train_loss"])),
        _whole(trial["epochs"]),
        _whole(trial["first_nonfinite_step"]),
        short(trial["seconds"]),
    ]


def _known(value: Any) -> bool:
    return value is not None and value == value


def _whole(value: Any) -> str:
    return f"{int(value):,}" if _known(value) else "–"


def _pages(name: str, view: View, total: int) -> list[Any]:
    if total <= A_PAGE:
        return []
    links = [
        html.A(f"{first + 1} to {min(first + A_PAGE, total)}", href=view.href(name, first=first))
        if first != view.first
        else html.Strong(f"{first + 1} to {min(first + A_PAGE, total)}")
        for first in range(0, total, A_PAGE)
    ]
    return [html.Nav(list(spaced(links)), **aria("More trials"))]


def _curve(reader: Reader, study: Study, view: View, *, narrow: bool) -> list[Any]:
    cell, key = _cell(study, view), view.trial or ""
    recorded = read_trial_epochs(reader.store, study.id, key)
    epochs = cell_epochs(reader.store, study, cell)
    own = epochs[epochs["key"] == key]
    close = html.A("close", href=view.href(study.name, trial=None), className="close")
    if not len(own):
        return [
            html.H2(["Learning curve ", close]),
            html.P("This trial is not complete: it has no curve yet."),
        ]
    seed = int(own["seed_index"].iloc[0])
    step = own["first_nonfinite_step"].iloc[0]
    alone = replace(study, complete=study.complete[study.complete["seed_index"] == seed])
    figure = draw_learning(learning_info(alone, own, cell), SIZES["column" if narrow else "page"])
    told = (
        f"It was not finite from step {int(step):,} on; the record keeps the epoch in which that happened."
        if step == step
        else "All losses and parameter norms were finite."
    )
    columns = (
        "epoch",
        "training loss",
        "largest in it",
        "validation loss",
        "test loss",
        "test accuracy",
        "parameter norm",
        "distance from start",
    )
    fields = (
        "train_loss",
        "train_loss_max",
        "validation_loss",
        "test_loss",
        "test_accuracy",
        "parameter_norm",
        "distance",
    )
    numbers = plain_table(
        f"Epochs of seed {seed}",
        columns,
        [[row["epoch"], *(short(row[name]) for name in fields)] for row in recorded],
    )
    return [
        html.H2([f"Learning curve: seed {seed} ", close]),
        html.P(told, className="step"),
        picture(figure, "curve", numbers),
        html.P(
            ["As JSON: ", html.A("epochs", href=api(study.name, f"/trials/{key}/epochs"))],
            className="downloads",
        ),
    ]
