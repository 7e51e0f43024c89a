"""Rates over rows and over all rows of an optimizer: metrics, tables, JSON, the answer."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from typing import Any

from robustness.service import rows
from robustness.summary import Delta
from robustness.summary.flags import Flag
from robustness.summary.sampler_limits import not_independent, sampler_of
from robustness.summary.tuned_rows import tuned_rows
from robustness.tables import TableLayout, pivot_table, standard_table, write_markdown, write_measured_csv
from robustness.tables.measured import measurements
from tests.consistency.sightings import Opened, Sighting, as_served, number_in, printed_by, shown

__all__ = ["AXES", "entry_sightings", "rate_sightings", "row_of"]

RATES = ("divergence_rate", "nonfinite_rate", "not_trained_rate", "tuned_failure_rate")
AXES = ("task", "optimizer", "init")
ENTRY = re.compile(
    r"(?P<value>[^ ]+)(?: ± (?P<sd>[^ ]+))?(?: \[(?P<low>[^ ]+), (?P<high>[^ ]+)\])?(?: \((?P<k>\d+)/(?P<n>\d+)\))?"
)
RATE_IN_ANSWER = (
    r"(\S+) % \((no interval[^;]*|\S+ to \S+); ([\d,]+) of ([\d,]+)(?:, as each learning rate weighs the same)?\), "
    r"([\d,]+) of them not finite"
)


def rate_sightings(opened: Opened) -> Iterator[Sighting]:
    """Value, count, trials and interval of every rate."""
    rate_rows = [row for row in opened.metrics if row.metric in RATES and not row.at]
    for row in rate_rows:
        what = row_of(row.metric, row.task, row.optimizer, row.init)
        yield from _ends(what, "metrics", row.value, row.low, row.high)
        yield Sighting((*what, "n"), "metrics", row.n)
        counted = [remark.numbers for remark in row.remarks if remark.flag is Flag.COUNT]
        for k, n in counted:
            yield Sighting((*what, "k"), "metrics", k)
            yield Sighting((*what, "n"), "metrics", n)
    for where, plain in (
        ("metrics --json", opened.metrics_json),
        ("/metrics", as_served(rows.metrics(opened.study, list(RATES), Delta.parse("5%")))),
    ):
        for served in plain:
            if served["metric"] in RATES and not served["at"]:
                what = row_of(served["metric"], served["task"], served["optimizer"], served["init"])
                yield from _ends(what, where, *(number_in(served[end]) for end in ("value", "low", "high")))
                yield Sighting((*what, "n"), where, served["n"])
    yield from _summed_squares(opened)
    yield from _bins(opened)
    yield from _tuned_rows(opened)
    yield from _tables(opened)
    yield from _answer(opened)


def row_of(metric: str, task: Any, optimizer: Any, init: Any) -> tuple[str, ...]:
    """What a number of a row is, but for which number; labels that are pooled over are empty."""
    return (metric, task or "", optimizer, init or "")


def _ends(what: tuple[str, ...], where: str, value: float, low: float, high: float) -> Iterator[Sighting]:
    for name, number in (("value", value), ("low", low), ("high", high)):
        yield Sighting((*what, name), where, number)


def _summed_squares(opened: Opened) -> Iterator[Sighting]:
    """Counts of the squares of a row, where no sampler added some."""
    if sampler_of(opened.study.spec) in ("edge", "tpe", "refine"):
        return
    counted = {"divergence_rate": ["diverged"], "nonfinite_rate": ["nonfinite"]}
    counted["not_trained_rate"] = ["untrained", "nonfinite", "blowup"]
    for (task, optimizer, init), squares in opened.study.grid.squares.groupby(list(AXES), sort=False):
        for metric, columns in counted.items():
            what = row_of(metric, task, optimizer, init)
            yield Sighting((*what, "k"), "the squares of the row", squares[columns].sum().sum())
            yield Sighting((*what, "n"), "the squares of the row", squares["n"].sum())


def _bins(opened: Opened) -> Iterator[Sighting]:
    """Rates of bins of drawn learning rates: as metrics, and as squares of the only initialization."""
    in_bins = [row for row in opened.metrics if row.metric == "divergence_rate" and row.at]
    squares = opened.study.grid.squares.sort_values("lr")
    for row, square in zip(in_bins, squares[squares["n"] > 0].to_dict("records"), strict=False):
        what = ("bin", str(row.task), row.optimizer, row.at)
        for where, numbers in (
            ("metrics", [row.value, row.n]),
            ("squares", [square["divergence_rate"], square["n"]]),
        ):
            for name, number in zip(("value", "n"), numbers, strict=True):
                yield Sighting((*what, name), where, number)
        if not math.isnan(row.low):  # none where several trials have one setting
            for name in ("low", "high"):
                yield Sighting((*what, name), "metrics", getattr(row, name))
                yield Sighting((*what, name), "squares", square[name])


def _tuned_rows(opened: Opened) -> Iterator[Sighting]:
    if not_independent(sampler_of(opened.study.spec)):
        return  # shows rates of neither
    for line in tuned_rows(opened.study).to_dict("records"):
        what = row_of("divergence_rate", *(line[axis] for axis in AXES))
        yield from _ends(what, "tuned_rows", line["divergence_rate"], line["low"], line["high"])
        yield Sighting((*what, "k"), "tuned_rows", line["diverged"])
        yield Sighting((*what, "n"), "tuned_rows", line["n"])
        what = row_of("not_trained_rate", *(line[axis] for axis in AXES))
        yield Sighting((*what, "k"), "tuned_rows", line["not_trained"])
        if not math.isnan(line["tuned_lr"]):
            what = row_of("tuned_failure_rate", *(line[axis] for axis in AXES))
            yield Sighting((*what, "k"), "tuned_rows", line["tuned_n"] - line["tuned_trained"])
            yield Sighting((*what, "n"), "tuned_rows", line["tuned_n"])


def _tables(opened: Opened) -> Iterator[Sighting]:
    study = opened.study
    measured = measurements(row for row in opened.metrics if row.metric in RATES and not row.at)
    for line in csv.DictReader(io.StringIO(write_measured_csv(measured))):
        for metric in RATES:
            what = row_of(metric, *(line[axis] for axis in AXES))
            if line.get(f"{metric} n"):
                ends = (number_in(line[f"{metric}{end}"]) for end in ("", " low", " high"))
                yield from _ends(what, "the CSV of metrics", *ends)
                yield Sighting((*what, "n"), "the CSV of metrics", number_in(line[f"{metric} n"]))
    for metric in RATES:
        entries = [m for m in measured if m.metric == metric]
        if entries:
            layout = pivot_table(study, entries, rows=AXES, columns=())
            yield from entry_sightings(layout, metric, 0.01, "a pivot table")
    if not not_independent(sampler_of(study.spec)):
        layout = standard_table(study)
        yield from _standard(layout)
        assert write_markdown(layout) == printed_by(opened, "table")


def entry_sightings(layout: TableLayout, metric: str, unit: float, where: str) -> Iterator[Sighting]:
    """Numbers of a pivot table of one metric: its entry and what stands beside it."""
    place = len(layout.columns) - 1
    assert place == layout.labels
    pooled = {"all initializations", "all tasks"}
    for number, row in enumerate(layout.rows):
        labels = dict(zip(layout.columns[:place], row[:place], strict=True))
        task, optimizer, init = (
            "" if labels[name] in pooled else labels[name] for name in ("Task", "Optimizer", "Initialization")
        )
        what = row_of(metric, task, optimizer, init)
        aside = layout.asides.get((number, place), "")
        match = ENTRY.fullmatch(f"{row[place]} {aside}".strip().removeprefix("≥ "))
        assert match, (row[place], aside)
        for name in ("value", "sd", "low", "high"):
            if match[name] is not None:
                yield shown((*what, name), where, match[name], unit)
        for name in ("k", "n"):
            if match[name] is not None:
                yield shown((*what, name), where, match[name])


def _standard(layout: TableLayout) -> Iterator[Sighting]:
    for row in layout.rows:
        task, init, optimizer, _, _, _, rate, interval, counts = row
        what = row_of("divergence_rate", task, optimizer, init)
        k, n = counts.split("/")
        yield shown((*what, "value"), "the standard table", rate, 0.01)
        low, high = interval.split(" to ") if " to " in interval else ("–", "–")
        for name, text, unit in (("low", low, 0.01), ("high", high, 0.01), ("k", k, 1), ("n", n, 1)):
            yield shown((*what, name), "the standard table", text, unit)


def _answer(opened: Opened) -> Iterator[Sighting]:
    """The first sentence of an answer, and the pooled rates of a study of one task."""
    if not_independent(sampler_of(opened.study.spec)) or len(opened.study.tasks) > 1:
        return
    [task] = opened.study.tasks
    first = opened.answer[0]
    for optimizer in opened.study.optimizers:
        match = re.search(rf"(?:: |; ){re.escape(optimizer)} {RATE_IN_ANSWER}", first)
        assert match, first
        rate, interval, k, n, not_finite = match.groups()
        what = row_of("divergence_rate", task, optimizer, None)
        yield shown((*what, "value"), "the answer", rate, 0.01)
        low, high = interval.split(" to ") if " to " in interval else ("–", "–")
        for name, text, unit in (("low", low, 0.01), ("high", high, 0.01)):
            yield shown((*what, name), "the answer", text, unit)
        for name, text in (("k", k), ("n", n)):
            yield Sighting((*what, name), "the answer", number_in(text))
        what = row_of("nonfinite_rate", task, optimizer, None)
        yield Sighting((*what, "k"), "the answer", number_in(not_finite))
