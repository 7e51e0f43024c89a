"""Tables in every format, hostile texts included."""

from __future__ import annotations

import csv
import io
import math
import re

import pandas as pd
import pytest

from robustness.tables import TableLayout, write_csv, write_html, write_latex, write_markdown
from robustness.tables.csv import defuse
from robustness.tables.latex import escape_latex
from tests.summary.test_cells import tables

HOSTILE = r"""%_$&#{}~^\ <img src=x onerror="alert(1)"> | *b* `c` \write18{ls}"""
LAYOUT = TableLayout(
    caption=HOSTILE,
    columns=("Optimizer", "Accuracy (%)"),
    numeric=(False, True),
    rows=((HOSTILE, "97.50 ± 0.30"), ("=cmd|' /C calc'!A0", "–")),
    bold=frozenset({(0, 1)}),
)


def test_latex_escapes_all_ten_specials_and_sets_the_best_in_bold() -> None:
    text = write_latex(LAYOUT)
    assert r"\textbf{97.50 $\pm$ 0.30}" in text
    assert escape_latex(HOSTILE).startswith(
        r"\%\_\$\&\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert r"\textbackslash{}write18\{ls\}" in text
    assert r"\write18" not in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lr}"):
        assert rule in text


def test_html_escapes_everything_and_sets_the_best_in_bold() -> None:
    text = write_html(LAYOUT)
    assert "<img" not in text
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in text
    assert "<strong>97.50 ± 0.30</strong>" in text


def test_markdown_keeps_its_columns_whatever_the_texts() -> None:
    lines = write_markdown(LAYOUT).splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines[:4]] == [3] * 4
    assert "**97.50 ± 0.30**" in lines[2]


def test_a_table_without_rows_is_still_a_table() -> None:
    empty = TableLayout(caption="c", columns=("a", "b"), numeric=(False, True), rows=(), bold=frozenset())
    assert r"\bottomrule" in write_latex(empty)
    assert "a" in write_markdown(empty)
    assert "<table>" in write_html(empty)


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_formulas_are_defused(text: str) -> None:
    assert defuse(text) == f"'{text}"


def test_numbers_and_plain_texts_are_left_alone() -> None:
    assert [defuse(v) for v in (-1.0, "sgd", "")] == [-1.0, "sgd", ""]


def test_csv_has_a_row_for_each_cell_and_reads_back() -> None:
    cells, _ = tables(
        {"optimizer": "=evil"}, {"optimizer": 'a,b"c', "lr": 1.0}, {"state": "waiting", "lr": 10.0}
    )
    text = write_csv(cells)
    header, *rows = csv.reader(io.StringIO(text))
    assert header == [
        "task",
        "optimizer",
        "lr",
        "init",
        "n",
        "trained",
        "untrained",
        "nonfinite",
        "blowup",
        "diverged",
        "divergence_rate",
        "low",
        "high",
        "score_mean",
        "score_sd",
        "score_median",
    ]
    assert [row[1] for row in rows] == ["'=evil", 'a,b"c', "o"]
    assert rows[2][4] == "0"
    assert rows[2][10] == ""
    back = pd.read_csv(io.StringIO(text))
    assert back["score_mean"].iloc[0] == cells["score_mean"].iloc[0]
    assert math.isnan(back["score_mean"].iloc[2])
