"""Which axis decides: one bar an optimizer, its parts the shares of variance that axes and pairs explain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from robustness.figures import style
from robustness.figures.style import Size
from robustness.summary import Study
from robustness.summary.flags import Flag, Remark
from robustness.summary.importance import MOST, Importance, Of, designs, importances
from robustness.wording.remarks import note

__all__ = ["Bar", "ImportanceInfo", "draw_importance", "importance_info", "is_slow", "lacking"]

SMALL = 0.03
"""A term with a smaller share in every bar of the figure is part of the rest."""
REST = "rest"
_NAMES = {
    "optimizer": "optimizer",
    "lr": "learning rate",
    "init": "initialization",
    "seed": "seed",
    "order": "data order",
}
_SHORT = {"optimizer": "opt", "lr": "lr", "init": "init"}
# Fills by lightness first and pattern second, so that a grey printer keeps them apart.
_FILLS = {
    "lr": ("#14233f", ""),
    "init": ("#6d8fb8", ""),
    "optimizer": ("#9cbfae", ""),
    "seed": ("#e8dcc0", ""),
    "order": ("#c9b88f", ""),
    "init x lr": ("#dfe7f1", "/"),
    "optimizer x lr": ("#dceae3", "\\"),
    "optimizer x init": ("#dceae3", "-"),
    "seed x lr": ("#f4eedf", "x"),
    "seed x init": ("#f4eedf", "|"),
    "optimizer x seed": ("#f4eedf", "+"),
    REST: ("#ffffff", ""),
}
_OTHERS = (("#3f5f55", ""), ("#b7c0cb", "."), ("#8a8f98", "/"), ("#d8b98a", ""), ("#efe6f3", "x"))
"""Of settings that only imported studies have."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """The shares of one optimizer, or of all.

    Attributes:
        optimizer: its label; None over all.
        of: what is explained.
        shares: of each of the figure's terms, in their order, the rest last; summing to 1; empty where there are none.
        trials: behind it.
        is_sampled: by a forest, of single axes; the rest is then pairs and noise too.
        why: why there are none.
    """

    optimizer: str | None
    of: Of
    shares: tuple[float, ...]
    trials: int
    is_sampled: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class ImportanceInfo:
    """The numbers of one task: the terms, as `lr x init`, and two bars an optimizer."""

    title: str
    subtitle: str
    terms: tuple[str, ...]
    bars: tuple[Bar, ...]
    score_name: str
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row a bar and term: optimizer (empty over all), of what, the term, its share of the variance, trials."""
        return pd.DataFrame(
            [
                {
                    "optimizer": bar.optimizer or "",
                    "of": bar.of,
                    "term": term,
                    "share": share,
                    "trials": bar.trials,
                }
                for bar in self.bars
                for term, share in zip(self.terms, bar.shares, strict=bool(bar.shares))
            ],
            columns=["optimizer", "of", "term", "share", "trials"],
        )


def lacking(study: Study, task: str) -> str:
    """Why this task has no importance at all; empty where one has. Fits nothing."""
    found = list(designs(study, study.grid.of_task(task)))
    if not found:
        return "no trial is complete"
    if any(design.varies(of) for design in found for of in design.values):
        return ""
    whys = [design.why for design in found if design.why is not None and design.optimizer]
    return note(whys[:1] or [Remark(Flag.ALL_VALUES_EQUAL)])


def is_slow(study: Study, task: str) -> bool:
    """Whether some of it needs a forest."""
    return any(design.is_sampled for design in designs(study, study.grid.of_task(task)))


def importance_info(study: Study, task: str) -> ImportanceInfo:
    """The shares of one task; a forest of a random design takes seconds.

    Args:
        study: for the labels, and the settings of a random design.
        task: its label.
    """
    own = list(importances(study, study.grid.of_task(task)))
    # An optimizer's bars first, those over all below them; a bar that cannot be is not drawn empty.
    own = [found for found in own if found.design.optimizer] + [
        found for found in own if not found.design.optimizer and not found.design.why
    ]
    terms, small = _terms(own)
    bars = tuple(_bar(found, terms) for found in own)
    facts = study.facts[task]
    return ImportanceInfo(
        title=f"Which axis decides: {task}",
        subtitle="Share of the variance between trials that each axis, and each pair beyond its axes, explains. "
        + _counts(own),
        terms=(*terms, REST),
        bars=bars,
        score_name=facts.score_name,
        notes=tuple(_notes(own, small)),
    )


