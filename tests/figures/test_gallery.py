"""Every figure of the registry: drawn whatever happened, with whatever labels, in both sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from robustness.errors import RobustnessError, SpecError
from robustness.figures import COLUMN, FIGURES, PAGE, Request, applicable, draw, export
from robustness.figures.export import write_all
from robustness.figures.gallery import parse_cell, task_labels
from robustness.report import _planned
from robustness.store import open_store
from tests.builders import dead_epoch, epoch
from tests.figures.studies import diverges_above, study, texts

HOSTILE = ["%_$&#{}~^\\", "=cmd|' /C calc'!A0", "<img src=x onerror=alert(1)>", "long " * 18 + "end"]


def drawn(tmp_path: Path, found: Any, size: Any = PAGE, **more: Any) -> dict[str, Any]:
    [task] = found.tasks
    with open_store(str(tmp_path / "s.db")) as store:
        request = Request(study=found, task=task, store=store, size=size, **more)
        return {name: draw(name, request) for name in applicable(request)}


def many(count: int) -> list[dict[str, Any]]:
    return [{"name": "sgd", "label": f"optimizer {i}", "momentum": 0.01 * i} for i in range(count)]


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "usual": (diverges_above(0.5), {}),
    "one seed": (diverges_above(0.5), {"search": {"lr": [0.01, 0.1, 1.0], "seeds": 1}}),
    "one learning rate": (diverges_above(0.5), {"search": {"lr": 0.1, "seeds": 2}}),
    "all diverged": (lambda t: [dead_epoch(1)], {}),
    "nothing complete": (lambda t: None, {}),
    "some missing": (lambda t: None if t.seed_index == t.cell.lr == 1 else [epoch(1)], {}),
    "one seed of one square": (
        lambda t: [epoch(1)] if (t.seed_index, t.cell.lr) == (0, 0.1) else None,
        {},
    ),
    "one optimizer": (diverges_above(0.5), {"optimizers": many(1)}),
    "twelve optimizers": (diverges_above(0.5), {"optimizers": many(12)}),
    "ten initializations": (
        diverges_above(0.5),
        {
            "search": {
                "lr": [0.1, 1.0],
                "init": [{"name": "normal", "std": 0.01 * i, "label": f"normal {i}"} for i in range(1, 11)],
                "seeds": 2,
            }
        },
    ),
    "drawn at random": (
        diverges_above(0.1),
        {"search": {"lr": np.geomspace(1e-4, 1, 50).tolist(), "seeds": 1}},
    ),
}


NO_VARIANCE = ("one learning rate", "all diverged", "some missing", "one seed of one square")
"""All values are equal, or trials are no full grid and too few for a forest."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "size"),
    [
        *((case, PAGE) for case in CASES),
        *((case, COLUMN) for case in ("usual", "nothing complete", "twelve optimizers")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_figure_is_drawn_whatever_happened(case: str, size: Any, tmp_path: Path) -> None:
    complete, changes = CASES[case]
    found = study(tmp_path, complete, **changes)
    figures = drawn(tmp_path, found, size)
    needs_pair = {"difference", "shift"}
    missing = {
        "one optimizer": needs_pair,
        "nothing complete": {name for name in FIGURES if not name.startswith("heatmap-")},
        "drawn at random": {"critical-lr"},
        **dict.fromkeys(NO_VARIANCE, {"importance"}),
    }.get(case, set())
    assert set(figures) == set(FIGURES) - missing
    for figure in figures.values():
        assert figure.layout.width == size.width
        assert figure.to_json()


def test_every_title_says_n(tmp_path: Path) -> None:
    for name, figure in drawn(tmp_path, study(tmp_path, diverges_above(0.5))).items():
        assert any("n = " in text for text in texts(figure)), name


@pytest.mark.slow
@pytest.mark.parametrize("size", [PAGE, COLUMN], ids=["page", "column"])
def test_hostile_labels_are_escaped_in_every_figure(size: Any, tmp_path: Path) -> None:
    optimizers = [{"name": "sgd", "label": label, "momentum": 0.1 * i} for i, label in enumerate(HOSTILE)]
    inits = [{"name": "normal", "std": 0.1 + i, "label": label} for i, label in enumerate(HOSTILE)]
    found = study(
        tmp_path,
        diverges_above(0.5),
        optimizers=optimizers,
        search={"lr": [0.1, 1.0], "init": inits, "seeds": 2},
        task={"label": HOSTILE[2]},
    )
    for name, figure in drawn(tmp_path, found, size).items():
        shown = texts(figure)
        assert not [text for text in shown if "<img" in text], name
        assert [text for text in shown if "&lt;img" in text or "&lt;i" in text], name


def test_the_same_study_gives_the_same_figure(tmp_path: Path) -> None:
    found = study(tmp_path, diverges_above(0.5))
    first, second = drawn(tmp_path, found), drawn(tmp_path, found)
    assert all(first[name].to_json() == second[name].to_json() for name in first)


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    found = study(tmp_path, diverges_above(0.5))
    [task] = found.tasks
    request = Request(study=found, task=task)
    with pytest.raises(SpecError, match="did you mean 'spread'"):
        draw("spred", request)
    with pytest.raises(SpecError, match="did you mean 'sgd'"):
        draw("shift", Request(study=found, task=task, a="sgdd"))
    with pytest.raises(SpecError, match="twice"):
        draw("difference", Request(study=found, task=task, a="sgd", b="sgd"))
    with pytest.raises(SpecError, match="needs the store"):
        draw("learning-curves", request)
    with pytest.raises(SpecError, match="no task 'digit'"):
        task_labels(found, ["digit"])
    assert task_labels(found) == [task]


def test_one_of_a_pair_is_enough(tmp_path: Path) -> None:
    found = study(tmp_path, diverges_above(0.5))
    [task] = found.tasks
    assert Request(study=found, task=task, b="sgd").pair == ("<b>adam</b>", "sgd")
    assert Request(study=found, task=task, a="<b>adam</b>").pair == ("<b>adam</b>", "sgd")


def test_a_study_of_a_sampler_that_looks_at_earlier_trials_has_no_best_of_k(tmp_path: Path) -> None:
    from dataclasses import replace

    found = study(tmp_path, diverges_above(0.5))
    [task] = found.tasks
    request = Request(study=replace(found, spec={"search": {"sampler": "tpe"}}), task=task)
    with pytest.raises(SpecError, match="trials were chosen by tpe"):
        draw("best-of-k", request)


def test_a_cell_is_named_by_its_labels_even_where_they_have_commas(tmp_path: Path) -> None:
    changes = {"optimizers": [{"name": "sgd", "label": "sgd, plain"}, {"name": "sgd", "momentum": 0.9}]}
    found = study(tmp_path, diverges_above(0.5), **changes)
    [task] = found.tasks
    cell = parse_cell(found, task, "sgd, plain,0.1003,orthogonal")
    assert (cell.optimizer, cell.lr, cell.init) == ("sgd, plain", 0.1, "orthogonal")
    for text, message in (
        ("sgd, plain,0.5,orthogonal", "no learning rate 0.5"),
        ("sgd, plain,much,orthogonal", "must be a number"),
        ("sgd, plain,0.1,orthogonl", "optimizer,lr,init"),
        ("", "optimizer,lr,init"),
    ):
        with pytest.raises(SpecError, match=message):
            parse_cell(found, task, text)


def test_html_needs_no_browser_and_has_no_upload_button(tmp_path: Path) -> None:
    figure = drawn(tmp_path, study(tmp_path, diverges_above(0.5)))["curves"]
    [path] = write_all([(figure, tmp_path / "c.html")])
    text = path.read_text()
    assert '"showSendToCloud": false' in text
    assert "cdn.plot.ly" not in text.split("<body>")[1].split("<script")[0]
    assert len(text) > 1_000_000


@pytest.mark.browser
def test_a_column_becomes_a_pdf_of_its_width(tmp_path: Path) -> None:
    from tests.browser import require_chromium

    require_chromium()
    figure = drawn(tmp_path, study(tmp_path, diverges_above(0.5)), COLUMN)["heatmap-diverged"]
    pdf, png = write_all([(figure, tmp_path / "h.pdf"), (figure, tmp_path / "h.png")])
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    box = content.split(b"/MediaBox [")[1].split(b"]")[0].split()
    assert float(box[2]) / 72 == pytest.approx(3.4, abs=0.02)
    header = png.read_bytes()[:24]
    assert int.from_bytes(header[16:20]) == int(326 * COLUMN.scale)


@pytest.mark.browser
@pytest.mark.parametrize("hangs", [1, 2], ids=["once", "twice"])
def test_a_browser_that_never_answers_is_given_up_for_another_and_leaves_no_process(
    hangs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.browser import require_chromium

    starts, browser = tmp_path / "starts", tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho >> {starts}; [ $(wc -l < {starts}) -gt {hangs} ] && exec {require_chromium()} "$@"; exec sleep 600\n'
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    monkeypatch.setattr(export, "CLOSES_WITHIN", 1.0)
    monkeypatch.setattr(export, "STARTS_WITHIN", 20.0 if hangs == 1 else 2.0)
    figure = drawn(tmp_path, study(tmp_path, diverges_above(0.5)))["curves"]
    before = set(psutil.Process().children(recursive=True))  # a Ray of other tests, perhaps
    if hangs == 1:
        [path] = write_all([(figure, tmp_path / "c.png")])
        assert path.read_bytes().startswith(b"\x89PNG")
    else:
        with pytest.raises(RobustnessError, match="did not start within 2 s, twice"):
            list(write_all([(figure, tmp_path / "c.png")]))
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(("lost", "drawn_there"), [(-1, True), (3, False)], ids=["whole", "a seed short"])
def test_a_report_leaves_out_a_figure_that_takes_seconds(
    lost: int, drawn_there: bool, tmp_path: Path
) -> None:
    def complete(t: Any) -> Any:
        return None if t.seed_index == lost and t.cell.lr == 1.0 else diverges_above(0.05)(t)

    search = {"lr": [0.01, 0.1, 1.0], "init": ["default", "orthogonal"], "seeds": 4}
    found = study(tmp_path, complete, search=search)
    names = [name for name, _ in _planned(found, None)]
    assert "curves" in names
    assert ("importance" in names) == drawn_there
    assert "importance" in applicable(Request(study=found, task="digits mlp"))
