"""Command `export`: a study's trials as a table, or studies as a journal for optuna-dashboard. Torch-free."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.cli.options import DEFAULT_STORE, StoreUrl, late_bar, open_, writable
from robustness.errors import SpecError, nearest, writing
from robustness.phrases import counted
from robustness.spreadsheets import defuse

if TYPE_CHECKING:
    import pandas as pd

    from robustness.store import Store
    from robustness.summary import Study

__all__ = ["export"]

OPTUNA = "optuna"


class ExportFormat(StrEnum):
    """Formats of `robustness export STUDY`."""

    PARQUET = "parquet"
    CSV = "csv"


def export(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name; or optuna, before a PATH.")],
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="After optuna: the journal file to make.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write a study's trials to.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="For a file without a suffix; else its suffix says it."),
    ] = None,
    epochs: Annotated[
        bool, typer.Option("--epochs", help="One row an epoch instead of one a trial.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="A,B", help="These columns of a study's trials; all by default."),
    ] = None,
    studies: Annotated[
        list[str] | None, typer.Option("--study", help="After optuna: this study only; may be repeated.")
    ] = None,
) -> None:
    """Export a study's trials, or their epochs, with everything recorded; or studies to optuna-dashboard."""
    if path is not None:
        if study != OPTUNA:
            raise SpecError.of("PATH", f"goes with optuna alone: 'robustness export {OPTUNA} {path}'")
        options = {"--epochs": epochs, "--columns": columns, "--output": output, "--format": format_}
        for option, given in options.items():
            if given:
                raise SpecError.of(option, f"does not go with {OPTUNA}")
        _journal(store, path, studies)
        return
    if studies:
        raise SpecError.of("--study", f"goes with optuna alone: 'robustness export {OPTUNA} PATH'")
    if output is None:
        what = "is required; or a PATH, to export to optuna-dashboard" if study == OPTUNA else "is required"
        raise SpecError.of("--output", what)
    _table(store, study, output, _format(output, format_), columns, epochs=epochs)


def _format(output: Path, named: ExportFormat | None) -> ExportFormat:
    """What the file's name says, which readers of the file go by."""
    suffix = output.suffix.lower()
    if not suffix and named is None:
        raise SpecError.of(
            "--output", f"must end with .parquet or .csv, got {output.name!r:.80}; or name --format"
        )
    if suffix and suffix[1:] not in list(ExportFormat):
        raise SpecError.of("--output", f"must end with .parquet or .csv, got {output.name!r:.80}")
    if suffix and named not in (None, suffix[1:]):
        raise SpecError.of("--format", f"{named} does not go with {output.name!r:.80}")
    return named or ExportFormat(suffix[1:])


def _table(
    store: str, study: str, output: Path, format_: ExportFormat, columns: str | None, *, epochs: bool
) -> None:
    from robustness.summary.study import load_study

    writable(output)
    with open_(store) as opened:
        frame = _frame(opened, load_study(opened, study), epochs=epochs)
    if columns is not None:
        names = [name.strip() for name in columns.split(",")]
        for name in names:
            if name not in frame:
                raise SpecError.of(
                    "--columns",
                    f"there is no column {name!r:.80}; {nearest(name, [str(known) for known in frame.columns])}",
                )
        frame = frame[list(dict.fromkeys(names))]
    with writing(output):
        if format_ is ExportFormat.PARQUET:
            frame.to_parquet(output, index=False, compression="zstd")
        else:
            for column in frame.columns.intersection(["task", "optimizer", "init"]):
                frame[column] = frame[column].map(defuse)
            frame.to_csv(output, index=False, lineterminator="\n")
    print(f"{counted(len(frame), 'row')} in {output}")


_RUN = ("reason", "l0", "nonfinite", "stopped", "first_nonfinite_step")
"""What a row an epoch has of its trial."""


_FACTS = {
    **{name: name for name in ("chance", "constant_loss", "reference", "test_size")},
    "score_of": "score",
}
"""Columns of a task's facts, by their names in `TaskFacts`."""


def _frame(store: Store, study: Study, *, epochs: bool) -> pd.DataFrame:
    """All that is recorded, and what the rule needs of each task: `robustness import csv` makes the study of it again."""
    from robustness.summary.study import epoch_frame, trial_frame
    from robustness.summary.tasks import task_facts

    frame = trial_frame(store, study)
    flags = ["nonfinite", "stopped"]
    frame[flags] = frame[flags].astype("boolean")
    drawn = study.settings[study.settings.columns.difference(frame.columns, sort=False)]
    frame = frame.join(drawn)
    if epochs:
        each = epoch_frame(store, study.name)
        kept = frame.set_index("key")[[*_RUN, *drawn.columns]]
        frame = each.join(kept, on="key")
    facts = {label: task_facts(task) for label, task in study.tasks.items()}
    for column, name in _FACTS.items():
        frame[column] = frame["task"].map({label: getattr(known, name) for label, known in facts.items()})
    frame["budget"] = frame["task"].map({label: study.budget(label) for label in study.tasks})
    return frame


def _journal(store: str, path: Path, studies: list[str] | None) -> None:
    from rich.progress import MofNCompleteColumn

    writable(path, "PATH")
    if path.exists():
        raise SpecError.of("PATH", f"{path} exists, and a journal is only ever appended to; name a new file")
    with open_(store) as opened:
        known = {row.name: row.waiting + row.running + row.complete + row.failed for row in opened.studies()}
        names = list(dict.fromkeys(studies or known))
        for name in names:
            opened.study(name)  # a name that is wrong is said before the work
        from robustness.exporters import write_journal

        total = sum(known[name] for name in names)
        with late_bar("exporting", total, MofNCompleteColumn()) as advance:
            counts = write_journal(opened, path, names, advance)
    trials = sum(counts.values())
    print(
        f"{counted(trials, 'trial')} of {counted(len(counts), 'Optuna study', 'Optuna studies')} in {path}; "
        f"'optuna-dashboard {path}' opens it"
    )
