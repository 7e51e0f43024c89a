r"""LaTeX with booktabs.

Written by hand: Styler.to_latex draws no rules under spanners, underlines nothing and has no notes.

Pages are narrow: headers are stacked, asides stand under their entries, and what does not fit a line or a page is
broken up (`panels`).
"""

from __future__ import annotations

from itertools import zip_longest

from robustness.tables.layout import Spanner, TableLayout
from robustness.tables.panels import Fit, fit, note_blocks, stacked

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
    "−": "$-$",
    "–": "--",
    "—": "---",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "†": r"$\dagger$",
    "…": r"\dots{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    # In the old default encoding a bar is printed as a dash.
    "|": r"\textbar{}",
    '"': "''",
}
_DASHES = "\0"  # no text has it: it is not printable
_GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "η": "eta",
    "θ": "theta",
    "λ": "lambda",
    "μ": "mu",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "Δ": "Delta",
}
_COMMANDS = _SPECIALS | {letter: rf"$\{name}$" for letter, name in _GREEK.items()}
_KNOWN = (frozenset(_COMMANDS) | {chr(code) for code in (*range(0x20, 0x7F), *range(0xC0, 0x100))}) - set(
    "ÐÞðþ"
)


def escape_latex(text: str) -> str:
    r"""All ten specials escaped, and the signs of our own tables in commands that every engine knows.

    Line ends are spaces: an empty line would end the argument of a caption.

    >>> escape_latex("--pack")
    '-{}-pack'
    >>> escape_latex("50 % of \\write18{x} ± 1")
    '50 \\% of \\textbackslash{}write18\\{x\\} $\\pm$ 1'
    """
    kept = "".join(_COMMANDS.get(character, character) for character in _plain(text).replace("--", _DASHES))
    return kept.replace(_DASHES, "-{}-")  # two hyphens would be printed as a dash


