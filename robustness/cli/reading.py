"""Commands of the read side: list, show, report, export. Torch-free."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from robustness.cli.options import DEFAULT_STORE, StoreUrl, StudyName, open_, writable, write_report_of

__all__ = ["export", "list_studies", "report", "show"]


class ExportFormat(StrEnum):
    """Formats of `robustness export`."""

    PARQUET = "parquet"
    CSV = "csv"


def list_studies(store: StoreUrl = DEFAULT_STORE) -> None:
    """List the studies of a store."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    with open_(store) as opened:
        rows = opened.studies()
    console = Console()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("study", no_wrap=True)
    table.add_column(
        "title",
        no_wrap=True,
        overflow="ellipsis",
        max_width=max(console.width - 60 - max((len(row.name) for row in rows), default=0), 12),
    )
    for header in ("complete", "running", "failed"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("updated, UTC", no_wrap=True)
    for row in rows:
        total = row.waiting + row.running + row.complete + row.failed
        counts = (f"{row.complete:,}/{total:,}", f"{row.running:,}", f"{row.failed:,}")
        table.add_row(row.name, Text(row.title), *counts, row.updated_at[:16].replace("T", " "))
    console.print(table)


def show(study: StudyName, store: StoreUrl = DEFAULT_STORE) -> None:
    """Show a study: its state, an answer for each optimizer, its table."""
    from robustness.report import answer
    from robustness.summary import load_study
    from robustness.tables import standard_table, write_markdown

    with open_(store) as opened:
        found = load_study(opened, study)
    print(f"{found.title or found.name}\n{found.question}\n")
    counts = ", ".join(f"{n:,} {state}" for state, n in found.counts.items() if n)
    print(f"{len(found.trials):,} trials: {counts or 'none'}\n")
    print("\n".join(answer(found)), end="\n\n")
    print(write_markdown(standard_table(found)), end="")


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


def export(
    study: StudyName,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    store: StoreUrl = DEFAULT_STORE,
    format_: Annotated[ExportFormat, typer.Option("--format")] = ExportFormat.PARQUET,
    epochs: Annotated[
        bool, typer.Option("--epochs", help="One row an epoch instead of one a trial.")
    ] = False,
) -> None:
    """Export a study's trials, or their epochs, with everything recorded."""
    from robustness.summary.frame import epoch_frame, load_study, trial_frame
    from robustness.tables.csv import defuse

    writable(output)
    with open_(store) as opened:
        frame = epoch_frame(opened, study) if epochs else trial_frame(opened, load_study(opened, study))
    if format_ is ExportFormat.PARQUET:
        frame.to_parquet(output, index=False)
    else:
        for column in ("task", "optimizer", "init"):
            frame[column] = frame[column].map(defuse)
        frame.to_csv(output, index=False, lineterminator="\n")
    print(f"{len(frame):,} rows in {output}")
