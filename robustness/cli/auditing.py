"""The command `audit`. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustness.cli.measuring import loaded
from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName

if TYPE_CHECKING:
    from rich.console import Console

    from robustness.summary.audit import AuditInfo, Section
    from robustness.summary.audit_rows import AgainstDefault, Labels, Square
    from robustness.summary.checks import Budget, RowEdges

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


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A section as it is printed."""

    name: str
    verdict: str
    says: str
    headers: tuple[str, ...]
    lines: list[_Line]


def audit(
    study: StudyName,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check a study as its reviewer would: budgets, missing squares, edges, defaults, selection, labels."""
    from rich.console import Console

    from robustness.summary.audit import audit_info

    info = audit_info(loaded(store, study))
    if as_json:
        print(json.dumps(info.as_json(), indent=1, ensure_ascii=False, allow_nan=False))
        return
    console = Console(highlight=False, markup=False)
    console.print(f"{info.study}: {info.title}" if info.title else info.study)
    for part in _parts(info):
        _print_part(console, part)


def _parts(info: AuditInfo) -> Iterator[_Part]:
    """The sections in the order in which a reviewer asks."""
    listed: list[tuple[str, Section[Any], tuple[str, ...]]] = [
        ("budgets", info.budgets, ("trials", "complete", "missing", "failed", "inits", "rates", "seeds")),
        ("missing squares", info.missing, ("learning rate", "complete", "seeds")),
        ("edges", info.edges, ("tuned", "edge", "window beyond")),
        ("defaults", info.defaults, ("tuned", "score", "at default", "tuned less default")),
        ("selection", info.selection, ("data", "seeds")),
        (
            "labels",
            info.labels,
            ("labels", "by own seed", "by other seeds", "by loss rise", "chaotic", "gaps"),
        ),
    ]
    lines = (
        _budgets(info.budgets.rows),
        _named(list(_missing(info.missing.rows)), "square"),
        _named(list(_edges(info.edges.rows)), "row"),
        _defaults(info.defaults.rows),
        [
            _Line(heading="", label=row.task, cells=(row.data, f"{row.seeds:,}"))
            for row in info.selection.rows
        ],
        _labels(info.labels.rows),
    )
    for (name, section, headers), own in zip(listed, lines, strict=True):
        yield _Part(name=name, verdict=section.verdict, says=section.says, headers=headers, lines=list(own))
    if info.settings is not None:
        varying = [
            _Line(
                heading=f"{row.optimizer} on {row.task}, {'inside rows' if row.inside else 'between labels'}",
                label=row.setting,
                cells=(f"{row.values:,}",),
            )
            for row in info.settings.rows
        ]
        says, verdict = info.settings.says, info.settings.verdict
        yield _Part(name="settings", verdict=verdict, says=says, headers=("values",), lines=varying)
    if info.additions is not None:
        added = [
            _Line(heading=f"{row.optimizer} on {row.task}", label=row.reason, cells=(f"{row.trials:,}",))
            for row in info.additions.rows
        ]
        says, verdict = info.additions.says, info.additions.verdict
        yield _Part(name="additions", verdict=verdict, says=says, headers=("trials",), lines=added)


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


def _missing(rows: Sequence[Square]) -> Iterator[_Line]:
    for row in rows:
        cells = (f"{row.lr:.3g}", f"{row.complete:,}", f"{row.seeds:,}")
        yield _Line(heading=row.task, label=f"{row.optimizer}, {row.init}", cells=cells)


def _edges(rows: Sequence[RowEdges]) -> Iterator[_Line]:
    for row in rows:
        label = f"{row.optimizer}, {row.init}"
        if not row.trains:
            yield _Line(heading=row.task, label=label, cells=("nothing trains", "", ""))
        elif not row.mostly:
            yield _Line(heading=row.task, label=label, cells=("most do not train", "", ""))
        elif row.tuned or row.window or row.cut:
            window = " and ".join(
                text for text in (row.window, "a missing square" if row.cut else "") if text
            )
            yield _Line(heading=row.task, label=label, cells=(f"{row.tuned_lr:.3g}", row.tuned, window))


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
        told = f"{odd:,} of {row.seed_rows:,}" if row.seed_rows else "drawn"
        cells = (*(f"{count:,}" for count in counts), told)
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


def _print_part(console: Console, part: _Part) -> None:
    """The verdict and the sentence, then the lines, their cells under each other."""
    from rich.cells import cell_len
    from rich.text import Text

    first, *rest = _folded(console, f"{part.name}: {part.says}.", console.width - _INDENT)
    verdict = (part.verdict.ljust(_INDENT), f"bold {_COLORS[part.verdict]}")
    console.print()
    console.print(Text.assemble(verdict, first))
    _print_lines(console, rest, _INDENT)
    rows = [(line.label, *line.cells) for line in part.lines if line.cells]
    label, *widths = (
        max(cell_len(text) for text in column) for column in zip(("", *part.headers), *rows, strict=True)
    )
    label = min(label, max(console.width - _INDENT - 2 - sum(width + 2 for width in widths), 14))
    if rows:
        _print_lines(console, _aligned([""], part.headers, label, widths), _INDENT + 2)
    heading = ""
    for line in part.lines:
        if line.heading != heading:
            heading = line.heading
            _print_lines(console, _folded(console, heading, console.width - _INDENT), _INDENT)
        room = label if line.cells else console.width - _INDENT - 2
        folded = _folded(console, line.label, room)
        _print_lines(console, _aligned(folded, line.cells, label, widths), _INDENT + 2)


def _folded(console: Console, text: str, room: int) -> list[str]:
    from rich.text import Text

    return [part.plain.rstrip() for part in Text(text).wrap(console, max(room, 14))] or [""]


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
