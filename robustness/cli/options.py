"""Options and steps that several commands share."""

from __future__ import annotations

import os
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


def write_report_of(store: Store, name: str, path: Path) -> None:
    """Write the report of a study in an open store."""
    from robustness.report import write_report
    from robustness.summary import load_study

    write_report(load_study(store, name), path)


def writable(path: Path) -> None:
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
