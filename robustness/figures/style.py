"""One style for all figures: serif, colour-blind-safe, readable in grey, in two sizes: a page and a column."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from robustness.summary import Thresholds

__all__ = [
    "AXIS",
    "COLUMN",
    "CONFIG",
    "DASHES",
    "DIFFERENCE_SCALE",
    "INK",
    "MARK",
    "MISSING",
    "MUTED",
    "OPTIMIZER_COLORS",
    "PAGE",
    "RATE_SCALE",
    "SCORE_SCALE",
    "SIZES",
    "SYMBOLS",
    "Size",
    "decade_ticks",
    "escaped",
    "finish",
    "fitted",
    "left_margin",
    "rule_text",
    "still",
    "text_width",
    "told_apart",
    "wrapped",
    "y_title",
]

FONT = "Liberation Serif, Times New Roman, Times, serif"
INK = "#1f2328"
MUTED = "#5b6370"
MARK = "#c8102e"  # the tuned learning rate; a frame, so it needs no colour to be seen
MISSING = "#e4e4e4"

# One hue from light to dark: the order survives a grey printer.
RATE_SCALE = [[0.0, "#ffffff"], [0.02, "#e3eaf2"], [0.5, "#6d8fb8"], [1.0, "#14233f"]]
SCORE_SCALE = [[0.0, "#f4f1e8"], [0.5, "#9cbfae"], [1.0, "#1f5f57"]]
# Brewer's orange to purple. Grey cannot tell the ends apart: the squares also carry their sign.
DIFFERENCE_SCALE = [
    [0.0, "#5e3c99"],
    [0.25, "#b2abd2"],
    [0.5, "#ffffff"],
    [0.75, "#fdb863"],
    [1.0, "#b35806"],
]

_HOVER = "hover"

# Okabe and Ito's palette, with dashes and symbols that tell the lines apart without colour.
OPTIMIZER_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
# One fewer than colours: the ninth optimizer has the first one's colour and another symbol. No x: it did not train.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star")

CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
"""For write_html: plotly.js 4 shows an upload button unless told not to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Where a figure goes. A pixel is 1/96 inch in SVG and PDF, so that a figure needs no scaling in a paper.

    Attributes:
        name: as the command line calls it.
        width: pixels.
        font: of axes and legends, pixels.
        title: of the title.
        small: of the notes.
        line: width of a curve.
        mark: size of a point.
        panel: height of a panel of curves.
        scale: of PNG, so that a column has 300 dots an inch.
    """

    name: str
    width: int
    font: float
    title: float
    small: float
    line: float
    mark: float
    panel: int
    scale: float


PAGE = Size(name="page", width=900, font=13, title=17, small=12, line=2, mark=7, panel=230, scale=2)
# 3.4 inch, the width of a column; 8 pt, and 7 pt in the notes.
COLUMN = Size(
    name="column", width=326, font=10.67, title=11.5, small=9.33, line=1.3, mark=4.5, panel=120, scale=3.125
)
SIZES = {size.name: size for size in (PAGE, COLUMN)}

AXIS: dict[str, Any] = {
    "ticks": "outside",
    "ticklen": 4,
    "showline": True,
    "linecolor": INK,
    "gridcolor": "#eceff3",
    "zeroline": False,
}


def text_width(text: str, font: float) -> float:
    """About how wide a line of serif text is, in pixels; rather too wide than too narrow."""
    return font * sum(_em(character) for character in text)


def _em(character: str) -> float:
    if character in " iljtfr.,;:'|!()[]/-":
        return 0.3
    if character in "mwMW@%—…":
        return 0.9
    if character in "−+–":
        return 0.56
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    return 0.72 if character.isupper() or not character.isascii() else 0.48


def fitted(text: str, width: float, font: float) -> str:
    """The text, escaped, with its end cut where it is wider than `width` pixels."""
    text = " ".join(text.split())
    if text_width(text, font) <= width:
        return escaped(text)
    while text and text_width(text + "…", font) > width:
        text = text[:-1]
    return escaped(text.rstrip() + "…")


def told_apart(names: Sequence[str], width: float, font: float) -> list[str]:
    """The names, each `fitted`; where two would then be equal, cut in the middle instead."""
    found = [fitted(name, width, font) for name in names]
    return [
        short if found.count(short) == 1 else escaped(_without_middle(name, width, font))
        for name, short in zip(names, found, strict=True)
    ]


def _without_middle(text: str, width: float, font: float) -> str:
    text = " ".join(text.split())
    if text_width(text, font) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: kept - kept // 2].rstrip()}…{text[-(kept // 2) :].lstrip()}"
        if text_width(short, font) <= width:
            return short
    return "…"


def wrapped(text: str, width: float, font: float) -> list[str]:
    """The text, escaped, in lines of at most `width` pixels; a word wider than that is broken, `n = 5` is not."""
    lines = [""]
    text = re.sub(r"(\d) %", "\\1\u00a0%", re.sub(r" ([=≤]) ", "\u00a0\\1\u00a0", text))
    for word in re.split(r"[ \t\r\n]+", text):  # not at spaces that hold a number and its unit together
        if lines[-1] and text_width(f"{lines[-1]} {word}", font) > width:
            lines.append("")
        rest = word
        while text_width(rest, font) > width:
            place = next(i for i in range(1, len(rest) + 1) if text_width(rest[: i + 1], font) > width)
            lines[-1] = f"{lines[-1]} {rest[:place]}".strip()
            lines.append("")
            rest = rest[place:]
        lines[-1] = f"{lines[-1]} {rest}".strip()
    return [escaped(line) for line in lines if line]


def left_margin(labels: Sequence[str], size: Size) -> int:
    """Room for labels at the left: theirs, but never more than a third of the figure."""
    needed = max((text_width(label, size.font) for label in labels), default=0.0)
    return int(min(needed, size.width / 3.2)) + 14


def finish(
    figure: go.Figure,
    *,
    size: Size,
    title: str,
    subtitle: str,
    notes: Sequence[str],
    hover: str = "",
    inner: float,
    left: int,
    right: int = 20,
    heading: float = 0,
    legend: Sequence[str] = (),
    below: float = 0,
) -> None:
    """The common look: fonts, margins that hold the title, the legend and the notes, whatever their length.

    Args:
        figure: to change.
        size: where it goes.
        title: free text.
        subtitle: the rule and n.
        notes: what the marks mean, under the axes.
        hover: a last note, of what is read by pointing: `still` leaves it out.
        inner: height of the axes.
        left: margin.
        right: margin.
        heading: room for the headings of the uppermost panels.
        legend: its entries: the names of traces, as users wrote them. They are cut to fit, and escaped.
        below: further room under the axes' titles.
    """
    room = size.width - 24
    heads = wrapped(title, room, size.title)
    rules = wrapped(subtitle, room, size.small)
    lines = [line for note in notes for line in wrapped(note, room, size.small)]
    pointed = wrapped(hover, room, size.small)
    title_height, rules_height = _height(heads, size.title), _height(rules, size.small)
    top = 16 + title_height + rules_height + heading
    if legend:
        top += _add_legend(figure, legend, size, room=size.width - left - right, height=(heading + 4) / inner)
    under = _height(pointed, size.small)
    bottom = size.font * 3.6 + below + under + (_height(lines, size.small) + 10 if lines else 0)
    figure.update_layout(
        font={"family": FONT, "size": size.font, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        width=size.width,
        height=round(inner + top + bottom),
        # Fixed: what needs room has been measured, and a panel must not shrink for it.
        margin={"l": left, "r": right, "t": top, "b": bottom, "autoexpand": False},
        hoverlabel={"font": {"family": FONT}, "align": "left"},
    )
    figure.update_xaxes(title_font_size=size.font, tickangle=0)
    up = {"y": 1, "yanchor": "top"}
    _add_text(figure, heads, size.title, INK, left=left, shift=top - 6, **up)
    _add_text(figure, rules, size.small, MUTED, left=left, shift=top - 8 - title_height, **up)
    low = {"y": 0, "yanchor": "bottom"}
    _add_text(figure, lines, size.small, MUTED, left=left, shift=4 - bottom + under, **low)
    _add_text(figure, pointed, size.small, MUTED, left=left, shift=4 - bottom, name=_HOVER, **low)


def still(figure: go.Figure) -> dict[str, Any]:
    """The figure for paper, where nobody points at anything: without the note on it, and its room."""
    plain: dict[str, Any] = figure.to_dict()
    layout = plain["layout"]
    notes = layout.get("annotations", [])
    for note in (note for note in notes if note.get("name") == _HOVER):
        room = _height(note["text"].split("<br>"), note["font"]["size"])
        layout |= {
            "annotations": [other for other in notes if other is not note],
            "height": round(layout["height"] - room),
            "margin": {**layout["margin"], "b": layout["margin"]["b"] - room},
        }
    return plain


def _height(lines: Sequence[str], font: float) -> float:
    return 1.3 * font * len(lines)


def _add_text(
    figure: go.Figure, lines: Sequence[str], font: float, color: str, *, left: int, shift: float, **place: Any
) -> None:
    """Text at the figure's left edge: an annotation, as Plotly moves titles with the length of their text."""
    if lines:
        figure.add_annotation(
            text="<br>".join(lines),
            xref="paper",
            yref="paper",
            x=0,
            xanchor="left",
            xshift=11 - left,
            yshift=shift,
            align="left",
            showarrow=False,
            font={"size": font, "color": color},
            **place,
        )


