r"""LaTeX with booktabs.

Written by hand: Styler.to_latex draws no rules under spanners, underlines nothing and has no notes.

Pages are narrow: headers are stacked, asides stand under their entries, and what does not fit a line is broken up
(`panels`).
"""

from __future__ import annotations

from robustness.tables.layout import Spanner, TableLayout
from robustness.tables.panels import PAGE_HEIGHT, height, panels, stacked

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
    """A table environment; needs the package booktabs."""
    size, parts = panels(layout) if layout.labels else ("", [list(range(len(layout.columns)))])
    type_ = [rf"\{size}", r"\setlength{\tabcolsep}{4pt}"] if size else []
    start = [r"\begin{table}[t]", r"\centering"]
    lines = [
        "% \\usepackage{booktabs}",
        *_engine(layout),
        *start,
        rf"\caption{{{escape_latex(layout.caption)}}}",
        # A caption leaves no space below itself.
        *([r"\smallskip", *type_] if size else []),
    ]
    filled = 0.0
    for place, columns in enumerate(parts):
        filled += height(layout)
        if place and filled > PAGE_HEIGHT:
            lines += [r"\end{table}", *start, *type_]
            filled = height(layout)
        elif place:
            lines += [r"\par\medskip"]
        lines += _tabular(layout, [*range(layout.labels), *columns])
    return "\n".join([*lines, *_notes(layout), r"\end{table}"]) + "\n"


def _tabular(layout: TableLayout, columns: list[int]) -> list[str]:
    kinds = "".join("r" if layout.numeric[column] else "l" for column in columns)
    headers = [layout.columns[column] for column in columns]
    return [
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        *(line for spanners in layout.spanners for line in _spanned(spanners, columns)),
        _line([_header(text) if layout.labels else escape_latex(text) for text in headers]),
        r"\midrule",
        *_body(layout, columns),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _header(text: str) -> str:
    lines = [escape_latex(line) for line in stacked(text)]
    joined = r"\\".join(f"{{}}{line}" if line[:1] in ("*", "[") else line for line in lines)
    return joined if len(lines) == 1 else rf"\shortstack[r]{{{joined}}}"


def _line(entries: list[str]) -> str:
    # A row's `\\` would take a star or a bracket at the start of the next one for its argument.
    first = f"{{}}{entries[0]}" if entries[0][:1] in ("*", "[") else entries[0]
    return " & ".join([first, *entries[1:]]) + r" \\"


def _spanned(spanners: tuple[Spanner, ...], columns: list[int]) -> list[str]:
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
        entries.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(over.text)}}}")
        rules.append(rf"\cmidrule(lr){{{place + 1}-{place + width}}}")
        place += width
    return [_line(entries), " ".join(rules)]


def _body(layout: TableLayout, columns: list[int]) -> list[str]:
    lines: list[str] = []
    above: tuple[str, ...] = ()
    spaced = False
    for r, row in enumerate(layout.rows):
        if above and layout.labels > 1 and above[0] != row[0]:
            lines.append(r"\addlinespace")
        elif spaced:
            lines.append(r"\addlinespace[2pt]")
        lines.append(_line([_entry(layout, r, c, _again(layout, above, row, c)) for c in columns]))
        asides = [_aside(layout.asides.get((r, c), "")) for c in columns]
        spaced = any(asides)
        lines += [_line(asides)] if spaced else []
        above = row
    return lines


def _aside(text: str) -> str:
    return rf"{{\scriptsize {escape_latex(text)}}}" if text else ""


def _again(layout: TableLayout, above: tuple[str, ...], row: tuple[str, ...], column: int) -> str:
    """The text of an entry; nothing for a label that repeats the one above, with all before it."""
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


def _notes(layout: TableLayout) -> list[str]:
    if not layout.notes:
        return []
    lines = [rf"{_raised(mark)}{escape_latex(text)}\par" for mark, text in layout.notes]
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
