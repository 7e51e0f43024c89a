"""Numbers of squares: the grid, CSV files, the API, pictures with their hover texts, the page's table."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from robustness.dashboards.addresses import View
from robustness.dashboards.heatmaps import _squares as page_table

from robustness.figures.curves import curves_info
from robustness.figures.difference import difference_info
from robustness.figures.gallery import Request, lacks
from robustness.figures.heatmap import SHADES, HeatmapInfo, Shade, heatmap_info
from robustness.figures.heatmap_drawing import draw_heatmap
from robustness.service import rendering, rows
from robustness.trial import TrialState
from tests.consistency.sightings import Opened, Sighting, as_served, number_in, printed_by, shown

__all__ = ["square_sightings"]

EVERY = 100_000
COUNTS = ("n", "trained", "untrained", "nonfinite", "blowup", "diverged", "stalled", "unresolved")
NUMBERS = (
    *COUNTS,
    "divergence_rate",
    "low",
    "high",
    "score_mean",
    "score_sd",
    "score_median",
    "validation_median",
)
HOVER = re.compile(
    r"learning rate .*<br>(?P<what>[a-z ]+): (?P<k>\d+) of (?P<n>\d+), (?P<rate>\S+) % \[(?P<low>\S+), (?P<high>\S+)\]"
    r"<br>not finite (?P<nonfinite>\d+), diverged (?P<diverged>\d+), not trained (?P<not_trained>\d+), "
    r"stalled (?P<stalled>\d+)<br>median .* (?P<score_median>\S+)$"
)


def square_sightings(opened: Opened) -> Iterator[Sighting]:
    """Counts, rates with their intervals, and scores of every square."""
    study = opened.study
    for row in study.grid.squares.to_dict("records"):
        yield from _numbers_of(row, "Grid.squares", row["task"])
    for text in (printed_by(opened, "table", "--format", "csv"), rendering.table(study, "csv").body.decode()):
        for line in csv.DictReader(io.StringIO(text)):
            yield from _numbers_of(line, "the CSV of squares", line["task"])
    served = as_served(rows.cells(study, rows.Labels(), EVERY, 0))
    for item in served["items"]:
        yield from _numbers_of(item, "/cells", item["task"])
        yield from _trials_of(opened, item)
    for task in study.tasks:
        yield from _heatmaps(opened, task)
        yield from _curves(opened, task)
        yield from _difference(opened, task)


def _square(task: Any, row: Any, number: str) -> tuple[str, ...]:
    """What a number of a square is; learning rates to six digits, as texts have them."""
    return ("square", str(task), str(row["optimizer"]), str(row["init"]), f"{float(row['lr']):.6g}", number)


def _numbers_of(row: Any, where: str, task: Any) -> Iterator[Sighting]:
    for number in NUMBERS:
        yield Sighting(_square(task, row, number), where, number_in(row[number]))
    not_trained = number_in(row["n"]) - number_in(row["trained"])
    yield Sighting(_square(task, row, "not trained"), where, not_trained)


def _trials_of(opened: Opened, square: dict[str, Any]) -> Iterator[Sighting]:
    """The trials that a click on the square lists, those with fresh seeds left out."""
    query = rows.TrialQuery(
        labels=rows.Labels(task=square["task"], optimizer=square["optimizer"], init=square["init"]),
        lr=square["lr"],
        states=(TrialState.COMPLETE,),
        outcomes=(),
        sort="position",
        descending=False,
        limit=EVERY,
        offset=0,
    )
    listed = as_served(rows.trials(opened.store, opened.study, query))["items"]
    trials = [trial for trial in listed if trial["reason"] != "confirm"]
    for number in COUNTS:
        counted = [trial for trial in trials if number in ("n", trial["outcome"], trial["side"])]
        if number == "unresolved":
            counted = [trial for trial in trials if trial["side"] == "unresolved"]
        yield Sighting(_square(square["task"], square, number), "/trials of the square", len(counted))


def _heatmaps(opened: Opened, task: str) -> Iterator[Sighting]:
    study = opened.study
    request = Request(study=study, task=task, store=opened.store)
    for shade in SHADES:
        name = f"heatmap-{shade}"
        if lacks(name, request):
            continue
        info = heatmap_info(study, task, shade)
        query = rendering.FigureQuery(
            name=name, format="csv", task=task, a=None, b=None, cell=None, size="page"
        )
        served = rendering.figure(study, opened.store, query).body.decode()
        for line in csv.DictReader(io.StringIO(served)):
            yield from _numbers_of(line, f"the CSV of {name}", task)
        yield from _drawn(task, shade, info)
        if shade == "diverged":  # pictures of all shades have the same table
            yield from _page(opened, task, info)


def _page(opened: Opened, task: str, info: HeatmapInfo) -> Iterator[Sighting]:
    """The table under the picture: its texts, and the square that its links lead to."""
    table = page_table(opened.study, info.frame(), View(), first="").to_plotly_json()["props"]["data-html"]
    heads = [
        text.strip().replace(" ", "_") for text in re.findall(r"<th scope=\"col\"[^>]*>([^<]*)</th>", table)
    ]
    squares = info.frame().to_dict("records")
    lines = re.findall(r"<tr><th scope=\"row\".*?</tr>", table, re.S)
    assert len(lines) == len(squares)
    for line, square in zip(lines, squares, strict=True):
        assert re.search(r"<a href=\"[^\"]*cell=[^\"]*\"", line)
        for head, text in zip(heads[1:], re.findall(r"<td[^>]*>([^<]*)</td>", line), strict=True):
            yield shown(_square(task, square, head), "the page's table of squares", text)


def _drawn(task: str, shade: Shade, info: HeatmapInfo) -> Iterator[Sighting]:
    """Hover texts and colours of the picture."""
    figure = draw_heatmap(info)
    counted = {
        "diverged": "diverged",
        "nonfinite": "nonfinite",
        "not-trained": "not trained",
        "score": "diverged",
    }
    for panel, drawn in zip(info.panels, figure.select_traces(selector={"type": "heatmap"}), strict=True):
        for (i, init), (j, lr) in itertools.product(enumerate(info.inits), enumerate(panel.lrs)):
            square = {"optimizer": panel.optimizer, "init": init, "lr": lr}
            if not panel.n_IL[i, j]:
                continue
            match = HOVER.search(drawn.text[i][j])
            assert match, drawn.text[i][j]
            where = f"hover of heatmap-{shade}"
            for group, number in (
                ("k", counted[shade]),
                ("n", "n"),
                ("nonfinite", "nonfinite"),
                ("diverged", "diverged"),
                ("not_trained", "not trained"),
                ("stalled", "stalled"),
                ("score_median", "score_median"),
            ):
                yield shown(_square(task, square, number), where, match[group])
            if counted[shade] == "diverged":
                for group, number in (("rate", "divergence_rate"), ("low", "low"), ("high", "high")):
                    yield shown(_square(task, square, number), where, match[group], 0.01)
            if shade == "diverged":
                rate = float(np.asarray(drawn.z)[i, j])
                yield Sighting(_square(task, square, "divergence_rate"), "colour of heatmap-diverged", rate)


def _curves(opened: Opened, task: str) -> Iterator[Sighting]:
    request = Request(study=opened.study, task=task, store=opened.store)
    if not lacks("curves", request):
        for row in curves_info(opened.study, task).frame().to_dict("records"):
            yield Sighting(_square(task, row, "score_median"), "curves", row["median"])
            yield Sighting(_square(task, row, "n"), "curves", row["n"])


def _difference(opened: Opened, task: str) -> Iterator[Sighting]:
    """Counts of the difference of two, in squares of which both optimizers have all seeds."""
    request = Request(study=opened.study, task=task, store=opened.store)
    if lacks("difference", request) or request.pair is None:
        return
    seeds = len(opened.study.trials["seed_index"].unique())
    for row in difference_info(opened.study, task, *request.pair).frame().to_dict("records"):
        if row["n_a"] == row["n_b"] == seeds:
            for optimizer, end in zip(request.pair, "ab", strict=True):
                square = {"optimizer": optimizer, "init": row["init"], "lr": row["lr"]}
                yield Sighting(_square(task, square, "n"), "difference", row[f"n_{end}"])
                yield Sighting(_square(task, square, "diverged"), "difference", row[f"k_{end}"])