def y_title(figure: go.Figure, text: str, size: Size, *, left: int, axes: Sequence[str] = ("y",)) -> None:
    """A title at the left of these y axes: Plotly's own is misplaced where margins are fixed."""
    for axis in axes:
        figure.add_annotation(
            text=escaped(text),
            textangle=-90,
            xref="paper",
            yref=f"{axis} domain",
            x=0,
            y=0.5,
            xanchor="left",
            yanchor="middle",
            xshift=4 - left,
            showarrow=False,
            font={"size": size.font},
        )


def _add_legend(figure: go.Figure, names: Sequence[str], size: Size, *, room: float, height: float) -> float:
    """A legend above the axes, in one line where it fits, else in columns; its height in pixels."""
    widths = [text_width(name, size.font) for name in names]
    one = sum(width + 50 for width in widths) < room
    columns = len(names) if one else max(int(room // (max(widths) + 53)), 1)
    # Columns get the width of the axes from Plotly, wherever the legend begins; entries under each other the figure's.
    most = room if columns > 1 else size.width - 12
    shown = dict(zip(names, told_apart(names, most - 60, size.font), strict=True))
    for trace in figure.data:
        trace.name = shown.get(trace.name, trace.name)
    entry = None if one else min(max(widths), most - 60) + 4
    figure.update_layout(
        legend={
            "orientation": "h",
            "xref": "container",
            "x": 6 / size.width,
            "xanchor": "left",
            "yref": "paper",
            "y": 1 + height,
            "yanchor": "bottom",
            "entrywidth": entry,
            "entrywidthmode": "pixels",
            "traceorder": "normal",
            "font": {"size": size.font},
        }
    )
    return -(-len(names) // columns) * (max(size.font * 1.3, 16) + 3.2) + 8


def decade_ticks(lrs: Sequence[float], most: int = 10) -> tuple[list[float], list[str]]:
    """Positions (log10) and labels of the decades that the learning rates span, at most so many."""
    low, high = math.floor(math.log10(min(lrs)) + 1e-9), math.ceil(math.log10(max(lrs)) - 1e-9)
    decades = list(range(low, high + 1, -(-(high - low + 1) // most)))
    return [float(d) for d in decades], [f"{10.0**d:g}" for d in decades]


def escaped(text: str) -> str:
    """Free text for a Plotly label, which understands some HTML: titles and labels are users' words."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rule_text(thresholds: Thresholds) -> str:
    """The rule of a divergence, in words."""
    return (
        f"Diverged: not finite, or skill ≤ {thresholds.skill_floor:g} with a loss that blew up or rose, after "
        "training that collapsed, or above a rate that trains."
    )
