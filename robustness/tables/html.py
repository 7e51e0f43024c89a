"""An HTML fragment."""

from __future__ import annotations

from html import escape

from robustness.tables.layout import TableLayout

__all__ = ["write_html"]


def write_html(layout: TableLayout) -> str:
    """A <table> with its caption; the page brings the style."""
    classes = ["figure" if numeric else "text" for numeric in layout.numeric]
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(column)}</th>'
        for column, kind in zip(layout.columns, classes, strict=True)
    )
    body = []
    for r, row in enumerate(layout.rows):
        entries = (
            f"<strong>{escape(text)}</strong>" if (r, c) in layout.bold else escape(text)
            for c, text in enumerate(row)
        )
        cells = (f'<td class="{kind}">{entry}</td>' for entry, kind in zip(entries, classes, strict=True))
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f"<table>\n<caption>{escape(layout.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{chr(10).join(body)}\n</tbody>\n</table>\n"
    )
