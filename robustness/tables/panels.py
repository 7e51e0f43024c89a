"""How a table fits a page of LaTeX: its size of type, and what stands beside or under what."""

from __future__ import annotations

from collections.abc import Sequence

from robustness.tables.layout import TableLayout

__all__ = ["PAGE_HEIGHT", "height", "panels", "stacked"]

LINE_WIDTH = 345
"""Of the class article, in points."""
PAGE_HEIGHT = 400
"""Of the class article, in points, less room for a caption."""
_GAP = 8  # two of \tabcolsep = 4pt
_SIZES = (("small", 9, 0.51), ("footnotesize", 8, 0.53), ("scriptsize", 7, 0.57))
"""Name, points, and the mean width of a letter in em: small type is set wider."""
_PANEL = 1
"""The size of type of panels: what is broken up need not be tiny."""


def stacked(header: str) -> list[str]:
    """The lines of a header: the title, its unit, which point of a curve."""
    title, comma, at = header.partition(", ")
    name, bracket, unit = title.partition(" (")
    return [name, *([f"({unit}"] if bracket else []), *(at.split(", ") if comma else [])]


def panels(layout: TableLayout) -> tuple[str, list[list[int]]]:
    """The size of type and the columns of each panel, those that name the rows not among them.

    One panel in the largest type that fits a line. Where none does, the columns are broken up, between
    spanners if possible, and the panels stand one under the other.
    """
    widths = _widths(layout)
    every = list(range(layout.labels, len(layout.columns)))
    labels = list(range(layout.labels))
    for name, points, em in _SIZES:
        if _points([*labels, *every], widths, points * em) <= LINE_WIDTH:
            return name, [every]
    name, points, em = _SIZES[_PANEL]
    found: list[list[int]] = []
    for group in _groups(layout, every):
        fits = _points([*labels, *group], widths, points * em) <= LINE_WIDTH
        for block in [group] if fits else [[column] for column in group]:
            wider = [*(found[-1] if found else []), *block]
            if found and _points([*labels, *wider], widths, points * em) <= LINE_WIDTH:
                found[-1] = wider
            else:
                found.append(block)
    return name, found


def height(layout: TableLayout) -> float:
    """Of one panel, in points: rows, their asides, headers and rules."""
    spaced = len({row for row, _ in layout.asides})
    return 10.0 * len(layout.rows) + 10 * spaced + 12 * len(layout.spanners) + 40


def _groups(layout: TableLayout, columns: Sequence[int]) -> list[list[int]]:
    if not layout.spanners:
        return [[column] for column in columns]
    return [list(range(spanner.first, spanner.last + 1)) for spanner in layout.spanners[0]]


def _points(columns: Sequence[int], widths: Sequence[float], letter: float) -> float:
    return sum(letter * widths[column] + _GAP for column in columns)


def _widths(layout: TableLayout) -> list[float]:
    """Letters of the widest text of each column; asides are set smaller."""
    widest = [max(len(line) for line in stacked(header)) for header in layout.columns]
    for row in layout.rows:
        widest = [max(width, len(text)) for width, text in zip(widest, row, strict=True)]
    found = [float(width) for width in widest]
    for (_, column), text in layout.asides.items():
        found[column] = max(found[column], 0.9 * len(text))
    for (place, column), mark in layout.marks.items():
        found[column] = max(found[column], len(layout.rows[place][column]) + 0.7 * len(mark))
    return found
