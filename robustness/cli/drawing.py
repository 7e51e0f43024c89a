"""The command `figures`. Torch-free."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.cli.measuring import OptimizerFilter, SeedFilter, ThresholdChanges, loaded
from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName, open_, writable_folder
from robustness.errors import SpecError, check_known

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from robustness.figures import Request
    from robustness.summary import Study

__all__ = ["figures", "safe_name"]


def figures(
    study: StudyName,
    out: Annotated[Path, typer.Option("--out", help="The folder to write to; made where it does not exist.")],
    store: StoreUrl = DEFAULT_STORE,
    formats: Annotated[
        str,
        typer.Option(
            help="Of svg, pdf, png (these need a Chromium), html and csv (the numbers), separated by commas."
        ),
    ] = "pdf",
    figure: Annotated[
        list[str] | None,
        typer.Option(
            help="One figure's name; may be repeated or a,b. All that apply by default.", metavar="NAME"
        ),
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="One task's label; all by default.")] = None,
    optimizer: OptimizerFilter = None,
    a: Annotated[str | None, typer.Option("--a", help="For pairs: an optimizer's label.")] = None,
    b: Annotated[str | None, typer.Option("--b", help="For pairs: another's.")] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="For learning curves; by default where training begins to break.",
            metavar="OPTIMIZER,LR,INIT",
        ),
    ] = None,
    size: Annotated[str, typer.Option(help="page, or column: 3.4 inch wide, for a paper.")] = "page",
    seed_filter: SeedFilter = None,
    threshold: ThresholdChanges = None,
) -> None:
    """Write a study's figures as files for a paper or a page."""
    from robustness.figures.export import IMAGES, browser_path, write_all
    from robustness.figures.gallery import FIGURES
    from robustness.figures.style import SIZES

    endings = _formats(formats)
    names = [name for text in figure or [] for name in text.split(",")]
    for name in names:
        check_known("--figure", name, FIGURES)
    check_known("--size", size, SIZES)
    for option, given, kind in (("--a", a, "pair"), ("--b", b, "pair"), ("--cell", cell, "cell")):
        if given is not None and names and all(FIGURES[name].kind != kind for name in names):
            raise SpecError.of(option, f"does not go with {', '.join(names)}")
    if set(endings) & set(IMAGES):
        browser_path("--formats")
    found = loaded(store, study, seed_filter, threshold, optimizer)
    with open_(store) as opened:
        from robustness.figures.gallery import Request, task_labels

        requests = [
            Request(study=found, task=label, a=a, b=b, cell=None, store=opened, size=SIZES[size])
            for label in task_labels(found, task or [])
        ]
        jobs = _planned(found, requests, names, cell)
        _folder(out)
        written = write_all(_jobs(jobs, out, endings), early=bool(jobs and set(endings) & set(IMAGES)))
        for path in _shown(written, len(jobs) * len(endings)):
            print(path)


def _formats(text: str) -> list[str]:
    from robustness.figures.export import FORMATS

    endings = list(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    for ending in endings:
        check_known("--formats", ending, FORMATS)
    return endings


def _folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError.of("--out", f"{out} cannot be made a folder: {error.strerror}") from None
    writable_folder(out, "--out")


def _planned(
    study: Study, requests: list[Request], names: list[str], cell: str | None
) -> list[tuple[str, Request]]:
    """What is to be drawn, checked before anything is; without names, all that applies."""
    from dataclasses import replace

    from robustness.figures.gallery import applicable, lacks, parse_cell

    planned = []
    for request in requests:
        if cell is not None:
            request = replace(request, cell=parse_cell(study, request.task, cell))
        for name in names:
            why = lacks(name, request)
            if why:
                raise SpecError.of("--figure", f"{name} cannot be drawn of {request.task!r:.80}: {why}")
        planned += [(name, request) for name in names or applicable(request)]
    return planned


def _jobs(
    planned: list[tuple[str, Request]], out: Path, endings: list[str]
) -> Iterator[tuple[go.Figure | pd.DataFrame, Path]]:
    from robustness.figures.gallery import FIGURES, info

    taken: set[str] = set()
    for name, request in planned:
        stem = f"{safe_name(request.task)}.{name}"
        while stem.lower() in taken:  # two labels can look alike once they are safe
            stem += "_"
        taken.add(stem.lower())
        numbers = info(name, request)
        drawn = FIGURES[name].draw(numbers, request.size) if set(endings) - {"csv"} else None
        for ending in endings:
            yield numbers.frame() if ending == "csv" else drawn, out / f"{stem}.{ending}"


def _shown(paths: Iterator[Path], total: int) -> Iterator[Path]:
    """The same with a progress bar where somebody watches; the paths go to stdout, for other programs."""
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    yield from track(
        paths,
        total=total,
        description="drawing",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def safe_name(label: str) -> str:
    """A label as part of a file's name: letters, digits, dot, dash, underscore; never empty, hidden or long.

    >>> safe_name("digits mlp"), safe_name("../../etc"), safe_name("a/b") == safe_name("a:b")
    ('digits-mlp', 'etc', True)
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-._")
    if len(plain) > 80 or not plain:
        plain = f"{plain[:70]}-{hashlib.sha256(label.encode()).hexdigest()[:8]}".strip("-")
    return plain
