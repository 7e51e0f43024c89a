"""One style for all figures: serif, colour-blind-safe, readable in grey and at a paper's column width."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from robustness.summary import Thresholds

__all__ = [
    "CONFIG",
    "DASHES",
    "INK",
    "MARK",
    "MISSING",
    "MUTED",
    "OPTIMIZER_COLORS",
    "RATE_SCALE",
    "SCORE_SCALE",
    "SYMBOLS",
    "apply",
    "caption",
    "decade_ticks",
    "escaped",
    "rule_text",
]

FONT = "Liberation Serif, Times New Roman, Times, serif"
INK = "#1f2328"
MUTED = "#6b7280"
MARK = "#c8102e"  # the tuned learning rate; a frame, so it needs no colour to be seen
MISSING = "#ececec"

# One hue from light to dark: the order survives a grey printer.
RATE_SCALE = [[0.0, "#ffffff"], [0.02, "#e3eaf2"], [0.5, "#6d8fb8"], [1.0, "#14233f"]]
SCORE_SCALE = [[0.0, "#f4f1e8"], [0.5, "#9cbfae"], [1.0, "#1f5f57"]]

# Okabe and Ito's palette, with dashes and symbols that tell the lines apart without colour.
OPTIMIZER_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")

CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
"""For write_html: plotly.js 4 shows an upload button unless told not to."""


def apply(figure: go.Figure, *, title: str, width: int, height: int, left: int, bottom: int) -> None:
    """The common look: fonts, margins, title at the left."""
    figure.update_layout(
        title={
            "text": escaped(title),
            "x": 0.0,
            "xref": "container",
            "xanchor": "left",
            "y": 1.0,
            "yref": "container",
            "yanchor": "top",
            "pad": {"l": 12, "t": 16},
        },
        title_font_size=17,
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        width=width,
        height=height,
        margin={"l": left, "r": 20, "t": 62, "b": bottom},
    )


def caption(figure: go.Figure, lines: Sequence[str], *, bottom: int) -> None:
    """Lines of small text under the axes, the last one at the lower edge."""
    figure.add_annotation(
        text="<br>".join(lines),
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        xanchor="left",
        yanchor="top",
        yshift=-(bottom - 17 * len(lines) - 6),
        align="left",
        showarrow=False,
        font={"size": 12, "color": MUTED},
    )


def decade_ticks(lrs: Sequence[float]) -> tuple[list[float], list[str]]:
    """Positions (log10) and labels of the decades that the learning rates span."""
    low, high = math.floor(math.log10(min(lrs)) + 1e-9), math.ceil(math.log10(max(lrs)) - 1e-9)
    decades = list(range(low, high + 1))
    return [float(d) for d in decades], [f"{10.0**d:g}" for d in decades]


def escaped(text: str) -> str:
    """Free text for a Plotly label, which understands some HTML: titles and labels are users' words."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rule_text(thresholds: Thresholds) -> str:
    """The rule of a divergence, in words."""
    return (
        f"Diverged: not finite, or skill ≤ {thresholds.skill_floor:g} with a loss that blew up, rose, or fell back "
        "from training, or above a rate that trains."
    )
