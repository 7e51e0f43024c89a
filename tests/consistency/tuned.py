"""Numbers at the tuned learning rate: metrics, tables, pictures, audits, winners, the answer."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator

import numpy as np

from robustness.figures.gallery import Request, lacks
from robustness.figures.heatmap import heatmap_info
from robustness.figures.spread import draw_spread, spread_info
from robustness.summary.flags import Flag
from robustness.summary.sampler_limits import not_independent, sampler_of
from robustness.summary.tuned_rows import tuned_rows
from robustness.summary.winners import winners
from robustness.tables import pivot_table, standard_table, write_measured_csv
from robustness.tables.measured import measurements, tuned_scores
from tests.consistency.rates import AXES, entry_sightings, row_of
from tests.consistency.sightings import Opened, Sighting, number_in, printed_by, shown

__all__ = ["tuned_sightings"]

OVER_SEEDS = "over seeds at the tuned learning rate"


def tuned_sightings(opened: Opened) -> Iterator[Sighting]:
    """Tuned learning rates, and scores there: mean, standard deviation, seeds, median."""
    if sampler_of(opened.study.spec) == "edge":
        return  # which tunes nothing
    yield from _metrics(opened)
    yield from _rows(opened)
    yield from _score_tables(opened)
    yield from _heatmap(opened)
    yield from _spread(opened)
    yield from _audit(opened)
    if sampler_of(opened.study.spec) == "tpe":
        yield from _winners(opened)


def _metrics(opened: Opened) -> Iterator[Sighting]:
    for row in opened.metrics:
        if row.metric == "tuned_lr":
            what = row_of("tuned lr", row.task, row.optimizer, row.init)
            yield Sighting((*what, "value"), "metrics", 10**row.value)
        if row.metric == "score":
            what = row_of("tuned score", row.task, row.optimizer, row.init)
            for name in ("value", "n", "low", "high"):
                yield Sighting((*what, name), "metrics", getattr(row, name))
            for remark in row.remarks:
                if remark.flag is Flag.SOME_SEEDS_FAILED:
                    failed, seeds = remark.numbers
                    yield Sighting((*what, "n"), "the remark on failed seeds", seeds - failed)
        if row.metric == "tuned_failure_rate" and not math.isnan(row.value):
            what = row_of("tuned score", row.task, row.optimizer, row.init)
            yield Sighting((*what, "n"), "the rate of tuned failures", (1 - row.value) * row.n)
        if row.at == OVER_SEEDS:
            what = row_of(row.metric, row.task, row.optimizer, row.init)
            yield Sighting((*what, "value"), "metrics", row.value)
    for plain in opened.metrics_json:
        labels = tuple(plain[axis] for axis in AXES)
        if plain["metric"] == "tuned_lr":
            lr = 10 ** number_in(plain["value"])
            yield Sighting((*row_of("tuned lr", *labels), "value"), "metrics --json", lr)
        if plain["metric"] == "score":
            for name in ("value", "low", "high", "n"):
                what = (*row_of("tuned score", *labels), name)
                yield Sighting(what, "metrics --json", number_in(plain[name]))


def _rows(opened: Opened) -> Iterator[Sighting]:
    for line in tuned_rows(opened.study).to_dict("records"):
        labels = tuple(line[axis] for axis in AXES)
        yield Sighting((*row_of("tuned lr", *labels), "value"), "tuned_rows", line["tuned_lr"])
        for name, column in (("value", "score_mean"), ("sd", "score_sd"), ("n", "tuned_trained")):
            yield Sighting((*row_of("tuned score", *labels), name), "tuned_rows", line[column])
    if not not_independent(sampler_of(opened.study.spec)):
        for task, init, optimizer, lr, score, seeds, *_ in standard_table(opened.study).rows:
            unit = -1.0 if opened.study.facts[task].score == "loss" else 0.01
            mean, _, sd = score.partition(" ± ")
            what = row_of("tuned score", task, optimizer, init)
            yield shown((*row_of("tuned lr", task, optimizer, init), "value"), "the standard table", lr)
            yield shown((*what, "value"), "the standard table", mean, unit)
            yield shown((*what, "sd"), "the standard table", sd, abs(unit))
            yield shown((*what, "n"), "the standard table", seeds.partition(" of ")[0])


def _score_tables(opened: Opened) -> Iterator[Sighting]:
    study = opened.study
    scores = tuned_scores(study.tuning)
    for where, measured in (
        ("tuned_scores", scores),
        ("measurements", measurements((r for r in opened.metrics if r.metric == "score"), scores)),
    ):
        for m in measured:
            sign = -1 if m.unit == "loss" else 1
            what = row_of("tuned score", m.task, m.optimizer, m.init)
            for name, value in (("value", sign * m.value), ("sd", m.sd), ("n", m.n)):
                yield Sighting((*what, name), where, value)
        by_loss = any(m.unit == "loss" for m in measured)
        layout = pivot_table(study, measured, rows=AXES, columns=())
        for sighting in entry_sightings(
            layout, "tuned score", 1.0 if by_loss else 0.01, f"a pivot of {where}"
        ):
            sign = -1 if by_loss and sighting.what[-1] == "value" else 1
            yield Sighting(sighting.what, sighting.where, sign * sighting.value, sighting.rounding)
    for line in csv.DictReader(io.StringIO(write_measured_csv(scores))):
        sign = -1 if line["score unit"] == "loss" else 1
        what = row_of("tuned score", *(line[axis] for axis in AXES))
        for name, text, factor in (
            ("value", line["score"], sign),
            ("sd", line["score sd"], 1),
            ("n", line["score n"], 1),
        ):
            yield Sighting(
                (*what, name), "the CSV of scores", factor * number_in(text or ("0" if name == "n" else ""))
            )


def _heatmap(opened: Opened) -> Iterator[Sighting]:
    """The frame of each row; none is drawn where most seeds train nowhere."""
    for task in opened.study.tasks:
        info = heatmap_info(opened.study, task)
        for panel in info.panels:
            for init, place in zip(info.inits, panel.tuned_I, strict=True):
                if place >= 0:
                    what = (*row_of("tuned lr", task, panel.optimizer, init), "value")
                    yield Sighting(what, "the frame in the heatmap", panel.lrs[place])


def _spread(opened: Opened) -> Iterator[Sighting]:
    study = opened.study
    for task in study.tasks:
        if lacks("spread", Request(study=study, task=task, store=opened.store)):
            continue
        info = spread_info(study, task)
        assert draw_spread(info).data
        for (optimizer, init), points in info.frame().groupby(["optimizer", "init"], sort=False):
            labels = (task, optimizer, init)
            [lr] = points["tuned_lr"].unique()
            yield Sighting((*row_of("tuned lr", *labels), "value"), "spread", lr)
            trained = points.loc[points["trained"], "score"]
            yield Sighting((*row_of("tuned score", *labels), "value"), "spread", trained.mean())
            yield Sighting((*row_of("tuned score", *labels), "sd"), "spread", trained.std())
            yield Sighting((*row_of("tuned score", *labels), "n"), "spread", len(trained))
            if len(trained) and len(points) > 1:
                low, high = np.quantile(points["score"], [0.25, 0.75])
                yield Sighting((*row_of("accuracy_spread_iqr", *labels), "value"), "spread", high - low)
                yield Sighting(
                    (*row_of("accuracy_spread_worst", *labels), "value"), "spread", points["score"].min()
                )


def _audit(opened: Opened) -> Iterator[Sighting]:
    info = opened.audit
    for edge in info.edges.rows:
        what = (*row_of("tuned lr", edge.task, edge.optimizer, edge.init), "value")
        yield Sighting(what, "audit, edges", edge.tuned_lr)
    for against in info.defaults.rows:
        labels = (against.task, against.optimizer, against.init)
        yield Sighting((*row_of("tuned lr", *labels), "value"), "audit, defaults", against.tuned_lr)
        gain = against.tuned_score - against.default_score
        yield Sighting((*row_of("tunability", *labels), "value"), "audit, tuned less default", gain)
        yield Sighting((*row_of("tunability", *labels), "value"), "audit, gain", against.gain)
    for row in opened.metrics:
        if row.metric == "tunability":
            what = (*row_of("tunability", row.task, row.optimizer, row.init), "value")
            yield Sighting(what, "metrics", row.value)
    sections = json.loads(printed_by(opened, "audit", "--json"))
    for name in ("edges", "defaults"):
        for plain in sections[name]["rows"]:
            what = (*row_of("tuned lr", *(plain[axis] for axis in AXES)), "value")
            yield Sighting(what, f"audit --json, {name}", number_in(plain["tuned_lr"]))


def _winners(opened: Opened) -> Iterator[Sighting]:
    [first, *_] = opened.answer
    for won in winners(opened.study):
        labels = (won.task, won.optimizer, won.init)
        lr, score = row_of("tuned lr", *labels), row_of("tuned score", *labels)
        for what, value in (
            ((*lr, "value"), won.lr),
            ((*score, "value"), won.score),
            ((*score, "n"), won.seeds),
        ):
            yield Sighting(what, "winners", value)
        match = re.search(
            rf"{won.optimizer} (\S+) % on {won.task}, {won.init} \(learning rate ([^,)]+)", first
        )
        assert match, first
        yield shown((*score, "value"), "the answer", match[1], 0.01)
        yield shown((*lr, "value"), "the answer", match[2])
