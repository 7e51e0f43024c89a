"""Options and steps that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.errors import SpecError

if TYPE_CHECKING:
    from robustness.store import Store

__all__ = ["DEFAULT_STORE", "DataRoot", "StoreUrl", "StudyName", "open_", "writable", "write_report_of"]

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


def open_(url: str, *, create: bool = False) -> Store:
    """The store at a URL."""
    from robustness.store import open_store

    return open_store(url, create=create)


@contextmanager
def _steps() -> Iterator[Callable[[str, int], None]]:
    """A bar on the terminal for what takes seconds; gone when done."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda what, steps: bar.update(task, description=what, total=steps, advance=1)


def write_report_of(store: Store, name: str, path: Path) -> None:
    """Write the report of a study in an open store."""
    from robustness.report import write_report
    from robustness.summary import load_study

    with _steps() as on_step:
        write_report(load_study(store, name), path, store, on_step)


def writable(path: Path, option: str = "--output") -> None:
    """Check that a file can be written there, before any work.

    Raises:
        SpecError: no such folder, a folder itself, or not permitted.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise SpecError.of(option, f"the folder {folder} does not exist")
    if path.is_dir():
        raise SpecError.of(option, f"{path} is a folder; name a file in it")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise SpecError.of(option, f"{path} cannot be written")