def _terms(own: Sequence[Importance]) -> tuple[list[str], list[str]]:
    """The terms that have a part of their own, and those that are small everywhere."""
    largest: dict[str, float] = {}
    for found in own:
        for name, share in found.shares.items():
            if name != REST:
                largest[name] = max(share, largest.get(name, 0.0))
    known = [name for name in _FILLS if name in largest]
    order = known + [name for name in largest if name not in _FILLS]
    return [name for name in order if largest[name] >= SMALL], [
        name for name in order if largest[name] < SMALL
    ]


def _bar(found: Importance, terms: Sequence[str]) -> Bar:
    shares = [found.shares.get(name, 0.0) for name in terms]
    return Bar(
        optimizer=found.design.optimizer,
        of=found.of,
        shares=(*shares, max(1 - math.fsum(shares), 0.0)) if found.shares else (),
        trials=found.design.trials,
        is_sampled=bool(found.shares) and not found.design.axes,
        why="" if found.shares else note(found.remarks),
    )


def _counts(own: Sequence[Importance]) -> str:
    each = [found.design for found in own if found.design.optimizer]
    if not each:
        return "Nothing is complete yet."
    trials, seeds = (
        _span(sorted({getattr(design, name) for design in each})) for name in ("trials", "seeds")
    )
    drawn = all(design.seeds == design.trials for design in each)
    return f"n = {trials} trials an optimizer" + (
        "." if drawn else f", {seeds} seed{'' if seeds == '1' else 's'}."
    )


def _span(values: Sequence[int]) -> str:
    return f"{values[0]:,}" + (f" to {values[-1]:,}" if values[1:] else "")


def _notes(own: Sequence[Importance], small: Sequence[str]) -> list[str]:
    together = any(_together(found) for found in own if found.shares and found.design.axes)
    inside = ["three or more axes together"] if together else []
    if small:
        names = [_words(name) for name in small if " x " not in name]
        names += ["pairs without a pattern of their own"] if len(names) < len(small) else []
        inside.append(f"what is below {100 * SMALL:g} % in every bar ({', '.join(names)})")
    sampled = any(found.shares and not found.design.axes for found in own)
    if sampled:
        inside.append("in bars with *, pairs and noise")
    optimizers = {found.design.optimizer for found in own}
    texts = [
        f"Rest: {'; '.join(inside)}." if inside else "",
        "A trial that did not train scores as chance.",
        f"*: not a full grid, so the shares of single axes are a random forest's estimates (fANOVA, of {MOST:,} trials "
        "at most)."
        if sampled
        else "",
        "No bar over all optimizers: they have no common full grid."
        if len(optimizers) > 1 and None not in optimizers
        else "",
    ]
    return [" ".join(text for text in texts if text)]


def _together(found: Importance) -> bool:
    """Whether three axes vary."""
    return len([size for size in found.design.values[found.of].shape if size > 1]) > 2


def _words(term: str, *, short: bool = False) -> str:
    """A term as readers see it: `init x lr` is "learning rate × initialization", short "lr × init"."""
    parts = term.split(" x ")
    if not all(part in _NAMES for part in parts):
        return term
    names = [name for name in _NAMES if name in parts]
    return " × ".join(_SHORT.get(name, name) if short else _NAMES[name] for name in names)


def draw_importance(info: ImportanceInfo, size: Size = style.PAGE) -> go.Figure:
    """Draw it: the score and divergence side by side on a page, one above the other in a column."""
    short = size.name == "column"
    names = list(dict.fromkeys(bar.optimizer for bar in info.bars))
    labels = [_label(name, info) for name in names]
    left = style.left_margin(labels, size)
    figure, inner = _panels(info, len(names), size)
    room = (size.width - left - 24) * (1.0 if short else 0.46)
    fills = _fills(info.terms)
    for place, term in enumerate(info.terms):
        for panel, of in enumerate(("score", "divergence")):
            part = _part(
                [bar for bar in info.bars if bar.of == of],
                place,
                _words(term),
                fills[term],
                names,
                room,
                size,
            )
            part.update(
                name=_words(term, short=short),
                legendgroup=term,
                showlegend=panel == 0,
            )
            figure.add_trace(part, row=panel + 1 if short else 1, col=1 if short else panel + 1)
    _add_reasons(figure, info, names, size, room)
    figure.update_yaxes(
        range=[_height(names, len(names) - 1) + 0.55, -0.55],
        tickvals=[_height(names, place) for place in range(len(names))],
        ticktext=[style.fitted(label, left - 10, size.font) for label in labels],
        **{**style.AXIS, "showgrid": False, "ticks": "", "ticklen": 0},
    )
    used = [name for name in _SHORT if any(name in term.split(" x ") for term in info.terms)]
    meaning = "; ".join(f"{_SHORT[name]}: {_NAMES[name]}" for name in used)
    style.finish(
        figure,
        size=size,
        title=info.title,
        subtitle=info.subtitle,
        notes=[f"{meaning}.", *info.notes] if short and used else info.notes,
        inner=inner,
        left=left,
        right=24,
        heading=size.font * 1.6,
        legend=[_words(term, short=short) for term in info.terms],
    )
    return figure


