"""A table of any metrics by task, optimizer and initialization, in rows and columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robustness.summary import Study
from robustness.tables.axes import AXIS_TITLES, Arrangement, arranged
from robustness.tables.caption import Footnotes, pivot_caption, table_notes
from robustness.tables.entries import RATES, Spread, entry, unit_text
from robustness.tables.layout import Spanner, TableLayout
from robustness.tables.measured import Measurement
from robustness.tables.ranking import Test, ranked
from robustness.wording.captions import units

__all__ = ["pivot_table"]

_OVER_ALL = {"task": "all tasks", "optimizer": "all optimizers", "init": "all initializations"}


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of entries: labels of the column axes, then a metric."""

    labels: tuple[str, ...]
    metric: str
    at: str
    header: str


def pivot_table(
    study: Study,
    measured: Iterable[Measurement],
    *,
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    spread: Spread = "sd",
    test: Test | None = None,
    delta: str = "",
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> TableLayout:
    """Lay a table out; nothing is measured here.

    Args:
        study: for labels in their order and for the caption.
        measured: entries, metrics in the order of their columns.
        rows: axes (`axes.AXES`) that name a row.
        columns: axes that name a column; several metrics stand under each.
        spread: what follows a score.
        test: for the significance mark.
        delta: of the windows, for the caption.
        notes: that hold for all of the table.
        warnings: of the study; the first few are noted.

    Returns:
        The best of each metric, task and initialization in bold, the second underlined.
    """
    arrangement = arranged(study, measured, rows, columns)
    ranking = ranked(arrangement.measured, test)
    headed = _columns(arrangement)
    keys = _row_keys(arrangement)
    places = _places(arrangement, keys, headed)
    counted = _counted(arrangement.measured)
    footnotes = Footnotes(arrangement.measured, units(study))
    labels = len(arrangement.rows)
    texts = [[*key, *[""] * len(headed)] for key in keys]
    marks: dict[tuple[int, int], str] = {}
    asides: dict[tuple[int, int], str] = {}
    for row, column in sorted(places):
        place = places[row, column]
        m = arrangement.measured[place]
        texts[row][labels + column], aside = entry(m, spread, counts=m.metric in counted)
        asides |= {(row, labels + column): aside} if aside else {}
        raised = ["†"] if place in ranking.differs else []
        raised += footnotes.marks(m)
        if raised:
            marks[row, labels + column] = ",".join(raised)
    where = {place: (row, labels + column) for (row, column), place in places.items()}
    metric_line = len({(c.metric, c.at) for c in headed}) > 1 or not columns
    return TableLayout(
        caption=pivot_caption(study, arrangement.measured, spread=spread, delta=delta, ranking=ranking),
        columns=(
            *(AXIS_TITLES[axis] for axis in arrangement.rows),
            *(c.header if metric_line else c.labels[-1] for c in headed),
        ),
        numeric=(False,) * labels + (True,) * len(headed),
        rows=tuple(tuple(row) for row in texts),
        bold=frozenset(where[place] for place in ranking.best),
        underlined=frozenset(where[place] for place in ranking.second),
        marks=marks,
        asides=asides,
        spanners=_spanners(headed, labels, len(columns) - (not metric_line)),
        labels=labels,
        notes=(*footnotes.notes, *table_notes(study, arrangement, ranking, notes, warnings)),
    )


def _labels(m: Measurement, axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(_OVER_ALL[axis] if getattr(m, axis) is None else getattr(m, axis) for axis in axes)


def _raw(m: Measurement, axes: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(getattr(m, axis) for axis in axes)


def _row_keys(arrangement: Arrangement) -> list[tuple[str, ...]]:
    order = arrangement.order(arrangement.rows)
    ordered = sorted(arrangement.measured, key=lambda m: order(_raw(m, arrangement.rows)))
    return list(dict.fromkeys(_labels(m, arrangement.rows) for m in ordered))


def _columns(arrangement: Arrangement) -> list[_Column]:
    """By the labels of the column axes, then by metric as asked for."""
    order = arrangement.order(arrangement.columns)
    metrics = {
        key: place for place, key in enumerate(dict.fromkeys((m.metric, m.at) for m in arrangement.measured))
    }
    units = {key: _units(arrangement.measured, key) for key in metrics}
    ordered = sorted(
        arrangement.measured,
        key=lambda m: (order(_raw(m, arrangement.columns)), metrics[m.metric, m.at]),
    )
    found: dict[tuple[tuple[str, ...], str, str], _Column] = {}
    for m in ordered:
        labels = _labels(m, arrangement.columns)
        header = f"{m.title}{units[m.metric, m.at]}" + (f", {m.at}" if m.at else "")
        column = _Column(labels=labels, metric=m.metric, at=m.at, header=header)
        found.setdefault((labels, m.metric, m.at), column)
    return list(found.values())


def _units(measured: Sequence[Measurement], key: tuple[str, str]) -> str:
    units = dict.fromkeys(unit_text(m.unit) for m in measured if (m.metric, m.at) == key)
    text = " or ".join(unit for unit in units if unit)
    return f" ({text})" if text else ""


def _places(
    arrangement: Arrangement, keys: list[tuple[str, ...]], headed: list[_Column]
) -> dict[tuple[int, int], int]:
    """(row, column of entries) to the place of its measurement."""
    row_of = {key: row for row, key in enumerate(keys)}
    column_of = {(c.labels, c.metric, c.at): column for column, c in enumerate(headed)}
    found: dict[tuple[int, int], int] = {}
    for place, m in enumerate(arrangement.measured):
        column = column_of[_labels(m, arrangement.columns), m.metric, m.at]
        found[row_of[_labels(m, arrangement.rows)], column] = place
    return found


def _counted(measured: Sequence[Measurement]) -> set[str]:
    """Rates whose entries do not all rest on as many trials: each shows its own k/n."""
    sizes: dict[str, set[int]] = {}
    for m in measured:
        if m.metric in RATES and not math.isnan(m.value):
            sizes.setdefault(m.metric, set()).add(m.n)
    return {metric for metric, found in sizes.items() if len(found) > 1}


def _spanners(headed: list[_Column], shift: int, levels: int) -> tuple[tuple[Spanner, ...], ...]:
    found = []
    for level in range(levels):
        spans: list[Spanner] = []
        above: tuple[str, ...] | None = None
        for place, column in enumerate(headed):
            prefix = column.labels[: level + 1]
            first = spans.pop().first if prefix == above else place + shift
            spans.append(Spanner(text=prefix[-1], first=first, last=place + shift))
            above = prefix
        found.append(tuple(spans))
    return tuple(found)
