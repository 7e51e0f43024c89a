"""CSV for programs: one row a cell, floats to full precision, formulas defused."""

from __future__ import annotations

import pandas as pd

from robustness.summary.cells import CELL_COLUMNS

__all__ = ["defuse", "write_csv"]


def defuse(text: object) -> object:
    """A string that a spreadsheet would run as a formula, made plain by a leading apostrophe."""
    if isinstance(text, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{text}"
    return text


def write_csv(cells: pd.DataFrame) -> str:
    """The cells as CSV; NaN is an empty field. The same store gives the same bytes."""
    shown = cells[list(CELL_COLUMNS)].copy()
    for column in ("task", "optimizer", "init"):
        shown[column] = shown[column].map(defuse)
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text
