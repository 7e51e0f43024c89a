"""Published figures: reading them, finding what is ours, the difference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from robustness.errors import SpecError
from robustness.store import open_store
from robustness.summary import Study, load_study
from robustness.tables.measured import Measurement, tuned_scores
from robustness.tables.published import COLUMNS, beside, optimizer_names, read_published
from tests.tables.studies import fill

HEADER = ",".join(COLUMNS)
ROW = "P,cifar10,toy-cnn,none,sgd-momentum,0.1,128,200,test_accuracy,11.07,2.74"


def study(folder: Path, **task: Any) -> Study:
    plain = {"data": "cifar10", "model": "toy-cnn", "norm": ["none", "batch"], "batch_size": 128, **task}
    search = {"lr": [0.01, 0.1], "init": ["default"], "seeds": 5}
    with open_store(f"sqlite:///{folder / 's.db'}", create=True) as store:
        fill(store, task=plain, search=search)
        return load_study(store, "small")


def compared(found: Study, text: str, folder: Path) -> tuple[list[Measurement], list[str]]:
    path = folder / "p.csv"
    path.write_text(text)
    return beside(found, tuned_scores(found.tuning), read_published(str(path)), "p.csv")


def test_the_papers_figures_come_with_the_package() -> None:
    figures = read_published("insgd")
    assert len(figures) > 25
    assert figures[0].mean == 92.57
    assert {f.metric for f in figures} == {"test_accuracy", "test_accuracy_top5"}
    assert any(math.isnan(f.std) for f in figures)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER.replace(",mean", ""), "line 1: columns are missing: mean"),
        ("", "line 1: columns are missing: source"),
        (f"{HEADER}\n{ROW}\n{ROW.replace('11.07', 'many')}\n", "line 3: mean must be a number, got 'many'"),
        (f"{HEADER}\n{ROW.replace('11.07', '')}\n", "line 2: mean must be a number, got ''"),
        (f"{HEADER}\n{ROW.replace('2.74', 'nan')}\n", "line 2: std must be a number, got 'nan'"),
        (f"{HEADER}\nP,cifar10\n", "line 2: mean must be a number"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_published(str(path))
    assert words in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="known: insgd"):
        read_published("insg")
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    for name in (path, tmp_path):
        with pytest.raises(SpecError, match="cannot be read as text"):
            read_published(str(name))


@pytest.mark.parametrize(
    ("label", "config", "name", "known"),
    [
        ("momentum", {"name": "sgd", "momentum": 0.9}, "sgd-momentum", True),
        ("sgd", {"name": "sgd", "momentum": 0.9}, "sgd", False),
        ("sgd", {"name": "sgd", "momentum": 0.0}, "sgd", True),
        ("x", {"name": "sgd", "momentum": 0.9, "nesterov": True}, "sgd-momentum", False),
        ("x", {"name": "sgd", "momentum": 0.9, "nesterov": True}, "sgd-nesterov", True),
        ("insgd norm=l1", {"name": "insgd", "norm": "l1"}, "insgd-l1", True),
        ("insgd norm=l1", {"name": "insgd", "norm": "l1"}, "insgd-l2", False),
        ("x", {"name": "insgd", "norm": "l1"}, "insgd", True),
        ("x", {"name": "pytorch-optimizer:lion"}, "lion", True),
        ("My Adam", {"name": "adam"}, "my-adam", True),
        ("adam", {"name": "adamw"}, "adam", False),
    ],
)
def test_an_optimizer_is_known_by_what_it_is(
    label: str, config: dict[str, Any], name: str, known: bool
) -> None:
    assert (name in optimizer_names(label, config)) is known


def test_a_difference_has_the_widest_interval_that_the_figures_allow(tmp_path: Path) -> None:
    found = study(tmp_path)
    measured, notes = compared(found, f"{HEADER}\n{ROW}\n", tmp_path)
    published, difference = measured
    assert (published.task, published.optimizer) == ("cifar10 toy-cnn norm=none", "momentum")
    assert (published.value, published.sd, published.n) == pytest.approx((0.1107, 0.0274, 0))
    assert published.source == "P: lr 0.1, batch 128, epochs 200"
    [ours] = [
        score
        for score in tuned_scores(found.tuning)
        if (score.task, score.optimizer) == (published.task, published.optimizer)
    ]
    half = math.hypot(2.7764451 * ours.sd / math.sqrt(5), 1.959964 * 0.0274)  # Student's t, 4 degrees
    assert difference.value == pytest.approx(ours.value - 0.1107)
    assert difference.high - difference.value == pytest.approx(half, rel=1e-6)
    assert difference.value - difference.low == pytest.approx(half, rel=1e-6)
    assert "is not stated" in notes[0]


def test_without_a_published_deviation_the_interval_is_ours_alone_and_says_so(tmp_path: Path) -> None:
    found = study(tmp_path)
    _, difference = compared(found, f"{HEADER}\n{ROW.replace('2.74', '')}\n", tmp_path)[0]
    assert difference.source == "no standard deviation is published: the interval is ours alone"
    assert 0 < difference.high - difference.low < 0.02


def test_what_is_not_stated_matches_any_task_and_the_same_batch_size_comes_first(tmp_path: Path) -> None:
    found = study(tmp_path)
    unstated = ROW.replace("none", "")
    other = ROW.replace(",128,", ",512,").replace("11.07", "99")
    measured, _ = compared(found, f"{HEADER}\n{unstated}\n{other}\n", tmp_path)
    published = [m for m in measured if m.metric == "published"]
    assert [m.task for m in published] == ["cifar10 toy-cnn norm=none", "cifar10 toy-cnn norm=batch"]
    assert {round(100 * m.value, 2) for m in published} == {11.07}


def test_several_figures_of_a_source_are_told_apart_by_their_budget(tmp_path: Path) -> None:
    found = study(tmp_path, norm="none", batch_size=64)
    measured, _ = compared(found, f"{HEADER}\n{ROW}\n{ROW.replace(',128,', ',512,')}\n", tmp_path)
    assert [m.at for m in measured if m.metric == "published"] == [
        "P, lr 0.1, batch 128, epochs 200",
        "P, lr 0.1, batch 512, epochs 200",
    ]


def test_where_nothing_matches_a_note_says_what_there_is(tmp_path: Path) -> None:
    found = study(tmp_path, data="digits", norm="none", batch_size=64)
    measured, [note] = compared(found, f"{HEADER}\n{ROW}\n", tmp_path)
    assert measured == []
    assert "The file has cifar10 toy-cnn norm none: sgd-momentum." in note
    assert "The study has digits toy-cnn norm none with the optimizers sgd-momentum, adam, insgd-l2." in note
