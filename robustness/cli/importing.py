"""Command `import`: other people's logs as a study. Torch-free."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.cli.options import DEFAULT_STORE, StoreUrl, late_bar, open_
from robustness.phrases import counted

if TYPE_CHECKING:
    from robustness.importers.runs import Advance

__all__ = ["import_"]


def import_(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="deepobs, opda, step-back or csv.")],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The logs as they were published: a file or a folder.")
    ],
    name: Annotated[str, typer.Option("--name", help="The name of the study that they become.")],
    store: StoreUrl = DEFAULT_STORE,
    title: Annotated[str, typer.Option("--title", help="Free text.")] = "",
    model: Annotated[
        str,
        typer.Option(
            "--model", help="Of opda, the model that a file of another name than the published is of."
        ),
    ] = "",
) -> None:
    """Import other people's logs as a study; an earlier import of that name is replaced."""
    from robustness.importers import import_logs, surveyed
    from robustness.summary import load_study
    from robustness.wording.warnings import assumed_fact_warnings

    with _progress(path) as advance:
        # All mistakes are found before the store is opened, which would make one where there is none.
        found = surveyed(format_, path, name=name, title=title, model=model, advance=advance)
        with open_(store, create=True) as opened:
            count = import_logs(opened, found, title=title, advance=advance)
            stand_ins = assumed_fact_warnings(load_study(opened, name))
    for note in [*found.source["notes"], *stand_ins]:
        print(f"note: {note}", file=sys.stderr)
    print(f"{counted(count, 'trial')} of {counted(len(found.tasks), 'task')} in study {name}")


@contextmanager
def _progress(path: Path) -> Iterator[Advance]:
    """In bytes, as they are read twice."""
    from rich.progress import DownloadColumn

    with late_bar("reading", 2 * _size(path), DownloadColumn()) as advance:
        yield advance


def _size(path: Path) -> int:
    try:
        files = path.rglob("*.json*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())
    except OSError:  # the import itself will say what is wrong
        return 0