def _plain(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def write_latex(layout: TableLayout) -> str:
    """Table environments, one a page; they need the package booktabs."""
    plan = fit(layout)
    type_ = [rf"\{plan.size}", r"\setlength{\tabcolsep}{4pt}"]
    start = [r"\begin{table}[tp]", r"\centering"]
    lines = [
        "% \\usepackage{booktabs}",
        *_engine(layout),
        *start,
        # A caption leaves no space below itself.
        *(rf"\caption{{{escape_latex(layout.caption)}}}", r"\smallskip"),
    ]
    for place, page in enumerate(plan.pages):
        lines += [*([r"\end{table}", *start] if place else []), *type_]
        for under, tabular in enumerate(page):
            lines += [*([r"\par\medskip"] if under else []), *_tabular(layout, plan, *tabular)]
    for place, notes in enumerate(note_blocks(layout.notes, plan.left)):
        lines += [*([r"\end{table}", *start] if place else []), *_notes(notes)]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tabular(layout: TableLayout, plan: Fit, entries: list[int], rows: range) -> list[str]:
    columns = [*range(plan.leading, layout.labels), *entries]
    kinds = "".join("r" if layout.numeric[column] else "l" for column in columns)
    return [
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        *(line for spanners in layout.spanners for line in _spanned(plan, spanners, columns)),
        _line([_stack(stacked(layout.columns[column]), "r") for column in columns]),
        r"\midrule",
        *_body(layout, plan, columns, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _stack(texts: list[str], side: str) -> str:
    lines = [escape_latex(line) for line in texts]
    joined = r"\\".join(f"{{}}{line}" if line[:1] in ("*", "[") else line for line in lines)
    return joined if len(lines) == 1 else rf"\shortstack[{side}]{{{joined}}}"


def _line(entries: list[str]) -> str:
    # A row's `\\` would take a star or a bracket at the start of the next one for its argument.
    first = f"{{}}{entries[0]}" if entries[0][:1] in ("*", "[") else entries[0]
    return " & ".join([first, *entries[1:]]) + r" \\"


def _spanned(plan: Fit, spanners: tuple[Spanner, ...], columns: list[int]) -> list[str]:
    entries: list[str] = []
    rules: list[str] = []
    place = 0
    while place < len(columns):
        over = next((s for s in spanners if s.first <= columns[place] <= s.last), None)
        if over is None:
            entries.append("")
            place += 1
            continue
        width = sum(over.first <= column <= over.last for column in columns)
        text = _stack(plan.spanner_lines(over, columns), "c")
        entries.append(rf"\multicolumn{{{width}}}{{c}}{{{text}}}")
        rules.append(rf"\cmidrule(lr){{{place + 1}-{place + width}}}")
        place += width
    return [_line(entries), " ".join(rules)]


def _body(layout: TableLayout, plan: Fit, columns: list[int], rows: range) -> list[str]:
    lines: list[str] = []
    above: tuple[str, ...] = ()
    spaced = False
    shared = max(plan.leading, 1)
    for r in rows:
        row = layout.rows[r]
        if above and layout.labels > 1 and above[:shared] != row[:shared]:
            lines.append(r"\addlinespace")
        elif spaced:
            lines.append(r"\addlinespace[2pt]")
        if plan.leading and above[:shared] != row[:shared]:
            lines += [_across(text, len(columns)) for text in plan.leading_lines(row, columns)]
        cells = [_cell(layout, plan, r, c, above) for c in columns]
        lines += [_line(list(texts)) for texts in zip_longest(*cells, fillvalue="")]
        spaced = any(len(cell) > 1 for cell in cells)
        above = row
    return lines


def _across(text: str, columns: int) -> str:
    return _line([rf"\multicolumn{{{columns}}}{{l}}{{\emph{{{escape_latex(text)}}}}}"])


def _cell(layout: TableLayout, plan: Fit, row: int, column: int, above: tuple[str, ...]) -> list[str]:
    """The lines of a cell: a label in as many as it needs, else the entry and its aside."""
    text, aside = layout.rows[row][column], layout.asides.get((row, column), "")
    if column < layout.labels:
        return [
            _entry(layout, row, column, line)
            for line in plan.label_lines(_again(layout, above, row, column), column)
        ]
    return [_entry(layout, row, column, text), *([_aside(aside)] if aside else [])]


def _aside(text: str) -> str:
    return rf"{{\scriptsize {escape_latex(text)}}}"


def _again(layout: TableLayout, above: tuple[str, ...], place: int, column: int) -> str:
    """The text of a label; nothing where it repeats the one above, with all before it."""
    row = layout.rows[place]
    repeats = column < layout.labels - 1 and above[: column + 1] == row[: column + 1]
    return "" if repeats else row[column]


def _entry(layout: TableLayout, row: int, column: int, text: str) -> str:
    entry = escape_latex(text)
    if (row, column) in layout.bold:
        entry = rf"\textbf{{{entry}}}"
    if (row, column) in layout.underlined:
        entry = rf"\underline{{{entry}}}"
    return entry + _raised(layout.marks.get((row, column), ""))


def _raised(mark: str) -> str:
    return rf"\textsuperscript{{{escape_latex(mark)}}}" if mark else ""


def _notes(notes: list[tuple[str, str]]) -> list[str]:
    if not notes:
        return []
    lines = [rf"{_raised(mark)}{escape_latex(text)}\par" for mark, text in notes]
    return [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", *lines, r"\end{minipage}"]


def _engine(layout: TableLayout) -> list[str]:
    texts = (
        layout.caption,
        *layout.columns,
        *(text for row in layout.rows for text in row),
        *(spanner.text for level in layout.spanners for spanner in level),
        *(text for _, text in layout.notes),
    )
    foreign = {c for text in texts for c in _plain(text)} - _KNOWN
    return ["% has characters that need xelatex or lualatex with a font for them"] if foreign else []
