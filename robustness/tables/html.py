"""An HTML fragment."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from robustness.tables.layout import Spanner, TableLayout

__all__ = ["write_html"]


def write_html(layout: TableLayout) -> str:
    """A <table> with its caption, the notes after it; the page brings the style."""
    classes = ["figure" if numeric else "text" for numeric in layout.numeric]
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(column)}</th>'
        for column, kind in zip(layout.columns, classes, strict=True)
    )
    spanners = "".join(
        f"<tr>{''.join(_spanned(level, len(layout.columns)))}</tr>\n" for level in layout.spanners
    )
    body = []
    for r, row in enumerate(layout.rows):
        cells = (_cell(layout, r, c, text, classes[c]) for c, text in enumerate(row))
        body.append(f"<tr>{''.join(cells)}</tr>")
    notes = "".join(
        f'<p class="note">{_raised(mark)}{" " if mark else ""}{escape(text)}</p>\n'
        for mark, text in layout.notes
    )
    return (
        f"<table>\n<caption>{escape(layout.caption)}</caption>\n<thead>{spanners}<tr>{head}</tr></thead>\n"
        f"<tbody>\n{chr(10).join(body)}\n</tbody>\n</table>\n{notes}"
    )


def _spanned(spanners: tuple[Spanner, ...], columns: int) -> Iterator[str]:
    column = 0
    for spanner in spanners:
        if spanner.first > column:
            yield f'<td colspan="{spanner.first - column}"></td>'
        width = spanner.last - spanner.first + 1
        yield f'<th scope="colgroup" colspan="{width}">{escape(spanner.text)}</th>'
        column = spanner.last + 1
    if column < columns:
        yield f'<td colspan="{columns - column}"></td>'


def _cell(layout: TableLayout, row: int, column: int, text: str, kind: str) -> str:
    entry = escape(text)
    if (row, column) in layout.bold:
        entry = f"<strong>{entry}</strong>"
    if (row, column) in layout.underlined:
        entry = f"<u>{entry}</u>"
    entry += _raised(layout.marks.get((row, column), ""))
    aside = layout.asides.get((row, column), "")
    entry += f" <small>{escape(aside)}</small>" if aside else ""
    if column < layout.labels:
        return f'<th scope="row" class="{kind}">{entry}</th>'
    return f'<td class="{kind}">{entry}</td>'


def _raised(mark: str) -> str:
    return f"<sup>{escape(mark)}</sup>" if mark else ""
