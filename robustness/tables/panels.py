"""How a table fits a page of LaTeX: its size of type, what stands beside or under what, and where a page ends.

What does not fit a line in small type has its leading labels in lines over the rows that share them, then its last
label broken into lines, then its columns in panels one under the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

from robustness.tables.layout import Spanner, TableLayout

__all__ = ["Fit", "Tabular", "fit", "note_blocks", "stacked"]

LINE_WIDTH = 345
"""Of the class article, in points."""
PAGE_HEIGHT = 530
"""Of the class article, in points, less what an estimate may miss."""
_GAP = 8  # two of \tabcolsep = 4pt
_SIZES = (("small", 9, 0.51), ("footnotesize", 8, 0.53), ("scriptsize", 7, 0.57))
"""Name, points, and the mean width of a letter in em: small type is set wider."""
_LINE_HEIGHTS = {"small": 11.0, "footnotesize": 9.5, "scriptsize": 8.0}
_PANEL = 1
"""The size of type of panels: what is broken up need not be tiny."""
_LEAST = 18
"""Letters to which the label of a row or a spanner may be broken."""
_PANEL_LABEL = 32
"""The same in panels, which repeat it."""
_FEWEST = 4
"""Rows for which a tabular is begun at the foot of a page."""
_CAPTION_LETTERS, _NOTE_LETTERS = 70, 84
"""Of a line across the page."""

Tabular = tuple[list[int], range]
"""The columns of entries, and the rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How a table is set.

    Attributes:
        size: of type, its name.
        leading: labels that stand in lines of their own, over the rows that share them.
        letters: of a line in each column.
        pages: the tabulars of each float.
        left: of the last one's height, in points.
    """

    size: str
    leading: int
    letters: tuple[int, ...]
    pages: list[list[Tabular]]
    left: float

    def label_lines(self, text: str, column: int) -> list[str]:
        """A label in as many lines as it needs."""
        return _lines(text, self.letters[column])

    def leading_lines(self, row: Sequence[str], columns: Sequence[int]) -> list[str]:
        """The leading labels of a row over all columns of a tabular."""
        return _lines(", ".join(row[: self.leading]), sum(self.letters[column] for column in columns))

    def spanner_lines(self, spanner: Spanner, columns: Sequence[int]) -> list[str]:
        """A spanner over those of its columns that a tabular has."""
        own = sum(self.letters[column] for column in columns if spanner.first <= column <= spanner.last)
        return _lines(spanner.text, max(_LEAST, own))


def stacked(header: str) -> list[str]:
    """The lines of a header: the title, its unit, which point of a curve."""
    title, comma, at = header.partition(", ")
    name, bracket, unit = title.partition(" (")
    return [name, *([f"({unit}"] if bracket else []), *(at.split(", ") if comma else [])]


def fit(layout: TableLayout) -> Fit:
    """The largest type in which all columns fit a line, else panels; then pages."""
    size, leading, letters, parts = _arranged(layout)
    found = Fit(size=size, leading=leading, letters=letters, pages=[], left=PAGE_HEIGHT)
    return _paged(layout, found, parts)


def note_blocks(notes: Sequence[tuple[str, str]], left: float) -> list[list[tuple[str, str]]]:
    """Notes by float: the first block, which may be empty, fits what is left of the last one's height."""
    blocks: list[list[tuple[str, str]]] = [[]]
    for note in notes:
        height = 9.5 * math.ceil((len(note[0]) + len(note[1])) / _NOTE_LETTERS)
        if height > left:
            blocks.append([])
            left = PAGE_HEIGHT
        blocks[-1].append(note)
        left -= height
    return blocks


def _lines(text: str, letters: int) -> list[str]:
    return [text] if len(text) <= letters else wrap(text, letters)


def _arranged(layout: TableLayout) -> tuple[str, int, tuple[int, ...], list[list[int]]]:
    """Size of type, leading labels, letters of each column, columns of each panel."""
    letters, last = _letters(layout), layout.labels - 1
    entries = list(range(layout.labels, len(layout.columns)))
    for leading in sorted({0, max(last, 0)}):
        for name, points, em in _SIZES:
            columns = list(range(leading, len(layout.columns)))
            if _points(layout, columns, letters, points * em) <= LINE_WIDTH:
                return name, leading, letters, [entries]
    leading = max(last, 0)
    for name, points, em in _SIZES:
        room = int((LINE_WIDTH - _GAP - _points(layout, entries, letters, points * em)) / (points * em))
        if layout.labels and room >= _LEAST:
            return name, leading, _limited(letters, last, room), [entries]
    name, points, em = _SIZES[_PANEL]
    letters = _limited(letters, last, _PANEL_LABEL) if layout.labels else letters
    return name, leading, letters, _panels(layout, leading, letters, points * em)


def _limited(letters: tuple[int, ...], column: int, most: int) -> tuple[int, ...]:
    return (*letters[:column], min(letters[column], most), *letters[column + 1 :])


