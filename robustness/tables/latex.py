"""LaTeX with booktabs, by pandas' Styler."""

from __future__ import annotations

import pandas as pd
from pandas.io.formats.style import Styler

from robustness.tables.layout import TableLayout

__all__ = ["escape_latex", "write_latex"]

_SPECIALS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "≤": r"$\leq$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def escape_latex(text: str) -> str:
    r"""All ten specials escaped, and the signs of our own tables in commands that every engine knows.

    >>> escape_latex("50 % of \\write18{x} ± 1")
    '50 \\% of \\textbackslash{}write18\\{x\\} $\\pm$ 1'
    """
    return "".join(_SPECIALS.get(character, character) for character in text)


def write_latex(layout: TableLayout) -> str:
    """A table environment; needs the package booktabs."""
    rows = [[escape_latex(text) for text in row] for row in layout.rows]
    for row in rows:
        # A row's `\\\\` would take a star or a bracket at the start of the next one for its argument.
        row[0] = f"{{}}{row[0]}" if row[0][:1] in ("*", "[") else row[0]
    frame = pd.DataFrame(rows, columns=[escape_latex(column) for column in layout.columns])
    styler = Styler(frame, escape=None).hide(axis="index")

    def mark(data: pd.DataFrame) -> pd.DataFrame:
        marks = pd.DataFrame("", index=data.index, columns=data.columns)
        for row, column in layout.bold:
            marks.iat[row, column] = "textbf:--rwrap"
        return marks

    text: str = styler.apply(mark, axis=None).to_latex(
        hrules=True,
        caption=escape_latex(layout.caption),
        column_format="".join("r" if numeric else "l" for numeric in layout.numeric),
        position="t",
        position_float="centering",
    )
    return "% \\usepackage{booktabs}\n" + text
