"""CSV for programs: floats to full precision, formulas defused."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from robustness.spreadsheets import defuse
from robustness.summary.grid import SQUARE_COLUMNS
from robustness.tables.axes import AXES
from robustness.tables.measured import Measurement
from robustness.wording.remarks import row_note

__all__ = ["write_csv", "write_measured_csv"]


def write_csv(squares: pd.DataFrame) -> str:
    """Squares, `Grid.squares`, as CSV; NaN is an empty field. The same store gives the same bytes."""
    shown = squares[list(SQUARE_COLUMNS)].copy()
    for column in ("task", "optimizer", "init"):
        shown[column] = shown[column].map(defuse)
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text


def write_measured_csv(measured: Iterable[Measurement]) -> str:
    """One row a task, optimizer and initialization (empty where pooled), metrics in columns.

    Each metric has its value, the ends of its interval, n and its note; a score and a published figure the
    standard deviation too. Nothing is rounded or scaled: accuracies and rates are shares, and losses losses.
    """
    rows: dict[tuple[str | None, ...], dict[str, object]] = {}
    columns: dict[str, None] = {}
    for m in measured:
        name = f"{m.metric} [{m.at}]" if m.at else m.metric
        found: dict[str, object] = {name: m.value, f"{name} low": m.low, f"{name} high": m.high}
        if m.metric in ("score", "published"):
            found[f"{name} sd"] = m.sd
        found |= {
            f"{name} n": m.n or "",
            f"{name} unit": m.unit,
            f"{name} note": m.source or row_note(m),
        }
        columns |= dict.fromkeys(found)
        key = (m.task, m.optimizer, m.init)
        rows.setdefault(key, dict(zip(AXES, key, strict=True))).update(found)
    lines = [{column: _field(row.get(column, "")) for column in (*AXES, *columns)} for row in rows.values()]
    frame = pd.DataFrame(lines, columns=[*AXES, *columns])
    frame.columns = pd.Index([defuse(column) for column in frame.columns])
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _field(value: object) -> object:
    """Numbers as Python writes them, so that a column of both numbers and gaps keeps whole numbers whole."""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return defuse(value)
