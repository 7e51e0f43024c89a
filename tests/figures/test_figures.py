"""Figures: the numbers they show, and that they can be drawn whatever happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustness.figures import curves_info, draw_curves, draw_heatmap, heatmap_info
from robustness.store import open_store
from robustness.summary import Study, cell_table, load_study, row_table
from tests.builders import dead_epoch, epoch, record, save, trials

SPEC: dict[str, Any] = {
    "optimizers": [{"name": "sgd"}, {"name": "adam", "label": "<b>adam</b>"}],
    "search": {"lr": [0.01, 0.1, 1.0], "init": ["default", "orthogonal"], "seeds": 3},
}


def study(tmp_path: Path, complete: Any, **changes: Any) -> Study:
    """A study whose trials get the epochs that `complete(trial)` says; None leaves them waiting."""
    changes = {**SPEC, **changes}
    with open_store(str(tmp_path / "s.db"), create=True) as store:
        held = store.acquire(save(store, **changes))
        records = []
        for trial in trials(**changes):
            epochs = complete(trial)
            if epochs is not None:
                dead = any(np.isnan(row.test_accuracy) for row in epochs)
                records.append(record(trial, *epochs, step=1 if dead else None))
        store.finish(held, records)
        return load_study(store, "small")


def diverges_above(lr: float) -> Any:
    return lambda trial: [dead_epoch(1)] if trial.cell.lr > lr else [epoch(1), epoch(2)]


def info_of(found: Study, shade: Any = "diverged") -> Any:
    cells = cell_table(found.trials, found.complete)
    rows = row_table(found.complete, cells, np.random.default_rng(0))
    [task] = found.tasks
    return heatmap_info(found, cells, rows, task, shade)


def texts(figure: Any) -> list[str]:
    return [a.text for a in figure.layout.annotations] + [
        t for d in figure.data for t in d.text if d.type == "scatter" and d.text
    ]


def test_a_heatmap_counts_the_diverged_of_each_square(tmp_path: Path) -> None:
    info = info_of(study(tmp_path, diverges_above(0.5)))
    assert [panel.optimizer for panel in info.panels] == ["sgd", "<b>adam</b>"]
    assert info.inits == ("default", "orthogonal")
    for panel in info.panels:
        assert panel.lrs == (0.01, 0.1, 1.0)
        assert panel.diverged_IL.tolist() == [[0, 0, 3]] * 2
        assert panel.n_IL.tolist() == [[3, 3, 3]] * 2
        assert panel.tuned_I == (0, 0)


def test_every_square_shows_k_of_n_and_the_intervals_stand_below(tmp_path: Path) -> None:
    found = texts(draw_heatmap(info_of(study(tmp_path, diverges_above(0.5)))))
    assert found.count("3/3") == 4
    assert found.count("0/3") == 8
    notes = next(text for text in found if "Wilson" in text)
    assert "0/3 0–56 %" in notes
    assert "3/3 44–100 %" in notes


def test_missing_squares_are_grey_and_have_no_number(tmp_path: Path) -> None:
    figure = draw_heatmap(info_of(study(tmp_path, lambda t: None if t.cell.lr == 0.1 else [epoch(1)])))
    assert sum(shape.fillcolor == "#ececec" for shape in figure.layout.shapes) == 4
    assert texts(figure).count("0/3") == 8


def test_by_score_the_diverged_squares_are_off_the_colour_scale(tmp_path: Path) -> None:
    figure = draw_heatmap(info_of(study(tmp_path, diverges_above(0.5)), "score"))
    shades = np.array(figure.data[0].z, dtype=float)
    assert np.isnan(shades[:, 2]).all()
    assert (shades[:, :2] == 0.91).all()
    assert sum(shape.type == "line" for shape in figure.layout.shapes) == 2 * 4


@pytest.mark.parametrize("shade", ["diverged", "score"])
@pytest.mark.parametrize(
    "complete",
    [lambda t: None, lambda t: [dead_epoch(1)], lambda t: [epoch(1)]],
    ids=["nothing yet", "all diverged", "all trained"],
)
def test_a_heatmap_is_drawn_whatever_happened(complete: Any, shade: str, tmp_path: Path) -> None:
    found = study(tmp_path, complete, search={"lr": 0.1, "seeds": 1})
    assert len(draw_heatmap(info_of(found, shade)).data) == 4


@pytest.mark.parametrize(
    "complete", [lambda t: None, lambda t: [dead_epoch(1)]], ids=["nothing yet", "all diverged"]
)
def test_curves_are_drawn_whatever_happened(complete: Any, tmp_path: Path) -> None:
    found = study(tmp_path, complete)
    [task] = found.tasks
    assert draw_curves(curves_info(found, task)).layout.title.text


def test_curves_show_median_and_range_over_seeds(tmp_path: Path) -> None:
    scores = {0: 0.5, 1: 0.7, 2: 0.9}
    found = study(tmp_path, lambda t: [epoch(1, test_accuracy=scores[t.seed_index])])
    [task] = found.tasks
    (_, (sgd, _)), _ = curves_info(found, task).panels
    assert (sgd.median_L.tolist(), sgd.low_L.tolist(), sgd.high_L.tolist()) == (
        [0.7] * 3,
        [0.5] * 3,
        [0.9] * 3,
    )


def test_a_users_label_is_escaped(tmp_path: Path) -> None:
    found = study(tmp_path, lambda t: [epoch(1)])
    [task] = found.tasks
    assert "<b>&lt;b&gt;adam&lt;/b&gt;</b>" in texts(draw_heatmap(info_of(found)))
    names = [trace.name for trace in draw_curves(curves_info(found, task)).data if trace.name]
    assert "&lt;b&gt;adam&lt;/b&gt;" in names


@pytest.mark.browser
def test_a_heatmap_becomes_a_picture(tmp_path: Path) -> None:
    from tests.browser import require_chromium

    require_chromium()
    figure = draw_heatmap(info_of(study(tmp_path, diverges_above(0.5))))
    figure.write_image(tmp_path / "h.png")
    header = (tmp_path / "h.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(header[16:20]) == figure.layout.width
