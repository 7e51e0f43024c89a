"""Pages of a random search: its squares are bins, and a click on one leads to the trials of that bin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from robustness.dashboards.addresses import View
from robustness.dashboards.heatmaps import _squares as squares_table
from robustness.dashboards.trials import _curve as curve_section
from robustness.dashboards.trials import _trials as trials_section

from robustness.figures.gallery import parse_cell
from robustness.figures.heatmap import heatmap_info
from robustness.figures.heatmap_drawing import draw_heatmap
from robustness.service import Reader, rows
from robustness.store import open_store
from robustness.summary import Study, load_study
from tests.summary.test_chosen import of, ran, scattered

TASK = "digits mlp"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder: Path = tmp_path_factory.mktemp("random")
    ran(
        folder,
        of(sampler="random", budget=80, seeds=1, optimizers=[{"name": "sgd"}, {"name": "adam"}]),
        scattered,
    )
    with open_store(f"sqlite:///{folder / 'store.db'}") as store:
        yield Reader(store)


@pytest.fixture(scope="module")
def study(reader: Reader) -> Study:
    return load_study(reader.store, "small")


def html_of(component: Any) -> str:
    return str(component.to_plotly_json()["props"]["data-html"])


def links(study: Study) -> list[View]:
    """Where the names of the squares lead, in the order of the frame."""
    table = html_of(squares_table(study, heatmap_info(study, TASK).frame(), View(), first=""))
    hrefs = re.findall(r'<a href="([^"]*)"', table)
    return [View.of(urlsplit(href.replace("&amp;", "&")).query) for href in hrefs]


def positions_in_bin(study: Study, optimizer: str, lr: float) -> set[int]:
    """Positions of the trials within an eighth of a decade of a bin's centre."""
    trials = study.trials[study.trials["optimizer"] == optimizer]
    inside = np.abs(np.log10(trials["lr"] / lr)) <= 1 / 8 + 1e-12
    return set(trials.loc[inside].index)


def test_a_square_of_the_page_leads_to_the_trials_of_its_bin(reader: Reader, study: Study) -> None:
    squares = study.grid.squares.to_dict("records")
    views = links(study)
    assert len(views) == len(squares) > 20
    for view, square in zip(views, squares, strict=True):
        cell = parse_cell(study, TASK, view.cell or "")
        assert (cell.optimizer, cell.lr, cell.init) == (square["optimizer"], square["lr"], square["init"])
        assert len(positions_in_bin(study, cell.optimizer, cell.lr)) == square["n"]
        section = trials_section(reader, study, view)
        listed = html_of(section[1])
        assert listed.count("<tr><th") == square["n"]
        address = parse_qs(urlsplit(section[-1].children[1].href).query)
        assert float(address["lr"][0]) == pytest.approx(square["lr"], rel=1e-5)
        assert of_api(reader, study, address)["total"] == square["n"]


def of_api(reader: Reader, study: Study, address: dict[str, list[str]]) -> dict[str, Any]:
    """What the page's link to JSON gives."""
    query = rows.TrialQuery(
        labels=rows.Labels(**{name: address[name][0] for name in ("task", "optimizer", "init")}),
        lr=float(address["lr"][0]),
        states=(),
        outcomes=(),
        sort="position",
        descending=False,
        limit=50,
        offset=0,
    )
    return rows.trials(reader.store, study, query)


def test_a_click_on_the_picture_names_the_same_bins(study: Study) -> None:
    for trace in draw_heatmap(heatmap_info(study, TASK)).select_traces(selector={"type": "heatmap"}):
        for lr in trace.meta["lrs"]:
            cell = parse_cell(study, TASK, f"{trace.meta['optimizer']},{lr!r},{trace.meta['inits'][0]}")
            assert cell.lr == lr


def test_the_heading_of_a_bin_gives_its_ends_and_not_a_learning_rate_that_nobody_tried(
    reader: Reader, study: Study
) -> None:
    view = links(study)[3]
    cell = parse_cell(study, TASK, view.cell or "")
    heading, table, *_ = trials_section(reader, study, view)
    low, high = cell.lr * 10**-0.125, cell.lr * 10**0.125
    assert (
        heading.children[0]
        == f"Trials: {cell.optimizer}, learning rates from {low:.3g} to {high:.3g}, {cell.init}"
    )
    assert "trials of one bin" in html_of(table)


def test_a_trial_of_a_bin_has_its_learning_curve(reader: Reader, study: Study) -> None:
    view = links(study)[0]
    [key] = re.findall(r"trial=([0-9a-f]{64})", html_of(trials_section(reader, study, view)[1]))[:1]
    section = curve_section(reader, study, view.with_(trial=key), narrow=False)
    assert "Learning curve: seed" in section[0].children[0]
