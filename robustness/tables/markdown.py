"""Markdown, by tabulate."""

from __future__ import annotations

import re

from tabulate import tabulate

from robustness.tables.layout import TableLayout

__all__ = ["write_markdown"]


def write_markdown(layout: TableLayout) -> str:
    """A pipe table, the caption under it."""
    rows = [
        [_shown(text, (r, c) in layout.bold) for c, text in enumerate(row)]
        for r, row in enumerate(layout.rows)
    ]
    align = ["right" if numeric else "left" for numeric in layout.numeric]
    table = tabulate(
        rows, headers=layout.columns, tablefmt="pipe", colalign=align if rows else None, disable_numparse=True
    )
    return f"{table}\n\n{_escaped(layout.caption)}\n"


def _shown(text: str, bold: bool) -> str:
    return f"**{_escaped(text)}**" if bold else _escaped(text)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)
