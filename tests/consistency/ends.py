"""Windows, first failures, profiles and expected bests: metrics, pictures, tables, audits, sentences."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from robustness.figures.best_of_k import best_of_k_info
from robustness.figures.critical import critical_info, draw_critical
from robustness.figures.gallery import Request, lacks
from robustness.figures.profile import profile_info
from robustness.summary import MetricRow
from robustness.summary.findings import FindingCode
from robustness.summary.flags import Flag
from robustness.summary.sampler_limits import sampler_of
from robustness.tables import pivot_table, standard_table
from robustness.tables.measured import measurements
from tests.consistency.rates import AXES, entry_sightings, row_of
from tests.consistency.sightings import Opened, Sighting, number_in, shown

__all__ = ["end_sightings"]

ENDS = ("value", "low", "high")
FIRST = "first failure tried, {} point"


def end_sightings(opened: Opened) -> Iterator[Sighting]:
    """Where training ends, how wide the windows are, and what tuning gives."""
    yield from _windows(opened)
    yield from _first_failures(opened)
    yield from _gaps(opened)
    yield from _profiles(opened)
    yield from _best_of_k(opened)


def _drawable(opened: Opened, name: str) -> Iterator[str]:
    for task in opened.study.tasks:
        if not lacks(name, Request(study=opened.study, task=task, store=opened.store)):
            yield task


def _metric(opened: Opened, name: str) -> list[MetricRow]:
    return [row for row in opened.metrics if row.metric == name]


def _windows(opened: Opened) -> Iterator[Sighting]:
    if sampler_of(opened.study.spec) in ("edge", "tpe"):
        return
    windows = _metric(opened, "tolerance_window")
    for row in windows:
        what = row_of("window", row.task, row.optimizer, row.init)
        for end in ENDS:
            yield Sighting((*what, end), "metrics", getattr(row, end))
        censored = row.has(Flag.CENSORED_LOW, Flag.CENSORED_HIGH, Flag.MISSING_SQUARE)
        yield Sighting((*what, "censored"), "metrics", censored)
    for plain in opened.metrics_json:
        if plain["metric"] == "tolerance_window":
            what = row_of("window", plain["task"], plain["optimizer"], plain["init"])
            for end in ENDS:
                yield Sighting((*what, end), "metrics --json", number_in(plain[end]))
    layout = pivot_table(opened.study, measurements(windows), rows=AXES, columns=())
    yield from entry_sightings(layout, "window", 1.0, "a pivot table")
    edges = opened.audit.edges.rows
    for edge in edges:
        what = row_of("window", edge.task, edge.optimizer, edge.init)
        yield Sighting((*what, "censored"), "audit, edges", edge.is_censored)
    yield from _windows_in_words(opened, windows)


def _windows_in_words(opened: Opened, windows: list[MetricRow]) -> Iterator[Sighting]:
    second = opened.answer[1]
    for optimizer in opened.study.optimizers:
        known = [row.value for row in windows if row.optimizer == optimizer and math.isfinite(row.value)]
        scores = [row.value for row in _metric(opened, "score") if row.optimizer == optimizer]
        trained = [score for score in scores if math.isfinite(score)]
        match = re.search(
            rf"(?:: |; ){re.escape(optimizer)} (?:≥ )?(\S+) decades(?: and (a loss of )?([^\s;,]+))?", second
        )
        assert bool(match) == bool(known), second
        if match:
            what = ("median window", optimizer)
            yield Sighting((*what, "value"), "metrics", float(np.median(known)))
            yield shown((*what, "value"), "the answer", match[1])
            what = ("median tuned score", optimizer)
            yield Sighting((*what, "value"), "metrics", float(np.median(trained)))
            text = match[3].rstrip(".") if match[2] else match[3]
            yield shown((*what, "value"), "the answer", text, -1.0 if match[2] else 0.01)
    counted = len(
        [row for row in windows if row.has(Flag.CENSORED_LOW, Flag.CENSORED_HIGH, Flag.MISSING_SQUARE)]
    )
    yield Sighting(("windows", "censored"), "metrics", counted)
    found = [f for f in opened.findings if f.code is FindingCode.WINDOW_CENSORED]
    yield Sighting(("windows", "censored"), "findings", found[0].numbers[0] if found else 0)
    said = [re.search(r"missing square in (\S+) of", text) for text in opened.warnings]
    yield Sighting(("windows", "censored"), "warnings", next((number_in(m[1]) for m in said if m), 0))


def _first_failures(opened: Opened) -> Iterator[Sighting]:
    for row in _metric(opened, "critical_lr"):
        if row.at:
            what = row_of(row.at, row.task, row.optimizer, row.init)
            for end in ENDS:
                yield Sighting((*what, end), "metrics", 10 ** getattr(row, end))
    for plain in opened.metrics_json:
        if plain["metric"] == "critical_lr" and plain["at"]:
            what = row_of(plain["at"], plain["task"], plain["optimizer"], plain["init"])
            for end in ENDS:
                value = number_in(plain[end])
                if not math.isnan(value):  # null stands for an infinity too
                    yield Sighting((*what, end), "metrics --json", 10**value)
    for task in _drawable(opened, "critical-lr"):
        info = critical_info(opened.study, task)
        for line in info.frame().to_dict("records"):
            if line["what"] != "seed":
                at = FIRST.format(line["what"].removesuffix(" point"))
                what = row_of(at, task, line["optimizer"], line["init"])
                for end, column in zip(ENDS, ("first_not_trained", "low", "high"), strict=True):
                    yield Sighting((*what, end), "critical-lr", line[column])
        yield from _first_failures_on_hover(opened, task)
    if sampler_of(opened.study.spec) == "edge":
        yield from _first_failures_in_words(opened)


def _first_failures_on_hover(opened: Opened, task: str) -> Iterator[Sighting]:
    info = critical_info(opened.study, task)
    texts = [t.text[0] for t in draw_critical(info).data if t.text and "point of the first" in t.text[0]]
    estimates = [
        (row, at, estimate)
        for lane in range(len(info.optimizers))
        for row in info.rows
        if row.lane == lane
        for at, estimate in (("10 %", row.tenth), ("50 %", row.half))
        if not math.isnan(estimate.value)
    ]
    for text, (row, at, _) in zip(texts, estimates, strict=True):
        match = re.fullmatch(r"(\d+ %) point of the first failures tried: (\S+) \[(\S+), (\S+)\]", text)
        assert match, text
        assert match[1] == at
        what = row_of(FIRST.format(at), task, row.optimizer, row.init)
        for end, number in zip(ENDS, match.groups()[1:], strict=True):
            value = float(number)
            yield Sighting(
                (*what, end), "hover of critical-lr", value, abs(value) * 5e-4 if math.isfinite(value) else 0
            )


def _first_failures_in_words(opened: Opened) -> Iterator[Sighting]:
    """Of an edge study: its answer names each of a few rows, its table all."""
    [first, *_] = opened.answer
    pattern = r"(\S+) \((no interval|(\S+) (?:to (\S+)|and beyond)); ([^,;]+), ([^,;]+), n = (\d+)\)"
    for optimizer in opened.study.optimizers:
        of_optimizer = re.search(rf"(?:: |; ){optimizer} (.*?)(?=; \w+ \d|\.$)", first)
        assert of_optimizer, first
        for match in re.finditer(pattern, of_optimizer[1]):
            what = row_of(FIRST.format("50 %"), match[5], optimizer, match[6])
            yield shown((*what, "value"), "the answer", match[1])
            if match[3]:
                yield shown((*what, "low"), "the answer", match[3])
                yield (
                    shown((*what, "high"), "the answer", match[4])
                    if match[4]
                    else Sighting((*what, "high"), "the answer", math.inf)
                )
    layout = standard_table(opened.study)
    for row in layout.rows:
        labels = dict(zip(layout.columns, row, strict=True))
        for header, text in labels.items():
            at = header.removeprefix("Critical lr, ")
            if at != header and text != "> grid":
                what = row_of(at, labels["Task"], labels["Optimizer"], labels["Initialization"])
                yield shown((*what, "value"), "the standard table", text)


def _gaps(opened: Opened) -> Iterator[Sighting]:
    """Seeds of a row that train above a learning rate that does not."""
    for row in _metric(opened, "critical_lr"):
        if row.at == FIRST.format("50 %") and not math.isnan(row.value):
            counts = [remark.numbers[0] for remark in row.remarks if remark.flag is Flag.NON_MONOTONE]
            what = row_of("gaps", row.task, row.optimizer, row.init)
            yield Sighting((*what, "seeds"), "metrics", counts[0] if counts else 0)
            for labels in opened.audit.labels.rows:
                if (labels.task, labels.optimizer) == (row.task, row.optimizer):
                    seeds = sum(len(gap.seeds) for gap in labels.gaps if gap.init == row.init)
                    yield Sighting((*what, "seeds"), "audit", seeds)
    if sampler_of(opened.study.spec) == "edge":
        said = opened.answer[1]
        for optimizer, task, odd in re.findall(r"(?:: |; )(\S+) on (.+?) (\d+) of \d+ \(", said):
            yield Sighting(("gaps of all rows", task, optimizer, "seeds"), "the answer", float(odd))
    for labels in opened.audit.labels.rows:
        seeds = sum(len(gap.seeds) for gap in labels.gaps)
        yield Sighting(("gaps of all rows", labels.task, labels.optimizer, "seeds"), "audit", seeds)


def _profiles(opened: Opened) -> Iterator[Sighting]:
    if len(opened.study.tasks) > 1:
        return  # the metric is over tasks, the picture of one
    thresholds = set()
    for row in _metric(opened, "performance_profile"):
        if row.at:
            thresholds.add(float(row.at.removeprefix("skill > ")))
            for end in ENDS:
                what = ("profile", row.optimizer, f"{float(row.at.removeprefix('skill > ')):.6g}")
                yield Sighting((*what, end), "metrics", getattr(row, end))
    for task in _drawable(opened, "profile"):
        for line in profile_info(opened.study, task).frame().to_dict("records"):
            if any(math.isclose(line["skill"], tau) for tau in thresholds):
                what = ("profile", line["optimizer"], f"{line['skill']:.6g}")
                for end, column in zip(ENDS, ("share", "low", "high"), strict=True):
                    yield Sighting((*what, end), "profile", line[column])


def _best_of_k(opened: Opened) -> Iterator[Sighting]:
    ks = set()
    for row in _metric(opened, "expected_best_of_k"):
        if row.at:
            ks.add(int(row.at.removeprefix("k = ")))
            what = (*row_of("best of k", row.task, row.optimizer, row.init), row.at)
            for end in ENDS:
                yield Sighting((*what, end), "metrics", getattr(row, end))
    for task in _drawable(opened, "best-of-k"):
        for line in best_of_k_info(opened.study, task).frame().to_dict("records"):
            if line["k"] in ks:
                what = (*row_of("best of k", task, line["optimizer"], line["init"]), f"k = {line['k']}")
                for end, column in zip(ENDS, ("score", "low", "high"), strict=True):
                    yield Sighting((*what, end), "best-of-k", line[column])