def _panels(layout: TableLayout, leading: int, letters: Sequence[int], letter: float) -> list[list[int]]:
    """The columns of each panel, broken up between spanners if possible."""
    labels = list(range(leading, layout.labels))
    found: list[list[int]] = []
    for group in _groups(layout):
        fits = _points(layout, [*labels, *group], letters, letter) <= LINE_WIDTH
        for block in [group] if fits else [[column] for column in group]:
            wider = [*(found[-1] if found else []), *block]
            if found and _points(layout, [*labels, *wider], letters, letter) <= LINE_WIDTH:
                found[-1] = wider
            else:
                found.append(block)
    return found


def _groups(layout: TableLayout) -> list[list[int]]:
    if not layout.spanners:
        return [[column] for column in range(layout.labels, len(layout.columns))]
    return [list(range(spanner.first, spanner.last + 1)) for spanner in layout.spanners[0]]


def _points(layout: TableLayout, columns: Sequence[int], letters: Sequence[int], letter: float) -> float:
    """The width of a tabular: its columns, and by how much spanners are wider than theirs."""
    widths = {column: letter * letters[column] + _GAP for column in columns}
    wider = [0.0]
    for level in layout.spanners:
        over = [(s, sum(widths.get(c, 0.0) for c in range(s.first, s.last + 1))) for s in level]
        wider.append(sum(max(0.0, letter * min(len(s.text), _LEAST) + _GAP - own) for s, own in over if own))
    return sum(widths.values()) + max(wider)


def _letters(layout: TableLayout) -> tuple[int, ...]:
    """Of the widest text of each column; asides are set smaller, bold is wider."""
    found = [float(max(len(line) for line in stacked(header))) for header in layout.columns]
    for r, row in enumerate(layout.rows):
        for c, text in enumerate(row):
            mark, aside = layout.marks.get((r, c), ""), layout.asides.get((r, c), "")
            width = len(text) * (1.1 if (r, c) in layout.bold else 1) + 0.7 * len(mark)
            found[c] = max(found[c], width, 0.9 * len(aside))
    return tuple(math.ceil(width) for width in found)


def _paged(layout: TableLayout, plan: Fit, parts: list[list[int]]) -> Fit:
    """Panels in floats: a panel that fits a page of its own is not broken, but under the caption it is begun."""
    left = PAGE_HEIGHT - 25.0 - 12 * math.ceil(len(layout.caption) / _CAPTION_LETTERS)
    pages: list[list[Tabular]] = [[]]
    for entries in parts:
        columns = [*range(plan.leading, layout.labels), *entries]
        head = _head_height(layout, plan, columns)
        heights = [_row_height(layout, plan, columns, row) for row in range(len(layout.rows))]
        start = 0
        while start < max(len(heights), 1):
            rest = heights[start:]
            fits = _fitting(rest, left - head)
            whole = bool(pages[-1]) and head + sum(rest) <= PAGE_HEIGHT
            if left < PAGE_HEIGHT and fits < (len(rest) if whole else min(_FEWEST, len(rest))):
                pages.append([])
                left = PAGE_HEIGHT
                continue
            end = start + max(fits, 1)
            pages[-1].append((entries, range(start, min(end, len(heights)))))
            left -= head + sum(heights[start:end])
            start = end
    return replace(plan, pages=pages, left=left)


def _fitting(heights: Sequence[float], left: float) -> int:
    count = 0
    for height in heights:
        left -= height
        if left < 0:
            break
        count += 1
    return count


def _row_height(layout: TableLayout, plan: Fit, columns: Sequence[int], row: int) -> float:
    """With the line of leading labels before it where they change."""
    texts, shared = layout.rows[row], max(plan.leading, 1)
    labels = [len(plan.label_lines(texts[c], c)) for c in columns if c < layout.labels]
    lines = max([1, *labels, *(2 for c in columns if (row, c) in layout.asides)])
    changes = row == 0 or layout.rows[row - 1][:shared] != texts[:shared]
    before = len(plan.leading_lines(texts, columns)) if plan.leading and changes else 0
    space = (2 if lines > 1 else 0) + (6 if changes and layout.labels > 1 else 0)
    return _LINE_HEIGHTS[plan.size] * (lines + before) + space


def _head_height(layout: TableLayout, plan: Fit, columns: Sequence[int]) -> float:
    """Rules, headers, spanners, the space before a tabular, and leading labels that a new page repeats."""
    lines = [max(len(stacked(layout.columns[c])) for c in columns)]
    lines += [
        max(len(plan.spanner_lines(spanner, columns)) for spanner in level) for level in layout.spanners
    ]
    repeated = max((len(plan.leading_lines(row, columns)) for row in layout.rows), default=0)
    return (
        24
        + 8 * len(layout.spanners)
        + _LINE_HEIGHTS[plan.size] * (sum(lines) + (repeated if plan.leading else 0))
    )
