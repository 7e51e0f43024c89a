"""The command `plan`. Torch-free."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.cli.measuring import DeltaText, loaded
from robustness.cli.options import DEFAULT_STORE, ScaleName, StoreUrl
from robustness.cli.wide import print_whole
from robustness.errors import SpecError, nearest
from robustness.phrases import counted

if TYPE_CHECKING:
    from robustness.spec import Space
    from robustness.summary import Delta, Study
    from robustness.summary.comparison.planning import PlanRow, Spread

__all__ = ["plan"]


def plan(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A study file: TOML, YAML or JSON.")],
    metric: Annotated[str | None, typer.Option(metavar="ID", help="Instead of the claim's.")] = None,
    a: Annotated[
        str | None, typer.Option("--a", help="An optimizer's label, instead of the claim's.")
    ] = None,
    b: Annotated[str | None, typer.Option("--b", help="What it is compared with.")] = None,
    pilot: Annotated[
        str | None, typer.Option(metavar="STUDY", help="A study in the store whose spread to plan with.")
    ] = None,
    delta: DeltaText = "5%",
    store: StoreUrl = DEFAULT_STORE,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Override a field: search.seeds=20."),
    ] = None,
    scale: ScaleName = "full",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say what a study will be able to tell with its seeds, before it runs; nothing is written."""
    from robustness.catalog import data_root
    from robustness.cli.running import checked
    from robustness.summary import Delta
    from robustness.summary.comparison.planning import plan_rows, plausible, unit_of

    width = Delta.parse(delta)
    study, space = checked(spec, set_ or [], None, scale, data_root())
    if metric is None and study.claim is None:
        raise SpecError.of("--metric", "is required, since the study names no claim")
    name = metric or (study.claim.metric if study.claim else "")
    _check_plan(space, name, (a, b))
    a, b = a or (study.claim.a if study.claim else None), b or (study.claim.b if study.claim else None)
    spreads, notes = plausible(name), list[str]()
    if pilot is not None:
        if a is None or b is None:
            raise SpecError.of("--pilot", "needs --a and --b, since the study names no claim")
        found, notes = _pilot_spreads(loaded(store, pilot), a, b, name, width)
        spreads = found or spreads
    tests = len(space.tasks)
    rows = plan_rows(space.seeds, spreads, tests)
    if as_json:
        _print_json(study.name, space, (a, b, name), spreads, rows, notes)
        return
    against = f"{a} against {b}, " if a and b else ""
    print(
        f"{study.name}: {counted(space.cell_count, 'cell')}, {counted(space.trial_count, 'trial')}, "
        f"{counted(space.seeds, 'seed')}, {counted(tests, 'task')}"
    )
    print(f"Planned for {against}{name}, compared over paired seeds at 5 %{_holm(tests)}.")
    print(
        "\n".join(
            ["The test is t over the seeds; a difference within half a step of the grid is not told.", *notes]
        )
    )
    _print_plan(rows, spreads, unit_of(name), space.seeds)


def _check_plan(space: Space, metric: str, labels: tuple[str | None, str | None]) -> None:
    from robustness.summary.comparison.comparing import check_comparable

    check_comparable(metric)
    known = [optimizer.label for optimizer, _ in space.optimizers]
    if labels[0] is not None and labels[0] == labels[1]:
        raise SpecError.of("--b", f"must be another optimizer than --a, got {labels[0]!r:.80} twice")
    for option, label in zip(("--a", "--b"), labels, strict=True):
        if label is not None and label not in known:
            raise SpecError.of(option, f"there is no optimizer {label!r:.80}; {nearest(label, known)}")


def _pilot_spreads(study: Study, a: str, b: str, metric: str, width: Delta) -> tuple[list[Spread], list[str]]:
    """The observed spread of each task of a pilot; where there is none, a note that says so."""
    from robustness.summary.comparison.comparing import compare_all
    from robustness.summary.comparison.planning import Spread

    found = [row for row in compare_all(study, a, b, [metric], delta=width) if row.sd > 0]
    spreads = [Spread(sd=row.sd, source=f"{row.task}, {row.n} seeds") for row in found]
    if not spreads:
        return [], [f"{study.name} shows no spread between seeds: plausible ones stand for it."]
    few = min(row.n for row in found)
    return spreads, [f"Spreads are those of {study.name}; from {few} seeds they are themselves uncertain."]


def _holm(tests: int) -> str:
    return f", with Holm's correction over {tests} tasks" if tests > 1 else ""


def _print_plan(rows: list[PlanRow], spreads: list[Spread], unit: str, seeds: int) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from robustness.wording.comparisons import amount, number

    print("\nDifference told with 80 % power, by the standard deviation of paired differences between seeds:")
    table = Table(box=box.SIMPLE_HEAD)
    marked = [f"{row.seeds:,}{' (this study)' if row.seeds == seeds else ''}" for row in rows]
    table.add_column("seeds", justify="right", no_wrap=True, min_width=max(map(len, marked)))
    for spread in spreads:
        source = "" if spread.source == "assumed" else f"\n{spread.source}"
        header = f"sd {amount(spread.sd, unit)}{source}"
        table.add_column(Text(header), justify="right", min_width=max(map(len, header.split())))
    for row, of in zip(rows, marked, strict=True):
        told = [number(value, unit) if math.isfinite(value) else "none" for value in row.detectable]
        table.add_row(of, *told)
    print_whole(table)


def _print_json(
    name: str,
    space: Space,
    asked: tuple[str | None, str | None, str],
    spreads: list[Spread],
    rows: list[PlanRow],
    notes: list[str],
) -> None:
    from robustness.summary.comparison.planning import unit_of

    a, b, metric = asked
    told = [
        {
            "seeds": row.seeds,
            "detectable": [value if math.isfinite(value) else None for value in row.detectable],
        }
        for row in rows
    ]
    plain = {
        "study": name,
        "cells": space.cell_count,
        "trials": space.trial_count,
        "seeds": space.seeds,
        "tests": len(space.tasks),
        "metric": metric,
        "a": a,
        "b": b,
        "unit": unit_of(metric),
        "spreads": [asdict(spread) for spread in spreads],
        "plan": told,
        "notes": notes,
    }
    print(json.dumps(plain, indent=1, ensure_ascii=False))
