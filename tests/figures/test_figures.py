"""Heatmaps and curves: the numbers they show, and that they can be drawn whatever happened."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustness.figures.curves import CurvesInfo, curves_info, draw_curves
from robustness.figures.heatmap import heatmap_info
from robustness.figures.heatmap_drawing import draw_heatmap
from robustness.summary import Study
from tests.builders import dead_epoch, epoch
from tests.figures.studies import diverges_above, study, texts
from tests.summary.frames import frame
from tests.summary.studies import study_of


def info_of(found: Study, shade: Any = "diverged") -> Any:
    [task] = found.tasks
    return heatmap_info(found, task, shade)


def curves_of(found: Study, band: Any = None) -> CurvesInfo:
    [task] = found.tasks
    return curves_info(found, task, band=band)


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
    assert sum(shape.fillcolor == "#e4e4e4" for shape in figure.layout.shapes) == 4
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
    assert any("over learning rates" in text for text in texts(draw_curves(curves_of(found))))


def test_curves_show_median_and_range_over_seeds(tmp_path: Path) -> None:
    scores = {0: 0.5, 1: 0.7, 2: 0.9}
    found = study(tmp_path, lambda t: [epoch(1, test_accuracy=scores[t.seed_index])])
    (_, (sgd, _)), _ = curves_of(found).panels
    assert (sgd.median_L.tolist(), sgd.low_L.tolist(), sgd.high_L.tolist()) == (
        [0.7] * 3,
        [0.5] * 3,
        [0.9] * 3,
    )


def test_a_users_label_is_escaped(tmp_path: Path) -> None:
    found = study(tmp_path, lambda t: [epoch(1)])
    assert "<b>&lt;b&gt;adam&lt;/b&gt;</b>" in texts(draw_heatmap(info_of(found)))
    names = [trace.name for trace in draw_curves(curves_of(found)).data if trace.name]
    assert "&lt;b&gt;adam&lt;/b&gt;" in names


def test_the_band_is_an_interval_from_ten_seeds_on_and_says_so(tmp_path: Path) -> None:
    found = study(
        tmp_path,
        lambda t: [epoch(1, test_accuracy=0.5 + 0.03 * t.seed_index)],
        search={"lr": [0.1], "seeds": 12},
    )
    info = curves_of(found)
    (_, (sgd, _)) = info.panels[0]
    assert info.band == "interval"
    assert "95 % interval of the median" in info.subtitle
    assert 0.5 < sgd.low_L[0] < sgd.median_L[0] < sgd.high_L[0] < 0.83
    assert "range over seeds" in curves_of(found, "range").subtitle


@pytest.mark.parametrize(("shade", "count"), [("nonfinite", 3), ("diverged", 3), ("not-trained", 3)])
def test_each_rule_counts_its_own_trials_and_the_title_says_rule_and_n(
    shade: str, count: int, tmp_path: Path
) -> None:
    info = info_of(study(tmp_path, diverges_above(0.5)), shade)
    assert info.panels[0].counts_IL(shade).tolist() == [[0, 0, count]] * 2
    assert "n = 3 seeds a square" in info.subtitle
    assert info.subtitle.startswith(
        {"nonfinite": "Not finite", "diverged": "Diverged"}.get(shade, "Not trained")
    )


def test_untrained_trials_are_not_trained_but_finite(tmp_path: Path) -> None:
    found = study(tmp_path, lambda t: [epoch(1, test_accuracy=0.1, validation_accuracy=0.1, train_loss=2.3)])
    panel = info_of(found).panels[0]
    assert panel.not_trained_IL.sum() == panel.n_IL.sum() == 18
    assert panel.nonfinite_IL.sum() == 0
    assert panel.tuned_I == (-1, -1)


def test_many_learning_rates_drawn_at_random_stand_in_bins_of_a_quarter_decade(tmp_path: Path) -> None:
    lrs = np.geomspace(1e-4, 1, 60).tolist()
    found = study(tmp_path, diverges_above(0.1), search={"lr": lrs, "seeds": 1})
    panel = info_of(found).panels[0]
    assert panel.binned
    assert len(panel.lrs) <= 17
    assert panel.n_IL.sum() == 60
    assert any("drawn at random" in text for text in texts(draw_heatmap(info_of(found))))


def test_numbers_that_do_not_fit_their_squares_are_left_to_the_hover(tmp_path: Path) -> None:
    lrs = np.geomspace(1e-4, 1, 120).tolist()
    found = study(tmp_path, diverges_above(0.1), search={"lr": lrs, "seeds": 2})
    figure = draw_heatmap(info_of(found))
    assert {trace.type for trace in figure.data} == {"heatmap"}
    assert any("on hover" in text for text in texts(figure))


def untrained_on(init: str, trained_seeds: int = 0) -> Any:
    """Nothing is learned from one initialization, except by the first seeds at 0.1."""
    nothing = [epoch(1, test_accuracy=0.1, validation_accuracy=0.1, train_loss=2.3)]
    return lambda t: (
        nothing
        if t.cell.init.name == init and not (t.cell.lr == 0.1 and t.seed_index < trained_seeds)
        else [epoch(1)]
    )


def hatched(figure: Any) -> int:
    return sum(
        sum(x is None for x in trace.x)
        for trace in figure.data
        if trace.type == "scatter" and trace.mode == "lines"
    )


@pytest.mark.parametrize("trained_seeds", [0, 1])
def test_a_square_that_did_not_train_and_did_not_diverge_looks_like_none_that_trained(
    trained_seeds: int, tmp_path: Path
) -> None:
    found = study(tmp_path, untrained_on("orthogonal", trained_seeds))
    info = info_of(found)
    assert [panel.unlearned_IL.tolist() for panel in info.panels] == [[[False] * 3, [True] * 3]] * 2
    assert info.panels[0].tuned_I == (0, -1)
    figure = draw_heatmap(info)
    assert hatched(figure) == 2 * 3 * 4
    [notes] = [text for text in texts(figure) if "Hatched" in text]
    assert "most neither trained nor diverged" in notes.replace("<br>", " ")
    assert "No frame: no learning rate of that row trains in most seeds" in notes.replace("<br>", " ")


@pytest.mark.parametrize(
    ("complete", "shade"),
    [
        (diverges_above(0.05), "diverged"),
        (lambda t: [epoch(1)], "diverged"),
        (untrained_on("default"), "not-trained"),
    ],
    ids=["diverged", "trained", "the shade says it"],
)
def test_what_is_seen_without_a_hatching_has_none(complete: Any, shade: str, tmp_path: Path) -> None:
    figure = draw_heatmap(info_of(study(tmp_path, complete), shade))
    assert hatched(figure) == 0
    assert not any("Hatched" in text for text in texts(figure))


def test_stalled_squares_are_dashed_and_not_hatched(tmp_path: Path) -> None:
    nothing = [epoch(1, test_accuracy=0.1, validation_accuracy=0.1, train_loss=2.3)]
    figure = draw_heatmap(info_of(study(tmp_path, lambda t: nothing if t.cell.lr == 0.01 else [epoch(1)])))
    assert sum(shape.line.dash == "dot" for shape in figure.layout.shapes) == 4
    assert any("Dashed: some stalled" in text for text in texts(figure))
    assert hatched(figure) == 0


def test_a_frame_has_white_beside_its_red(tmp_path: Path) -> None:
    shapes = draw_heatmap(info_of(study(tmp_path, diverges_above(0.5)), "score")).layout.shapes
    red = [i for i, shape in enumerate(shapes) if shape.line.color == "#c8102e"]
    assert len(red) == 4
    for i in red:
        under, frame = shapes[i - 1], shapes[i]
        assert (under.line.color, under.x0, under.y0) == ("white", frame.x0, frame.y0)
        assert under.line.width > frame.line.width


def uneven(few_at: float, many: int = 12) -> Study:
    """Twelve seeds at each learning rate, except for one seed at one of them."""
    rows = [
        {"lr": lr, "seed_index": s, "test_accuracy": 0.5 + s / 100}
        for lr in (0.001, 0.01, 0.1, 1.0)
        for s in range(1 if lr == few_at else many)
    ]
    return study_of(frame(*rows))


def bands(figure: Any) -> list[list[float]]:
    """The learning rates of each part of a band: drawn without a line's name."""
    found = [10 ** np.array(trace.x, dtype=float) for trace in figure.data if not trace.name]
    return [np.unique(xs.round(6)).tolist() for xs in found]


def test_no_band_passes_a_point_that_has_no_interval_and_n_is_of_each_point() -> None:
    info = curves_of(uneven(0.01))
    [curve] = info.panels[0][1]
    assert np.isnan(curve.low_L).tolist() == [False, True, False, False]
    assert curve.n_L.tolist() == [12, 1, 12, 12]
    assert "n = 1 to 12 seeds." in info.subtitle
    assert "Without a band: too few seeds" in info.notes[0]
    figure = draw_curves(info)
    assert bands(figure) == [[0.001], [0.1, 1.0], [0.1, 1.0]]
    assert not any("nan" in text for text in texts(figure))


def test_a_band_without_gaps_is_one() -> None:
    info = curves_of(uneven(math.nan))
    assert bands(draw_curves(info)) == [[0.001, 0.01, 0.1, 1.0]] * 2
    assert "n = 12 seeds." in info.subtitle
    assert "Without a band" not in info.notes[0]
