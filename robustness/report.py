"""The report: one HTML file that opens offline, with the question, an answer, pictures and tables."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape

from robustness.figures import CONFIG, Request, draw
from robustness.spec import StudySpec
from robustness.summary import Study, cell_table, row_table
from robustness.summary.intervals import seed_block_rate
from robustness.summary.outcome import ROW
from robustness.tables import tuned_table, write_html
from robustness.trial import RECORD_VERSION

__all__ = ["answer", "chaotic_cells", "summary_rng", "write_report"]

_PACKAGES = ("robustness-study", "torch", "torchvision", "ray", "numpy", "scipy", "pandas", "plotly")


def summary_rng() -> np.random.Generator:
    """The generator of every summary: fixed, so that the same store gives the same bytes."""
    return np.random.default_rng(20_260)


def write_report(study: Study, path: Path) -> None:
    """Write the study's report to `path`."""
    cells = cell_table(study.trials, study.complete)
    rows = row_table(study.complete, cells, summary_rng())
    pictures: list[str] = []
    for task in study.tasks:
        request = Request(study=study, task=task)
        for name in ("heatmap-diverged", "heatmap-score", "curves"):
            pictures.append(_embedded(draw(name, request), first=not pictures))
    environment = Environment(
        loader=PackageLoader("robustness", "."), autoescape=select_autoescape(default=True), trim_blocks=True
    )
    text = environment.get_template("report.html.j2").render(
        study=study,
        answer=answer(study),
        warnings=_warnings(study, rows),
        pictures=pictures,
        table=write_html(tuned_table(study, rows)),
        chaotic=chaotic_cells(study),
        spec=StudySpec.model_validate(study.spec).model_dump_json(indent=2),
        facts=_reproducibility(study),
    )
    path.write_text(text, encoding="utf-8")


def answer(study: Study) -> list[str]:
    """For each optimizer a sentence: how many trials diverged, with the interval by whole seeds."""
    rng = summary_rng()
    sentences = []
    for optimizer, group in study.complete.groupby("optimizer", sort=False):
        flags = [(part["side"] == "diverged").to_numpy() for _, part in group.groupby("seed_index")]
        rate = seed_block_rate(flags, rng)
        not_trained = int((group["outcome"] != "trained").sum())
        nonfinite = int((group["outcome"] == "nonfinite").sum())
        interval = f"95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f}"
        if np.isnan(rate.low):
            interval = "one seed, so no interval"
        sentences.append(
            f"{optimizer}: {rate.k} of {rate.n} trials diverged "
            f"({100 * rate.value:.1f} %, {interval}; "
            f"{nonfinite} of them not finite); {not_trained} did not train."
        )
    return [*sentences, *_clamped(study)] or ["Nothing is complete yet."]


def _clamped(study: Study) -> list[str]:
    """How much INSGD's preset `released` clamped: where nothing is clamped it has fixed multipliers."""
    known = study.complete.dropna(subset=["clamped_share"])
    return [
        f"{optimizer} on {task}: {100 * share.mean():.1f} % of the standard deviations of its inputs were clamped in "
        f"the last step, mean over {len(share)} trials (range {100 * share.min():.1f} to {100 * share.max():.1f})."
        for (task, optimizer), share in known.groupby(["task", "optimizer"], sort=False)["clamped_share"]
    ]


def _warnings(study: Study, rows: pd.DataFrame) -> list[str]:
    """What a reader must know before believing the numbers."""
    found = []
    missing = len(study.trials) - len(study.complete)
    if missing:
        failed = study.counts["failed"]
        found.append(
            f"{missing} of {len(study.trials)} trials are missing ({failed} failed): rates rest on the rest."
        )
    seeds = study.complete["seed_index"].nunique()
    if seeds < 10:
        found.append(f"{seeds} seeds: below 10 the intervals cover less than they state.")
    for task, facts in study.facts.items():
        found += [f"{task}: {text}." for text in facts.assumed]
    chaotic = study.complete["chaotic"].sum()
    if chaotic:
        found.append(
            f"{chaotic} trials are chaotic: their loss was once beyond {study.thresholds.chaos:g} times where it began, so "
            "rounding (another machine, or --pack 1) can decide how they end. They are listed below."
        )
    resting = study.complete["evidence"].isin(["smaller-lr-trains", "larger-lr-trains"]).sum()
    if resting:
        found.append(
            f"{resting} labels rest on other learning rates of their row and can change when trials are added."
        )
    edge = rows[rows.apply(lambda row: _at_edge(study, row), axis=1)] if len(rows) else rows
    for _, row in edge.iterrows():
        found.append(
            f"{row['optimizer']} on {row['init']} ({row['task']}): the tuned learning rate is at the grid's edge."
        )
    grids = {tuple(sorted(part.unique())) for _, part in study.trials.groupby(["task", "optimizer"])["lr"]}
    if len(grids) > 1:
        found.append("Optimizers have different grids of learning rates: their rates are not comparable.")
    else:
        found.append(
            "All optimizers share one nominal grid: one with a smaller effective step looks more robust there. "
            "Rates do not separate the two."
        )
    return found


def chaotic_cells(study: Study) -> list[str]:
    """Each square with chaotic trials: its labels, its learning rate, and the seed indices."""
    found = study.complete[study.complete["chaotic"]]
    return [
        f"{task}, {optimizer}, {init}, learning rate {lr:.3g}: seeds {', '.join(map(str, sorted(seeds)))}"
        for (task, optimizer, init, lr), seeds in found.groupby([*ROW, "lr"], sort=False)["seed_index"]
    ]


def _at_edge(study: Study, row: pd.Series) -> bool:
    own = study.trials[
        (study.trials["task"] == row["task"]) & (study.trials["optimizer"] == row["optimizer"])
    ]
    return bool(row["tuned_lr"] in (own["lr"].min(), own["lr"].max()))


def _embedded(figure: go.Figure, *, first: bool) -> str:
    figure.update_layout(autosize=True)
    text: str = figure.to_html(full_html=False, include_plotlyjs=first, config=CONFIG)
    return text


def _reproducibility(study: Study) -> dict[str, Any]:
    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    counts = study.counts
    return {
        "trials": f"{counts['complete']} complete, {counts['failed']} failed, "
        f"{counts['waiting'] + counts['running']} to run, of {len(study.trials)}",
        "record version": RECORD_VERSION,
        "rule": f"version {study.thresholds.version}, skill floor {study.thresholds.skill_floor:g}",
        "this report was made with": ", ".join(f"{name} {installed(name)}" for name in _PACKAGES),
        "on": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
