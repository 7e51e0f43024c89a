"""`robustness figures`: which files it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from robustness.cli import app
from robustness.cli.drawing import safe_name
from robustness.errors import SpecError
from robustness.figures import FIGURES
from tests.figures.studies import diverges_above, study


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    study(tmp_path, diverges_above(0.5), task={"label": "../<task> /etc"})
    return ["figures", "small", "--store", f"sqlite:///{tmp_path / 's.db'}", "--out", str(tmp_path / "out")]


def run(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False, standalone_mode=False)
    return result.stdout.split()


def test_all_figures_that_apply_are_written_inside_the_folder(options: list[str], tmp_path: Path) -> None:
    paths = [Path(line) for line in run(*options, "--formats", "html")]
    assert [path.name for path in paths] == [f"task-etc.{name}.html" for name in FIGURES]
    assert all(path.parent == tmp_path / "out" and path.exists() for path in paths)
    assert "Plotly" in paths[0].read_text()


def test_figures_are_chosen_by_name_pair_cell_and_size(options: list[str]) -> None:
    chosen = ["--figure", "shift,curves", "--figure", "learning-curves", "--a", "<b>adam</b>", "--b", "sgd"]
    paths = run(*options, "--formats", "html", *chosen, "--cell", "sgd,1,orthogonal", "--size", "column")
    assert [Path(path).name.split(".")[1] for path in paths] == ["shift", "curves", "learning-curves"]
    text = Path(paths[2]).read_text()
    assert "sgd, learning rate 1, orthogonal" in text
    assert '"width":326' in text.replace(" ", "")


def test_a_figure_of_one_optimizer_has_no_other(options: list[str]) -> None:
    chosen = ["--formats", "html", "--figure", "curves", "--optimizer"]
    texts = [Path(run(*options, *chosen, name)[0]).read_text() for name in ("sgd", "<b>adam</b>")]
    assert ["adam" in text.partition("Plotly.newPlot")[2] for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--formats", "pfd"], "did you mean 'pdf'"),
        (["--formats", ""], "there is no ''"),
        (["--formats", "html", "--figure", "curve"], "did you mean 'curves'"),
        (["--formats", "html", "--size", "colum"], "did you mean 'column'"),
        (["--formats", "html", "--task", "nothing"], "there is no task"),
        (["--formats", "html", "--a", "sdg"], "did you mean 'sgd'"),
        (["--formats", "html", "--optimizer", "sdg"], "did you mean 'sgd'"),
        (["--formats", "html", "--a", "sgd", "--b", "sgd"], "twice"),
        (["--formats", "html", "--cell", "sgd,7,default"], "no learning rate 7"),
    ],
)
def test_what_is_unknown_is_refused_with_the_nearest_before_anything_is_drawn(
    more: list[str], message: str, options: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=message):
        run(*options, *more)
    assert not (tmp_path / "out").exists()


def test_without_a_browser_pictures_are_refused_and_html_works(
    options: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    with pytest.raises(SpecError, match="needs a Chromium"):
        run(*options, "--formats", "html,pdf")
    assert len(run(*options, "--formats", "html", "--figure", "spread")) == 1


def test_a_file_in_the_way_of_the_folder_is_refused(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(SpecError, match="cannot be made a folder"):
        run(*options, "--formats", "html", "--figure", "spread")


def test_names_of_files_are_safe_and_labels_stay_apart() -> None:
    for label in ("..", "/", "=cmd|", "<img onerror=x>", "~", "-rf", "é" * 200, "con\n"):
        name = safe_name(label)
        assert name
        assert name[0] not in ".-~/"
        assert "/" not in name
        assert len(name) <= 80
    assert safe_name("é") != safe_name("è")
