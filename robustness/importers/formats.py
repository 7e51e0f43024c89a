"""The formats by name, and the import itself."""

from __future__ import annotations

from pathlib import Path

from robustness.errors import SpecError, nearest
from robustness.importers import csv_table, deepobs, opda, step_back
from robustness.importers.runs import Advance, Format
from robustness.importers.study import Survey, survey
from robustness.store import Store

__all__ = ["FORMATS", "import_logs", "surveyed"]

FORMATS: dict[str, Format] = {
    "deepobs": deepobs.FORMAT,
    "opda": opda.FORMAT,
    "step-back": step_back.FORMAT,
    "csv": csv_table.FORMAT,
}


def surveyed(
    format_name: str,
    path: Path,
    *,
    name: str,
    title: str = "",
    model: str = "",
    advance: Advance = lambda size: None,
) -> Survey:
    """Read the files once and check everything, before any store is opened.

    Args:
        format_name: a key of `FORMATS`.
        path: a file or a folder.
        name: of the study to be.
        title: free text.
        model: that the logs are of, where they do not say so themselves (opda); empty to go by the file's name.
        advance: told of every piece that was read; in all once the size of the files.

    Raises:
        SpecError: no such format, path or model, or a file breaks a rule.
    """
    if format_name not in FORMATS:
        raise SpecError.of("FORMAT", f"no format {format_name!r:.80}; {nearest(format_name, FORMATS)}")
    format_ = _with_model(format_name, model) if model else FORMATS[format_name]
    return survey(format_, path, format_name=format_name, name=name, title=title, advance=advance)


def _with_model(format_name: str, model: str) -> Format:
    if format_name != "opda":
        raise SpecError.of(
            "--model",
            f"{format_name} names the task of each run itself; only opda takes a model, got {model!r:.80}",
        )
    return opda.format_of(model)


def import_logs(store: Store, found: Survey, *, title: str = "", advance: Advance = lambda size: None) -> int:
    """Store the study, whole or not at all; an earlier import of its name is replaced.

    Args:
        store: where to.
        found: by `surveyed`.
        title: free text.
        advance: told of every piece that was read; in all once the size of the files.

    Returns:
        How many trials.

    Raises:
        SpecError: a study of that name was run here, or a file changed since it was surveyed.
    """
    return store.import_study(
        found.name,
        title=title,
        source=found.source,
        tasks={label: task.as_dict() for label, task in found.tasks.items()},
        trials=found.trials(advance),
    )
