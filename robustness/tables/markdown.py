"""Markdown, by tabulate. It has one line of headers: spanners stand before the names of their columns."""

from __future__ import annotations

import re

from tabulate import tabulate

from robustness.tables.layout import TableLayout

__all__ = ["write_markdown"]


def write_markdown(layout: TableLayout) -> str:
    """A pipe table, the caption and the notes under it."""
    rows = [[_entry(layout, r, c, text) for c, text in enumerate(row)] for r, row in enumerate(layout.rows)]
    align = ["right" if numeric else "left" for numeric in layout.numeric]
    table = tabulate(
        rows,
        headers=[_escaped(header) for header in _headers(layout)],
        tablefmt="pipe",
        colalign=align if rows else None,
        disable_numparse=True,
    )
    notes = [f"{_raised(mark)}{_paragraph(text)}" for mark, text in layout.notes]
    return "\n\n".join([table, _paragraph(layout.caption), *notes]) + "\n"


def _headers(layout: TableLayout) -> list[str]:
    found = []
    for column, header in enumerate(layout.columns):
        over = [s.text for level in layout.spanners for s in level if s.first <= column <= s.last]
        found.append(" / ".join([*over, header] if header else over))
    return found


def _entry(layout: TableLayout, row: int, column: int, text: str) -> str:
    entry = _escaped(text)
    if (row, column) in layout.bold:
        entry = f"**{entry}**"
    if (row, column) in layout.underlined:
        entry = f"<ins>{entry}</ins>"  # markdown has no underline of its own
    entry += _raised(layout.marks.get((row, column), ""))
    aside = layout.asides.get((row, column), "")
    return f"{entry} {_escaped(aside)}" if aside else entry


def _raised(mark: str) -> str:
    return f"<sup>{_escaped(mark)}</sup>" if mark else ""


def _paragraph(text: str) -> str:
    """A text that begins like a list stays a paragraph."""
    return re.sub(r"\A(?:([-+])|(\d+)([.)])(?=\s|\Z))", r"\2\\\1\3", _escaped(text))


def _escaped(text: str) -> str:
    """Every character that markdown, its tables or mathematics in it would read; line ends as spaces."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~$])", r"\\\1", " ".join(text.split()))
