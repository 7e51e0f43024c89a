"""The command `audit`. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustness.cli.measuring import loaded
from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName

if TYPE_CHECKING:
    from rich.console import Console

    from robustness.summary.audit import Addition, AgainstDefault
    from robustness.summary.audit_rows import (
        Budget,
        Labels,
        RowEdges,
        Selection,
        Square,
        VaryingSetting,
    )

__all__ = ["audit"]

NAMED = 8
"""Squares and rows that a section names; --json has all."""
_COLORS = {"ok": "green", "look": "yellow", "bad": "red"}
_INDENT = 6


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line under a section: a label and its cells, below a heading; without cells a sentence."""

    heading: str
    label: str
    cells: tuple[str, ...] = ()


def audit(
    study: StudyName,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check a study as its reviewer would: budgets, missing squares, edges, defaults, selection, labels."""
    from rich.console import Console

    from robustness.summary.audit import audit_info
    from robustness.wording.audit import SECTIONS, audit_as_json, section_text

    info = audit_info(loaded(store, study))
    if as_json:
        print(json.dumps(audit_as_json(info), indent=1, ensure_ascii=False, allow_nan=False))
        return
    console = Console(highlight=False, markup=False)
    console.print(f"{info.study}: {info.title}" if info.title else info.study)
    for name in SECTIONS:
        section = getattr(info, name)
        if section is not None:
            text = f"{_TITLES.get(name, name)}: {section_text(info, name)}"
            _print_section(console, section.verdict, text, _HEADERS[name], list(_LINES[name](section.rows)))


_TITLES = {"missing": "missing squares"}
_HEADERS: dict[str, tuple[str, ...]] = {
    "budgets": ("trials", "complete", "missing", "failed", "inits", "rates", "seeds"),
    "missing": ("learning rate", "complete", "seeds"),
    "edges": ("tuned", "edge", "window beyond"),
    "defaults": ("tuned", "score", "at default", "tuned less default"),
    "selection": ("data", "seeds"),
    "labels": ("labels", "own seed", "other seeds", "loss rise", "chaotic", "gaps"),
    "settings": ("values",),
    "additions": ("trials",),
}


def _named(lines: list[_Line], what: str) -> list[_Line]:
    more = len(lines) - NAMED
    if more <= 0:
        return lines
    rest = f"and {more:,} more {what}{'' if more == 1 else 's'}"
    return [*lines[:NAMED], _Line(heading=lines[NAMED - 1].heading, label=rest)]


def _budgets(rows: Sequence[Budget]) -> Iterator[_Line]:
    for row in rows:
        rates = f"{row.fewest_lrs:,}" + (f" to {row.most_lrs:,}" if row.most_lrs > row.fewest_lrs else "")
        counts = (row.trials, row.complete, row.missing, row.failed, row.inits)
        yield _Line(
            heading=row.task,
            label=row.optimizer,
            cells=(
                *(f"{count:,}" for count in counts),
                f"{rates} drawn" if row.drawn else rates,
                f"{row.seeds:,}",
            ),
        )


def _missing(rows: Sequence[Square]) -> list[_Line]:
    lines = [
        _Line(
            heading=row.task,
            label=f"{row.optimizer}, {row.init}",
            cells=(f"{row.lr:.3g}", f"{row.complete:,}", f"{row.seeds:,}"),
        )
        for row in rows
    ]
    return _named(lines, "square")


def _edges(rows: Sequence[RowEdges]) -> list[_Line]:
    lines = []
    for row in rows:
        cells: tuple[str, ...] = ()
        if not row.trains:
            cells = ("nothing trains", "", "")
        elif not row.mostly:
            cells = ("most do not train", "", "")
        elif row.tuned or row.is_censored:
            ends = [text for text in (row.window, "a missing square" if row.cut else "") if text]
            cells = (f"{row.tuned_lr:.3g}", row.tuned, " and ".join(ends))
        if cells:
            lines.append(_Line(heading=row.task, label=f"{row.optimizer}, {row.init}", cells=cells))
    return _named(lines, "row")


def _defaults(rows: Sequence[AgainstDefault]) -> Iterator[_Line]:
    for row in rows:
        yield _Line(
            heading=f"{row.optimizer} on {row.task}: {_default(row)}",
            label=row.init,
            cells=(
                f"{row.tuned_lr:.3g}" if math.isfinite(row.tuned_lr) else "",
                _score(row.tuned_score),
                _score(row.default_score),
                _gain(row),
            ),
        )


def _default(row: AgainstDefault) -> str:
    if math.isnan(row.default_lr):
        return "no default learning rate is known"
    if math.isnan(row.tried_lr):
        return f"default {row.default_lr:g} is not among the learning rates"
    same = math.isclose(row.tried_lr, row.default_lr, rel_tol=1e-5)
    return f"default {row.default_lr:g}" + ("" if same else f", nearest {row.tried_lr:.3g}")


def _gain(row: AgainstDefault) -> str:
    if math.isfinite(row.gain):
        interval = f"[{row.low:+.3f}, {row.high:+.3f}]" if math.isfinite(row.low) else "no interval"
        return f"{row.gain:+.3f} {interval}"
    if math.isnan(row.tuned_lr):
        return "nothing trains"
    return "" if math.isnan(row.tried_lr) else "no trial at the default"


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _labels(rows: Sequence[Labels]) -> Iterator[_Line]:
    for row in rows:
        odd = sum(len(gap.seeds) for gap in row.gaps)
        bases = row.changeable
        counts = (row.complete, bases.own_seed, bases.other_seeds, bases.loss_rise, row.chaotic)
        gap_count = f"{odd:,} of {row.seed_rows:,}" if row.seed_rows else "none"
        cells = (*(f"{count:,}" for count in counts), gap_count)
        yield _Line(heading=row.task, label=row.optimizer, cells=cells)
    gaps = [gap for row in rows for gap in row.gaps]
    heading = "a learning rate trains above one that does not:"
    yield from _named(
        [
            _Line(
                heading=heading,
                label=f"{gap.optimizer} on {gap.task}, {gap.init}: "
                f"seed{'' if len(gap.seeds) == 1 else 's'} {', '.join(map(str, gap.seeds))}",
            )
            for gap in gaps
        ],
        "row",
    )


def _selection(rows: Sequence[Selection]) -> Iterator[_Line]:
    for row in rows:
        yield _Line(heading="", label=row.task, cells=(row.data, f"{row.seeds:,}"))


def _settings(rows: Sequence[VaryingSetting]) -> Iterator[_Line]:
    for row in rows:
        heading = f"{row.optimizer} on {row.task}, {'inside rows' if row.inside else 'between labels'}"
        yield _Line(heading=heading, label=row.setting, cells=(f"{row.values:,}",))


def _additions(rows: Sequence[Addition]) -> Iterator[_Line]:
    for row in rows:
        heading = f"{row.optimizer} on {row.task}"
        yield _Line(heading=heading, label=row.reason, cells=(f"{row.trials:,}",))


_LINES: dict[str, Callable[[Any], Iterable[_Line]]] = {
    "budgets": _budgets,
    "missing": _missing,
    "edges": _edges,
    "defaults": _defaults,
    "selection": _selection,
    "labels": _labels,
    "settings": _settings,
    "additions": _additions,
}


def _print_section(
    console: Console, verdict: str, text: str, headers: Sequence[str], lines: Sequence[_Line]
) -> None:
    """The verdict and its sentences, then the lines, their cells under each other."""
    from rich.cells import cell_len
    from rich.text import Text

    first, *more = _folded(console, text, console.width - _INDENT)
    label_of_verdict = (verdict.ljust(_INDENT), f"bold {_COLORS[verdict]}")
    console.print()
    console.print(Text.assemble(label_of_verdict, first))
    _print_lines(console, more, _INDENT)
    rows = [(line.label, *line.cells) for line in lines if line.cells]
    label, *widths = (
        max(cell_len(text) for text in column) for column in zip(("", *headers), *rows, strict=True)
    )
    label = min(label, max(console.width - _INDENT - 2 - sum(width + 2 for width in widths), 10))
    if rows:
        _print_lines(console, _aligned([""], headers, label, widths), _INDENT + 2)
    heading = ""
    for line in lines:
        if line.heading != heading:
            heading = line.heading
            _print_lines(console, _folded(console, heading, console.width - _INDENT), _INDENT)
        room = label if line.cells else console.width - _INDENT - 2
        folded = _folded(console, line.label, room)
        _print_lines(console, _aligned(folded, line.cells, label, widths), _INDENT + 2)


def _folded(console: Console, text: str, room: int) -> list[str]:
    from rich.text import Text

    return [part.plain.rstrip() for part in Text(text).wrap(console, max(room, 10))] or [""]


def _aligned(label: Sequence[str], cells: Sequence[str], width: int, widths: Sequence[int]) -> list[str]:
    """The lines of a label, cells at the end of the first, right-aligned."""
    from rich.cells import cell_len, set_cell_size

    if not cells:
        return list(label)
    texts = [" " * (size - cell_len(cell)) + cell for size, cell in zip(widths, cells, strict=True)]
    return ["  ".join([set_cell_size(label[0], width), *texts]).rstrip(), *label[1:]]


def _print_lines(console: Console, lines: Sequence[str], indent: int) -> None:
    for line in lines:
        console.print(" " * indent + line, soft_wrap=True)
