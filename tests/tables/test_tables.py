"""Tables in every format, hostile texts included."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re

import pandas as pd
import pytest

from robustness.spreadsheets import defuse
from robustness.tables import Spanner, TableLayout, write_csv, write_html, write_latex, write_markdown
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

PIVOT = TableLayout(
    caption="1. Caption\n\nwith an empty line",
    columns=("Optimizer", "Score (%)", "Window (decades)", "Score (%)"),
    numeric=(False, True, True, True),
    rows=(("a|b\nc", "97.50", "≥ 1.40", "–"), ("[x]", "97.00", "−0.20", "")),
    bold=frozenset({(0, 1)}),
    underlined=frozenset({(1, 1)}),
    marks={(0, 2): "†,a"},
    asides={(0, 2): "[1.20, 1.60]"},
    spanners=((Spanner(text=HOSTILE, first=1, last=2), Spanner(text="t", first=3, last=3)),),
    labels=1,
    notes=(("a", HOSTILE), ("", "- no list")),
)


def test_latex_draws_spanners_marks_asides_and_notes() -> None:
    text = write_latex(PIVOT)
    for words in (
        r" & \multicolumn{2}{c}{\shortstack[c]{\%\_\$\&\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}",
        r"\textbackslash{}write18\{ls\}}} & \multicolumn{1}{c}{t} \\",
        r"\cmidrule(lr){2-3} \cmidrule(lr){4-4}",
        r"a\textbar{}b c & \textbf{97.50} & $\geq$ 1.40\textsuperscript{$\dagger$,a} & -- \\",
        r" &  & {\scriptsize [1.20, 1.60]} &  \\",
        r"{}[x] & \underline{97.00} & $-$0.20 &  \\",
        r"\shortstack[r]{Window\\(decades)}",
        rf"\textsuperscript{{a}}{escape_latex(HOSTILE)}\par",
        r"\caption{1. Caption with an empty line}",
    ):
        assert words in text, words
    assert text.index(r"\end{tabular}") < text.index(r"\footnotesize") < text.index(r"\end{table}")


def test_latex_breaks_a_wide_table_into_panels_and_a_tall_one_into_pages() -> None:
    def wide(columns: int, rows: int) -> str:
        return write_latex(
            TableLayout(
                caption="c",
                columns=("label", *[f"a rather long header {c}" for c in range(columns)]),
                numeric=(False, *[True] * columns),
                rows=tuple((f"row {r}", *["1.00"] * columns) for r in range(rows)),
                bold=frozenset({(0, columns)}),
                spanners=((Spanner(text="over", first=1, last=columns),),),
                labels=1,
            )
        )

    assert wide(2, 5).count(r"\toprule") == 1
    assert (wide(9, 5).count(r"\toprule"), wide(9, 5).count(r"\begin{table}")) == (3, 1)
    assert wide(9, 5).count(r"\multicolumn") == 3
    assert wide(9, 5).count(r"\textbf") == 1
    assert wide(9, 30).count(r"\begin{table}") == 3
    assert wide(9, 30).count(r"\caption") == 1


def long_table(rows: int, entries: int = 3, optimizer: str = "o{}") -> TableLayout:
    return TableLayout(
        caption="c",
        columns=("Task", "Initialization", "Optimizer", *[f"Score {c}" for c in range(entries)]),
        numeric=(False, False, False, *[True] * entries),
        rows=tuple(
            ("some task", f"init {r // 10}", optimizer.format(r), *["97.50 ± 0.30"] * entries)
            for r in range(rows)
        ),
        bold=frozenset(),
        labels=3,
        notes=tuple(("", f"note {n}") for n in range(60)),
    )


def test_latex_breaks_the_rows_of_a_long_table_at_the_pages_end_and_repeats_headers_and_labels() -> None:
    text = write_latex(long_table(115))
    tables = text.split(r"\begin{table}")[1:]
    assert len(tables) == 4  # the last one has notes alone
    for table in tables[:3]:
        assert table.partition(r"\midrule")[2].strip().startswith("some task & init")
        assert table.count("Optimizer") == 1
    for r in range(115):
        assert text.count(f"& o{r} &") == 1
    for n in range(60):
        assert text.count(f"note {n}\\par") == 1


def test_latex_sets_leading_labels_over_their_rows_where_a_line_is_full() -> None:
    text = write_latex(long_table(20, entries=4))
    assert text.count(r"\begin{tabular}{lrrrr}") == 1
    for init in ("init 0", "init 1"):
        assert text.count(rf"\multicolumn{{5}}{{l}}{{\emph{{some task, {init}}}}} \\") == 1
    assert r"\addlinespace" in text


def test_latex_breaks_labels_into_lines_where_leading_labels_alone_do_not_make_room() -> None:
    name = "stochastic gradient descent with heavy-ball momentum {}"
    text = write_latex(long_table(2, entries=4, optimizer=name))
    lines = [line.partition(" & ")[0] for line in text.splitlines()]
    place = lines.index("stochastic")
    assert lines[place : place + 4] == ["stochastic", "gradient descent", "with heavy-ball", "momentum 0"]
    assert text.count("97.50") == 2 * 4


def test_latex_says_where_an_engine_with_more_characters_is_needed() -> None:
    plain = dataclasses.replace(PIVOT, caption="η = 0.1, é, ±, ≤, ∞, × … “")
    assert "xelatex" in write_latex(plain)
    assert "xelatex" not in write_latex(dataclasses.replace(plain, caption="η = 0.1, é, ±, ≤, ∞, × …"))


def test_html_draws_spanners_marks_asides_and_notes() -> None:
    text = write_html(PIVOT)
    for words in (
        '<td colspan="1"></td><th scope="colgroup" colspan="2">',
        '<th scope="colgroup" colspan="1">t</th></tr>',
        '<th scope="row" class="text">a|b\nc</th>',
        '<td class="figure">≥ 1.40<sup>†,a</sup> <small>[1.20, 1.60]</small></td>',
        "<u>97.00</u>",
        '<p class="note"><sup>a</sup> ',
        '<p class="note">- no list</p>',
    ):
        assert words in text, words
    assert "<img" not in text


def test_markdown_draws_spanners_marks_asides_and_notes() -> None:
    text = write_markdown(PIVOT)
    lines = text.splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines[:4]] == [5] * 4
    assert "t / Score (%)" in lines[0]
    assert r"a\|b c" in lines[2]
    assert r"≥ 1.40<sup>†,a</sup> \[1.20, 1.60\]" in lines[2]
    assert "<ins>97.00</ins>" in lines[3]
    assert r"1\. Caption with an empty line" in lines
    assert r"\- no list" in lines
    assert "<img" not in text.replace(r"\<img", "")


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
        "stalled",
        "unresolved",
        "validation_median",
    ]
    assert [row[1] for row in rows] == ["'=evil", 'a,b"c', "o"]
    assert rows[2][4] == "0"
    assert rows[2][10] == ""
    back = pd.read_csv(io.StringIO(text))
    assert back["score_mean"].iloc[0] == cells["score_mean"].iloc[0]
    assert math.isnan(back["score_mean"].iloc[2])
