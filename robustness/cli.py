"""The command line. Heavy imports stay inside commands: `--help` must answer at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.bench.commands import bench
from robustness.errors import RobustnessError, SpecError

if TYPE_CHECKING:
    from robustness.spec import Grid, StudySpec
    from robustness.store import Store

__all__ = ["app", "main"]

app = typer.Typer(
    name="robustness",
    help="Hyperparameter-robustness studies of deep-learning optimizers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StoreUrl = Annotated[
    str, typer.Option("--store", envvar="ROBUSTNESS_STORE", help="sqlite:///FILE or postgresql://...")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with the data sets; else ROBUSTNESS_DATA, else ~/.cache/robustness/data."
    ),
]
StudyName = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study's name; `robustness list` shows them.")
]
DEFAULT_STORE = "sqlite:///robustness.db"


class TableFormat(StrEnum):
    """Formats of `robustness table`."""

    LATEX = "latex"
    MARKDOWN = "markdown"
    CSV = "csv"
    HTML = "html"


class ExportFormat(StrEnum):
    """Formats of `robustness export`."""

    PARQUET = "parquet"
    CSV = "csv"


@app.command()
def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A study file: TOML, YAML or JSON.")],
    store: StoreUrl = DEFAULT_STORE,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Override a field: search.seeds=3."),
    ] = None,
    data: DataRoot = None,
    pack: Annotated[
        str | None,
        typer.Option(help="The most trials trained as one model, instead of the study's; 1 packs nothing."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; else RAY_ADDRESS, else this machine.")
    ] = None,
    max_failures: Annotated[
        int, typer.Option(min=0, help="How often a trial whose execution fails is tried again.")
    ] = 2,
    max_cells: Annotated[
        int | None, typer.Option(min=1, help="Refuse larger studies; 100,000 by default.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write report.html here when done.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a study: every trial that the store does not have complete."""
    from robustness.catalog import data_root

    packing = [] if pack is None else [f"resources.pack={pack}"]
    study, grid = _checked(spec, [*(set_ or []), *packing], max_cells)
    root = data_root(data)
    _require_parts(grid, root)
    if report is not None:
        _writable(report)
    with _open(store, create=True) as opened:
        from robustness.sweep.runner import run_study

        summary = run_study(
            opened,
            study,
            grid,
            root=root,
            address=address,
            max_failures=max_failures,
            quiet=as_json,
        )
        if report is not None:
            _write_report(opened, study.name, report)
    if as_json:
        print(json.dumps(asdict(summary)))
    else:
        print(
            f"{summary.study}: {summary.complete:,} of {summary.trials:,} trials complete "
            f"({summary.reused:,} were), {summary.failed:,} failed"
        )
        if report is not None:
            print(f"report: {report.absolute()}")
    if summary.complete < summary.trials:
        raise typer.Exit(1)


@app.command("list")
def list_studies(store: StoreUrl = DEFAULT_STORE) -> None:
    """List the studies of a store."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    with _open(store) as opened:
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


@app.command()
def show(study: StudyName, store: StoreUrl = DEFAULT_STORE) -> None:
    """Show a study: its state, an answer for each optimizer, its table."""
    from robustness.report import answer, summary_rng
    from robustness.summary import cell_table, load_study, row_table
    from robustness.tables import tuned_table, write_markdown

    with _open(store) as opened:
        found = load_study(opened, study)
    print(f"{found.title or found.name}\n{found.question}\n")
    counts = ", ".join(f"{n:,} {state}" for state, n in found.counts.items() if n)
    print(f"{len(found.trials):,} trials: {counts or 'none'}\n")
    print("\n".join(answer(found)), end="\n\n")
    cells = cell_table(found.trials, found.complete)
    print(write_markdown(tuned_table(found, row_table(found.complete, cells, summary_rng()))), end="")


@app.command()
def table(
    study: StudyName,
    store: StoreUrl = DEFAULT_STORE,
    format_: Annotated[
        TableFormat, typer.Option("--format", help="csv has a row for each cell.")
    ] = TableFormat.MARKDOWN,
) -> None:
    """Print a study's table."""
    from robustness import tables
    from robustness.report import summary_rng
    from robustness.summary import cell_table, load_study, row_table

    with _open(store) as opened:
        found = load_study(opened, study)
    cells = cell_table(found.trials, found.complete)
    if format_ is TableFormat.CSV:
        print(tables.write_csv(cells), end="")
        return
    layout = tables.tuned_table(found, row_table(found.complete, cells, summary_rng()))
    writers = {
        TableFormat.LATEX: tables.write_latex,
        TableFormat.MARKDOWN: tables.write_markdown,
        TableFormat.HTML: tables.write_html,
    }
    print(writers[format_](layout), end="")


