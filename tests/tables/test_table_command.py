"""`robustness table` with rows and columns, and its LaTeX in a LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from robustness.store import open_store
from tests.summary.test_chosen import diverged, of, ran, trained
from tests.tables.studies import fill
from tests.test_cli import call

HOSTILE = r"""%_$&#{}~^\ <img src=x onerror="alert(1)"> | *b* `c` \write18{ls} [x] η"""
PIVOT = ("--rows", "optimizer", "--columns", "task", "--metric", "score,divergence_rate,tolerance_window")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('tables') / 's.db'}"
    optimizers = [
        {"name": "sgd", "label": HOSTILE},
        {"name": "adam", "label": "=cmd|' /C calc'!A0"},
        {"name": "insgd", "label": "*[y]"},
    ]
    task = {"data": ["digits", "mnist1d"]}
    with open_store(url, create=True) as store:
        fill(store, title=HOSTILE, optimizers=optimizers, task=task)
    return url


def printed(capsys: pytest.CaptureFixture[str], url: str, *arguments: str) -> str:
    assert call("table", "small", "--store", url, *arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("format_", ["csv", "latex", "markdown", "html"])
def test_a_pivot_is_the_same_to_the_byte_each_time_and_hostile_texts_stay_texts(
    format_: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {printed(capsys, url, *PIVOT, "--format", format_) for _ in range(2)}
    assert len(texts) == 1
    text = texts.pop()
    assert "<img" not in text.replace("\\<img", "") or format_ in ("latex", "csv")
    assert format_ != "csv" or not re.search(r"(^|,)=cmd", text, re.M)
    assert r"\write18" not in text or format_ != "latex"


def test_the_spread_is_a_deviation_or_an_interval(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    axes = ("--rows", "init", "--columns", "task,optimizer")
    assert " ± " in printed(capsys, url, *axes).splitlines()[2]
    line = printed(capsys, url, *axes, "--spread", "interval").splitlines()[2]
    assert " ± " not in line
    assert r"\[" in line


def test_delta_seeds_and_thresholds_are_those_of_the_metrics(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, url, "--metric", "tolerance_window", "--delta", "0.2", "--seed-filter", "0-2")
    assert "delta 0.2." in text
    assert "n = 3 seeds." in text
    text = printed(capsys, url, "--rows", "optimizer", "--threshold", "skill_floor=0.05")
    assert "skill floor 0.05" in text


@pytest.mark.parametrize("axes", [(), ("--rows", "optimizer"), ("--rows", "init,optimizer,task")])
def test_importance_over_all_optimizers_comes_after_those_of_each(
    axes: tuple[str, ...], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = re.findall(r"^\|.*", printed(capsys, url, "--metric", "importance", *axes), re.M)[2:]
    over_all = [bool(re.search(r"\| all +\|", row)) for row in rows]
    assert sorted(over_all) == over_all
    assert over_all.count(True) * 3 == over_all.count(False)


def test_a_csv_leaves_its_notes_to_stderr(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("table", "small", "--store", url, "--compare", "insgd", "--format", "csv") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("note: No figure of insgd matches. ")
    assert "No figure" not in captured.out


def test_published_figures_that_match_nothing_leave_the_table_and_a_note(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, url, "--compare", "insgd")
    assert "No figure of insgd matches." in text
    assert "Score (%)" in text


@pytest.mark.parametrize("spread", ["sd", "interval"])
def test_a_score_of_learning_rates_that_edge_chose_is_refused_with_the_reason(
    spread: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(tmp_path, of(sampler="edge"), lambda t: diverged(t) if t.cell.lr > 0.5 else trained(t, 0.9))
    url = f"sqlite:///{tmp_path / 'store.db'}"
    assert call("table", "small", "--store", url, "--metric", "score", "--spread", spread) == 0
    text = capsys.readouterr().out
    assert "90.0" not in text
    assert "</sup>Learning rates were chosen by edge, around where training ends." in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "lr"], "there is no axis 'lr'"),
        (["--metric", "scor"], "did you mean 'score'"),
        (["--delta", "-1"], "--delta"),
        (["--compare", "nowhere.csv"], "there is no file 'nowhere.csv'"),
    ],
)
def test_a_mistake_is_a_message_and_exit_2(
    arguments: list[str], words: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("table", "small", "--store", url, *arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("wide_and_long", [False, True])
def test_the_latex_compiles_in_a_plain_article_and_stays_on_its_pages(
    wide_and_long: bool, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if wide_and_long:
        url = f"sqlite:///{tmp_path / 'wide.db'}"
        with open_store(url, create=True) as store:
            fill(store, **WIDE_AND_LONG)
    command = next(
        ([path, *options] for name, options in ENGINES.items() if (path := shutil.which(name))), None
    )
    if command is None:
        pytest.skip("neither pdflatex nor tectonic is installed (make system-packages)")
    body = "\n".join(printed(capsys, url, *arguments, "--format", "latex") for arguments in SEVERAL)
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    done = subprocess.run([*command, "t.tex"], cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "t.pdf").stat().st_size > 10_000
    log = (tmp_path / "t.log").read_text(encoding="latin-1")
    assert re.findall("Overfull.*|.*Float too large.*", log) == []


SEVERAL: list[tuple[str, ...]] = [
    (),
    PIVOT,
    ("--rows", "task,optimizer", "--metric", "score,tuned_lr,critical_lr", "--spread", "interval"),
    ("--compare", "insgd"),
    ("--rows", "task", "--columns", "optimizer", "--metric", "score,divergence_rate"),
]
ENGINES = {
    "pdflatex": ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"],
    "tectonic": ["--keep-logs"],
}
WIDE_AND_LONG: dict[str, Any] = {
    "optimizers": [
        {
            "name": name,
            "weight_decay": k / 100,
            "label": f"{name}, with a label that says how it was set, variant {k}",
        }
        for k in range(5)
        for name in ("sgd", "adam")
    ],
    "search": {
        "lr": [0.001, 0.01, 0.1, 1.0],
        "init": ["default", {"name": "normal", "std": 0.01, "label": "normal with a small deviation"}],
        "seeds": 3,
    },
}
