"""The report: one HTML file that opens offline, with the question, an answer, warnings, pictures and tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape

from robustness.environment import environment
from robustness.errors import writing
from robustness.figures import CONFIG, FIGURES, Request, applicable, draw
from robustness.report.answer import answer, asides, overview
from robustness.report.pdf import print_pdf
from robustness.spec import StudySpec
from robustness.store import Store
from robustness.summary import Study, check_begun, measure
from robustness.summary.outcome import ROW
from robustness.summary.sampler_limits import not_independent, sampler_of
from robustness.tables import pivot_table, standard_table, write_html
from robustness.tables.measured import measurements
from robustness.trial import RECORD_VERSION
from robustness.wording.captions import seeds_text
from robustness.wording.warnings import study_warnings

__all__ = ["answer", "asides", "chaotic_cells", "overview", "print_pdf", "write_report"]

_EVERYWHERE = ("heatmap-diverged", "heatmap-score", "curves")
_FIRST_TASKS = 3
"""Tasks with all their figures; of more, each has those of `_EVERYWHERE`, and the file stays small."""
_LEFT_OUT = ("heatmap-nonfinite", "heatmap-not-trained")
_POOLED = ("divergence_rate", "nonfinite_rate", "not_trained_rate", "joint_window", "transfer_regret")


def write_report(
    study: Study,
    path: Path,
    store: Store | None = None,
    on_step: Callable[[str, int], None] = lambda *_: None,
) -> None:
    """Write the study's report to `path`.

    Args:
        study: complete or not.
        path: of the HTML file.
        store: for the learning curves.
        on_step: told what is done next, and how many steps there are.

    Raises:
        SpecError: it has no trials yet.
    """
    check_begun(study)
    planned = list(_planned(study, store))
    steps = len(planned) + 2
    pictures: list[str] = []
    for name, request in planned:
        on_step(f"{name} of {request.task}", steps)
        pictures.append(_embedded(draw(name, request), first=not pictures))
    on_step("tables", steps)
    tables = [write_html(standard_table(study))]
    if study.tuning and not not_independent(sampler_of(study.spec)):
        # Rates of drawn learning rates come once over all of them and once a bin: curves, which are no columns.
        whole = [row for row in measure(study, metrics=_POOLED) if not row.at]
        pooled = measurements(whole)
        layout = pivot_table(study, pooled, rows=("task", "optimizer"), columns=(), delta="5 % of skill")
        tables.append(write_html(layout))
    on_step("page", steps)
    page = Environment(
        loader=PackageLoader("robustness.report", "."),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
    )
    text = page.get_template("page.html.j2").render(
        study=study,
        answer=answer(study),
        asides=asides(study),
        warnings=study_warnings(study),
        pictures=pictures,
        tables=tables,
        chaotic=chaotic_cells(study),
        origin=_origin(study),
        facts=_reproducibility(study),
    )
    with writing(path):
        path.write_text(text, encoding="utf-8")


def _planned(study: Study, store: Store | None) -> Iterator[tuple[str, Request]]:
    for place, task in enumerate(study.tasks):
        request = Request(study=study, task=task, store=store)
        possible = set(applicable(request))
        for name in FIGURES if place < _FIRST_TASKS else _EVERYWHERE:
            if name in possible and name not in _LEFT_OUT and not FIGURES[name].is_slow(request):
                yield name, request


def chaotic_cells(study: Study) -> list[str]:
    """Each square with chaotic trials: its labels, its learning rate, and the seed indices."""
    found = study.complete[study.complete["chaotic"]]
    return [
        f"{task}, {optimizer}, {init}, learning rate {lr:.3g}: seeds {', '.join(map(str, sorted(seeds)))}"
        for (task, optimizer, init, lr), seeds in found.groupby([*ROW, "lr"], sort=False)["seed_index"]
    ]


def _embedded(figure: go.Figure, *, first: bool) -> str:
    figure.update_layout(autosize=True)
    text: str = figure.to_html(full_html=False, include_plotlyjs=first, config=CONFIG)
    return text


def _origin(study: Study) -> str:
    """The spec of a study that was run; where an imported one came from."""
    if study.source:
        return json.dumps(study.source, indent=2, ensure_ascii=False)
    return StudySpec.model_validate(study.spec).model_dump_json(indent=2)


def _reproducibility(study: Study) -> dict[str, str]:
    counts = study.counts
    root = study.spec.get("search", {}).get("seed")
    here = environment()
    return {
        "trials": f"{counts['complete']:,} complete, {counts['failed']:,} failed, "
        f"{counts['waiting'] + counts['running']:,} to run, of {sum(counts.values()):,}",
        "seeds": seeds_text(study) + ("" if root is None else f", root seed {root}"),
        "record version": "none: imported" if study.source else str(RECORD_VERSION),
        "rule": f"version {study.thresholds.version}, skill floor {study.thresholds.skill_floor:g}",
        **{f"run with: {name}": text for name, text in study.environment.items()},
        **{
            f"this report: {name}": text for name, text in here.items() if text != study.environment.get(name)
        },
    }
