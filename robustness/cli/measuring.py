"""The command `metrics`. Torch-free."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName, open_
from robustness.errors import SpecError, check_known, nearest

if TYPE_CHECKING:
    from robustness.summary import MetricRow, Study, Thresholds

__all__ = ["DeltaText", "SeedFilter", "ThresholdChanges", "loaded", "metrics"]

DeltaText = Annotated[
    str,
    typer.Option("--delta", help="How far below the best a window reaches: 0.02 of score, or 5% of skill."),
]
SeedFilter = Annotated[
    str | None, typer.Option(help="Only these seed indices: 42, or 0,1,2, or 0-9.", metavar="SEEDS")
]
OptimizerFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--optimizer", help="One optimizer's label; may be repeated; all by default.", metavar="LABEL"
    ),
]
ThresholdChanges = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="NAME=VALUE", help="Reclassify by another rule: skill_floor=0.05."),
]


def metrics(
    study: StudyName,
    store: StoreUrl = DEFAULT_STORE,
    metric: Annotated[
        list[str] | None, typer.Option(help="One metric's id; may be repeated or a,b.", metavar="ID")
    ] = None,
    delta: DeltaText = "5%",
    optimizer: OptimizerFilter = None,
    seed_filter: SeedFilter = None,
    threshold: ThresholdChanges = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")] = False,
) -> None:
    """Print every robustness metric of a study, with its interval."""
    from robustness.summary import Delta, measure
    from robustness.summary.rows import check_metrics
    from robustness.wording.remarks import metric_json

    names = [name for text in metric or [] for name in text.split(",")]
    check_metrics(names)
    width = Delta.parse(delta)
    found = loaded(store, study, seed_filter, threshold, optimizer)
    rows = measure(found, metrics=names or None, delta=width)
    if as_json:
        print(json.dumps([metric_json(row) for row in rows], indent=1, ensure_ascii=False))
    elif not len(found.complete):
        print("Nothing is complete yet.")
    else:
        _print_table(rows)


def loaded(
    store: str,
    study: str,
    seed_filter: str | None = None,
    threshold: list[str] | None = None,
    optimizers: list[str] | None = None,
) -> Study:
    """A study, filtered and classified as the options say.

    Raises:
        SpecError: an option breaks its rule, or the study has no trials yet.
    """
    from robustness.summary import check_begun, load_study

    seeds = None if seed_filter is None else _seeds(seed_filter)
    rules = _thresholds(threshold or [])
    with open_(store) as opened:
        found = load_study(opened, study, rules, seeds=seeds)
    check_begun(found)
    for label in optimizers or []:
        check_known("--optimizer", label, found.optimizers)
    return found.only(optimizers) if optimizers else found


def _seeds(text: str) -> set[int]:
    rule = f"must be seed indices such as 42, or 0,1,2, or 0-9, got {text!r:.80}"
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise SpecError.of("--seed-filter", rule)
        low, high = int(first), int(last or first)
        if not low <= high < low + 1_000_000:
            raise SpecError.of("--seed-filter", rule)
        found.update(range(low, high + 1))
    return found


def _thresholds(changes: list[str]) -> Thresholds:
    from robustness.summary import Thresholds

    rules = Thresholds()
    names = [field.name for field in fields(rules) if field.name != "version"]
    for change in changes:
        name, _, text = change.partition("=")
        if name not in names:
            raise SpecError.of("--threshold", f"there is no threshold {name!r:.80}; {nearest(name, names)}")
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise SpecError.of("--threshold", f"{name} must be a number >= 0, got {text!r:.80}")
        rules = replace(rules, **{name: value})  # type: ignore[arg-type]
    return rules


def _print_table(rows: list[MetricRow]) -> None:
    """A block a metric; columns in which all rows are alike are left out, nothing is cut."""
    from robustness.summary import METRICS
    from robustness.wording.remarks import row_note

    plain = {row: _texts(row) for row in rows}
    shown = [c for c in range(4) if len({texts[c] for texts in plain.values()}) > 1] + [4, 5, 6]
    widths = [max((len(texts[c]) for texts in plain.values()), default=0) for c in range(7)]
    before = ""
    for row, texts in plain.items():
        if row.metric != before:
            before = row.metric
            print(f"\n{row.metric}, {row.unit or '1'}: {METRICS[row.metric].doc}")
        cells = [texts[c].rjust(widths[c]) if c in (4, 6) else texts[c].ljust(widths[c]) for c in shown]
        print("  ".join(["", *cells, row_note(row)]).rstrip())


def _texts(row: MetricRow) -> list[str]:
    interval = "" if math.isnan(row.low) else f"[{_shown(row.low)}, {_shown(row.high)}]"
    labels = [row.task or "all tasks", row.optimizer, row.init or "all", row.at]
    return [*labels, _shown(row.value), interval, f"n = {row.n}"]


def _shown(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"