@app.command()
def report(
    study: StudyName,
    store: StoreUrl = DEFAULT_STORE,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("report.html"),
) -> None:
    """Write a study's report: one HTML file that opens offline."""
    _writable(output)
    with _open(store) as opened:
        _write_report(opened, study, output)
    print(output.absolute())


@app.command()
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

    _writable(output)
    with _open(store) as opened:
        frame = epoch_frame(opened, study) if epochs else trial_frame(opened, load_study(opened, study))
    if format_ is ExportFormat.PARQUET:
        frame.to_parquet(output, index=False)
    else:
        for column in ("task", "optimizer", "init"):
            frame[column] = frame[column].map(defuse)
        frame.to_csv(output, index=False, lineterminator="\n")
    print(f"{len(frame):,} rows in {output}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a study file."""
    from robustness.spec import json_schema

    print(json.dumps(json_schema(), indent=2))


@app.command()
def catalog(
    name: Annotated[str | None, typer.Argument(help="One entry, with its arguments.")] = None,
) -> None:
    """Show what a study can name: data sets, models, initializations, optimizers, with defaults."""
    from robustness import catalog as found

    registries = (found.OPTIMIZERS, found.DATASETS, found.MODELS, found.INITS)
    names = [entry.name for registry in registries for entry in registry]
    if name is not None and name not in names:
        from robustness.errors import nearest

        raise SpecError.of("catalog", f"there is no {name!r}; {nearest(name, names)}")
    for registry in registries:
        entries = [entry for entry in registry if name in (None, entry.name)]
        if entries:
            print(f"{registry.kind}s")
        for entry in entries:
            source = f" [{entry.source}]" if entry.source else ""
            print(f"  {entry.name}: {entry.summary}{source}")
            for argument in entry.arguments:
                default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
                print(f"      {argument.name} = {json.dumps(default)}: {argument.doc} ({argument.rule})")
    if name is None:
        print("task fields")
        for argument in found.TASK_FIELDS:
            print(f"      {argument.name} = {json.dumps(argument.default)}: {argument.doc} ({argument.rule})")


@app.command("data")
def get_data(
    name: Annotated[str, typer.Argument(help="A data set: fashion-mnist, cifar10, cifar100.")],
    root: Annotated[Path | None, typer.Option("--root", help="Where to; ROBUSTNESS_DATA by default.")] = None,
) -> None:
    """Get a data set: the only command that downloads anything."""
    from robustness.catalog import DATASETS, data_root
    from robustness.tasks.download import download

    try:
        entry = DATASETS.get(name)
    except ValueError as error:
        raise SpecError.of("data", str(error)) from None
    where = data_root(root)
    print(download(entry, where))


app.add_typer(bench, name="bench")


# -- what the commands share -----------------------------------------------------------------------


def _checked(path: Path, assignments: Sequence[str], max_cells: int | None) -> tuple[StudySpec, Grid]:
    from robustness.spec import expand, override, parse, read_file

    plain = read_file(path)
    for assignment in assignments:
        plain = override(plain, assignment)
    study = parse(plain)
    return study, expand(study, max_cells=max_cells)


def _require_parts(grid: Grid, root: Path) -> None:
    """What a study names must be on this machine: data sets, and packages of optimizers."""
    from robustness.catalog import DATASETS, OPTIMIZERS

    for task in grid.tasks:
        DATASETS.get(task.config.data.name).require(root)
    for optimizer, _ in grid.optimizers:
        OPTIMIZERS.get(optimizer.config.name).require()


def _open(url: str, *, create: bool = False) -> Store:
    from robustness.store import open_store

    return open_store(url, create=create)


def _write_report(store: Store, name: str, path: Path) -> None:
    from robustness.report import write_report
    from robustness.summary import load_study

    write_report(load_study(store, name), path)


def _writable(path: Path) -> None:
    """Check that a file can be written there, before any work.

    Raises:
        SpecError: no such folder, a folder itself, or not permitted.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise SpecError.of("--output", f"the folder {folder} does not exist")
    if path.is_dir():
        raise SpecError.of("--output", f"{path} is a folder; name a file in it")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise SpecError.of("--output", f"{path} cannot be written")


def main() -> None:
    """Run the command line; a user's mistake is a message, never a traceback."""
    try:
        app()
    except RobustnessError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
