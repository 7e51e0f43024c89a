"""Options and steps that several commands share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.errors import SpecError

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from robustness.store import Store

__all__ = [
    "DEFAULT_STORE",
    "Checkpoints",
    "DataRoot",
    "ScaleName",
    "StoreUrl",
    "StudyName",
    "late_bar",
    "open_",
    "writable",
    "writable_folder",
    "write_report_of",
]

StoreUrl = Annotated[
    str, typer.Option("--store", envvar="ROBUSTNESS_STORE", help="sqlite:///FILE or postgresql://...")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with the data sets; else ROBUSTNESS_DATA, else ~/.cache/robustness/data."
    ),
]
Checkpoints = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        help="Folder for trainings that take minutes, the same on every node; else ROBUSTNESS_CHECKPOINTS, "
        "else ~/.cache/robustness/checkpoints.",
    ),
]
StudyName = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study's name; `robustness list` shows them.")
]
ScaleName = Annotated[
    str,
    typer.Option(
        "--scale",
        metavar="smoke|small|full",
        help="Shrink data, epochs, seeds and learning rates by a stated rule, into a study of another name.",
    ),
]
DEFAULT_STORE = "sqlite:///robustness.db"
SHOW_AFTER = 2.0  # seconds


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


@contextmanager
def late_bar(what: str, total: int, count: ProgressColumn) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal, for what takes more than `SHOW_AFTER`; gone when done.

    Args:
        what: is being done.
        total: of all steps.
        count: shows how many of them are done.

    Yields:
        What to call with the number of steps done since the last call.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(bar_width=None), count, TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=total)
    began = time.monotonic()

    def advance(steps: int) -> None:
        bar.advance(task, steps)
        if bar.console.is_terminal and not bar.live.is_started and time.monotonic() - began > SHOW_AFTER:
            bar.start()

    try:
        yield advance
    finally:
        if bar.live.is_started:  # stopping one that never started prints an empty line
            bar.stop()


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
    if not path.exists():
        writable_folder(folder, option)
    elif not os.access(path, os.W_OK):
        raise SpecError.of(option, f"{path} cannot be written")


def writable_folder(folder: Path, option: str) -> None:
    """Check that a folder takes files, by a file without a name: permissions alone do not tell.

    Raises:
        SpecError: it takes none.
    """
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SpecError.of(option, f"the folder {folder} takes no file: {error.strerror}") from None
