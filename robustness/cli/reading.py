"""Commands of the read side: list, show, report. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName, open_, writable, write_report_of
from robustness.cli.wide import print_whole

__all__ = ["list_studies", "report", "show"]


def list_studies(store: StoreUrl = DEFAULT_STORE) -> None:
    """List the studies of a store."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    with open_(store) as opened:
        rows = opened.studies()
    console = Console()
    longest = max((len(row.name) for row in rows), default=0)
    room = console.width - OTHERS - longest if console.is_terminal else None
    titled = room is None or room >= LEAST_TITLE
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("study", no_wrap=True, min_width=longest)
    if titled:
        table.add_column("title", no_wrap=True, overflow="ellipsis", max_width=room)
    for header in ("complete", "running", "failed"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("updated, UTC", no_wrap=True, min_width=len("2000-01-01 00:00"))
    for row in rows:
        total = row.waiting + row.running + row.complete + row.failed
        counts = (f"{row.complete:,}/{total:,}", f"{row.running:,}", f"{row.failed:,}")
        title = [Text(row.title)] if titled else []
        table.add_row(row.name, *title, *counts, row.updated_at[:16].replace("T", " "))
    print_whole(table)


OTHERS, LEAST_TITLE = 60, 12
"""Letters beside name and title in a line, and those of a title below which it is left out."""


def show(study: StudyName, store: StoreUrl = DEFAULT_STORE) -> None:
    """Show a study: its state, an answer for each optimizer, its table."""
    from robustness.report import overview
    from robustness.summary import check_begun, load_study

    with open_(store) as opened:
        found = load_study(opened, study)
    check_begun(found)
    print(overview(found), end="")


def report(
    study: StudyName,
    store: StoreUrl = DEFAULT_STORE,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("report.html"),
    pdf: Annotated[Path | None, typer.Option(help="Print it to this file too; needs a Chromium.")] = None,
) -> None:
    """Write a study's report: one HTML file that opens offline, and on request a PDF."""
    from robustness.figures.export import browser_path
    from robustness.report import print_pdf

    writable(output)
    if pdf is not None:
        writable(pdf, "--pdf")
        browser_path("--pdf")
    with open_(store) as opened:
        write_report_of(opened, study, output)
    print(output.absolute())
    if pdf is not None:
        print_pdf(output, pdf)
        print(pdf.absolute())