def _panels(info: ImportanceInfo, bars: int, size: Size) -> tuple[go.Figure, float]:
    """Two empty panels, and the height of both."""
    short = size.name == "column"
    each = (bars + 0.4) * (17 if short else 26)
    gap = size.font * 2.2
    inner = 2 * each + gap if short else each
    figure = make_subplots(
        rows=2 if short else 1,
        cols=1 if short else 2,
        shared_xaxes=short,
        shared_yaxes=not short,
        subplot_titles=[f"score ({info.score_name})", "divergence (1 or 0)"],
        horizontal_spacing=0 if short else 0.08,
        vertical_spacing=gap / inner if short else 0,
    )
    figure.update_annotations(font_size=size.font * 1.08)
    figure.update_layout(barmode="stack")
    figure.update_xaxes(**{**style.AXIS, "showgrid": False}, range=[0, 1.004], tickformat=".0%", dtick=0.25)
    figure.update_xaxes(title="share of variance", title_standoff=4, row=2 if short else 1)
    return figure, inner


def _height(names: Sequence[str | None], place: int) -> float:
    """Where a bar lies, downwards; the one over all stands apart."""
    return place + (0.35 if names and names[place] is None else 0.0)


def _label(optimizer: str | None, info: ImportanceInfo) -> str:
    if optimizer is None:
        return "all optimizers"
    sampled = any(bar.is_sampled for bar in info.bars if bar.optimizer == optimizer)
    return f"{optimizer}{' *' if sampled else ''}"


def _fills(terms: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    others = [term for term in terms if term not in _FILLS]
    return _FILLS | {term: _OTHERS[place % len(_OTHERS)] for place, term in enumerate(others)}


def _part(
    bars: Sequence[Bar],
    place: int,
    words: str,
    fill: tuple[str, str],
    names: Sequence[str | None],
    room: float,
    size: Size,
) -> go.Bar:
    """One term's part of every bar of a panel, with its percentage where it fits."""
    color, pattern = fill
    told = [bar for bar in bars if bar.shares]
    shares = [bar.shares[place] for bar in told]
    of = "the score" if bars and bars[0].of == "score" else "divergence"
    return go.Bar(
        x=shares or [math.nan],
        y=[_height(names, names.index(bar.optimizer)) for bar in told] or [math.nan],
        orientation="h",
        width=0.72,
        marker={
            "color": color,
            "line": {"color": style.MUTED, "width": 0.6},
            "pattern": {
                "shape": pattern,
                "fgcolor": "#7c8694",
                "bgcolor": color,
                "size": 6 if size.name == "page" else 4,
                "solidity": 0.2,
            },
        },
        text=[_percent(share, room, size) for share in shares] or None,
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="none",
        textfont={"size": size.small, "color": "white" if _is_dark(color) else style.INK},
        hovertext=[
            f"{style.fitted(bar.optimizer or 'all optimizers', 500, 13)}<br>{style.fitted(words, 500, 13)}: "
            f"{100 * share:.1f} % of the variance of {of}<br>n = {bar.trials:,} trials"
            for bar, share in zip(told, shares, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _percent(share: float, room: float, size: Size) -> str:
    text = f"{100 * share:.0f} %"
    return text if share * room > style.text_width(text, size.small) + 4 else ""


def _is_dark(color: str) -> bool:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 110


def _add_reasons(
    figure: go.Figure, info: ImportanceInfo, names: Sequence[str | None], size: Size, room: float
) -> None:
    """Where a bar has no shares, why."""
    for bar in info.bars:
        if bar.why:
            axis = "" if bar.of == "score" else "2"
            figure.add_annotation(
                text=f"<i>{style.fitted(bar.why, room, size.small)}</i>",
                xref=f"x{axis}",
                yref=f"y{axis}",
                x=0.01,
                y=_height(names, names.index(bar.optimizer)),
                xanchor="left",
                showarrow=False,
                font={"size": size.small, "color": style.MUTED},
            )
