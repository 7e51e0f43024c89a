"""CSV tables of anybody's: one row a run, or one row an epoch where there is a column `epoch`.

| column | meaning |
|---|---|
| optimizer, lr | required; the label of the optimizer, and the learning rate |
| test_accuracy, test_loss | at least one of them is required, of the last epoch too; accuracies are shares in [0, 1] |
| task, init | labels; `task` and `default` where missing |
| seed | a whole number; where missing, runs of a cell are numbered from 0 |
| epoch | from 1; a row of epoch 0 holds the losses from before training. Rows of a run stand together |
| train_loss, validation_loss, validation_accuracy | nan and inf are figures, an empty field is none |
| l0 | training loss before the first step |
| nonfinite, first_nonfinite_step | the run left the finite numbers (true or false), and in which step, from 1; also where a figure is nan or inf |
| seconds | of the run, or of the epoch |
| chance, constant_loss, reference, test_size, budget, score | of the task, the same in all of its rows |

A `reference` is a score: an accuracy, or minus a loss where `score` is `loss`; there `constant_loss` says what chance is.

Other columns are kept; those that hold numbers are hyperparameters to the summaries, and part of the optimizer's label
where the table is a grid over them: see `grid_columns`. A table with `seed_index` is our
own export, of trials or of epochs, whose trials that are not complete are left out; see `exported`.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robustness.errors import SpecError
from robustness.importers import exported
from robustness.importers.grid_columns import grid_columns
from robustness.importers.reading import MAX_LABEL, checked_label, learning_rate, lines, share, whole
from robustness.importers.runs import Advance, Format, Run, epoch_row, until_death
from robustness.trial import EpochRecord, ImportedTask

__all__ = ["COLUMNS", "FORMAT"]

ACCURACIES = ("validation_accuracy", "test_accuracy")
LOSSES = ("train_loss", "validation_loss", "test_loss")
TASK_FIELDS = ("chance", "constant_loss", "reference", "test_size", "budget", "score")
RUN_FIELDS = ("task", "optimizer", "init", "lr", "seed", "l0", "nonfinite", "first_nonfinite_step")
COLUMNS = (*RUN_FIELDS, "epoch", *LOSSES, *ACCURACIES, "seconds", *TASK_FIELDS)
REQUIRED = ("optimizer", "lr")
MAX_FIELD = 100_000  # csv itself refuses fields beyond 131,072 characters
TRUTH = {"": False, **dict.fromkeys(("false", "no", "0"), False), **dict.fromkeys(("true", "yes", "1"), True)}


class Row(NamedTuple):
    """Where a row is (`table.csv, line 7`) and its fields, without those that are empty.

    `own` are those that only our exports have, None where this is none.
    """

    where: str
    fields: dict[str, str]
    own: dict[str, str] | None = None


def _files(path: Path) -> list[Path]:
    if not path.is_file():
        raise SpecError.of(str(path), "must be a .csv file, not a folder")
    return [path]


# -- rows ------------------------------------------------------------------------------------------


def _rows(file: Path, name: str, advance: Advance) -> Iterator[Row]:
    reader = csv.reader(_text(file, name, advance), strict=True)
    header = _checked_header(next(_fields(reader, name), (1, []))[1], name)
    for at, fields in _fields(reader, name):
        where = f"{name}, line {at}"
        if len(fields) != len(header):
            raise SpecError.of(where, f"has {len(fields)} fields, the header has {len(header)}")
        told = {column: field for column, field in zip(header, fields, strict=True) if field}
        if not exported.is_export(header):
            yield Row(where, told)
        elif not exported.is_unfinished(told):
            yield Row(where, *exported.parted(told))


def _text(file: Path, name: str, advance: Advance) -> Iterator[str]:
    for at, line in lines(file, name):
        advance(len(line))
        try:
            yield line.decode("utf-8-sig" if at == 1 else "utf-8")
        except UnicodeDecodeError:
            raise SpecError.of(f"{name}, line {at}", "is not UTF-8") from None


def _fields(reader: Any, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, with the number of its last line."""
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise SpecError.of(f"{name}, line {reader.line_num}", f"is not valid CSV: {error}") from None
        if fields is None:
            return
        if any(len(field) > MAX_FIELD for field in fields):
            raise SpecError.of(f"{name}, line {reader.line_num}", f"a field is longer than {MAX_FIELD:,}")
        stripped = [field.strip() for field in fields]
        if any(stripped):
            yield reader.line_num, stripped


def _checked_header(header: Sequence[str], name: str) -> Sequence[str]:
    where = f"{name}, line 1"
    if not header:
        raise SpecError.of(name, "is empty: its first line must name the columns")
    for i, column in enumerate(header):
        checked_label(column, where, f"column {i + 1}")
        if column in header[:i]:
            raise SpecError.of(where, f"column {column!r} comes twice")
    lacking = [f"column {column!r} is missing" for column in REQUIRED if column not in header]
    if not {"test_accuracy", "test_loss"} & set(header):
        lacking.append("one of the columns 'test_accuracy' and 'test_loss' is required")
    if lacking:
        found = ", ".join(header)
        raise SpecError.of(
            where, "; ".join([f"{'; '.join(lacking)} (found: {found:.300})", *_misspelt(header)])
        )
    return header


def _misspelt(header: Sequence[str]) -> list[str]:
    notes = []
    free = [column for column in COLUMNS if column not in header]
    for column in header:
        close = difflib.get_close_matches(column[:80].lower(), free, n=1, cutoff=0.75)
        if column not in COLUMNS and close:
            notes.append(f"column {column!r} is not known and kept as it is; did you mean {close[0]!r}?")
    return notes


# -- values ----------------------------------------------------------------------------------------


def _number(row: Row, column: str) -> float:
    """A number, NaN where the field is empty.

    Raises:
        SpecError: it is no number, or beyond a float64.
    """
    where, text = row.where, row.fields.get(column, "")
    if not text:
        return math.nan
    try:
        value = float(text.replace("_", "?"))  # Python's own digit grouping is no number in a table
    except ValueError:
        raise SpecError.of(where, f"{column} must be a number, got {text!r:.80}") from None
    if math.isinf(value) and "inf" not in text.lower():
        raise SpecError.of(where, f"{column} is beyond what a float64 holds: {text:.30}")
    return value


def _whole(row: Row, column: str, low: int, high: int = 2**31 - 1) -> int | None:
    value = _number(row, column)
    if column not in row.fields:
        return None
    return whole(value, row.where, column, low=low, high=high)


def _finite(row: Row, column: str) -> float | None:
    value = _number(row, column)
    if column in row.fields and not math.isfinite(value):
        raise SpecError.of(row.where, f"{column} must be finite, got {row.fields[column]:.80}")
    return None if math.isnan(value) else value


def _truth(row: Row, column: str) -> bool:
    text = row.fields.get(column, "").lower()
    if text not in TRUTH:
        raise SpecError.of(row.where, f"{column} must be true or false, got {text!r:.80}")
    return TRUTH[text]


def _said_nonfinite(row: Row, column: str) -> bool:
    return column in row.fields and not math.isfinite(_number(row, column))


# -- runs ------------------------------------------------------------------------------------------


def _cell(row: Row) -> tuple[str, str, str, float, int | None]:
    where, fields = row.where, row.fields
    task, optimizer, init = (
        checked_label(fields.get(column, default), where, column)
        for column, default in (("task", "task"), ("optimizer", ""), ("init", "default"))
    )
    lr = learning_rate(_number(row, "lr") if "lr" in fields else None, where)
    return task, optimizer, init, lr, _whole(row, "seed", 0)


def _runs(file: Path, name: str, advance: Advance) -> Iterator[Run]:
    numbered = itertools.count(1)
    for cell, rows in itertools.groupby(_rows(file, name, advance), key=_cell):
        for run in _split(rows):
            yield _run(run, cell, name, str(next(numbered)))


def _split(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows of one run each: without epochs one, with epochs as long as these grow."""
    run: list[Row] = []
    last = -1
    for row in rows:
        epoch = _whole(row, "epoch", 0)
        if run and (epoch is None or epoch <= last):
            yield run
            run = []
        run.append(row)
        last = -1 if epoch is None else epoch
    if run:
        yield run


def _run(rows: Sequence[Row], cell: tuple[str, str, str, float, int | None], name: str, item: str) -> Run:
    task, optimizer, init, lr, seed = cell
    before = [row for row in rows if _whole(row, "epoch", 0) == 0]
    during = [row for row in rows if _whole(row, "epoch", 0) != 0]
    if not during:
        raise SpecError.of(rows[0].where, "the run has no row from after training: epochs count from 1")
    epochs = [_epoch(row) for row in during]
    dead = [_said_nonfinite(row, "train_loss") for row in during]
    nonfinite = any(_truth(row, "nonfinite") for row in rows) or any(
        _said_nonfinite(row, column) for row in rows for column in (*LOSSES, *ACCURACIES, "l0")
    )
    step = _one(rows, "first_nonfinite_step", lambda row, column: _whole(row, column, 1, 2**63 - 1))
    if not (nonfinite or step or {"test_accuracy", "test_loss"} & during[-1].fields.keys()):
        raise SpecError.of(
            during[-1].where,
            "test_accuracy and test_loss are empty: a run that is not known to have left the finite numbers needs one",
        )
    start = _one(rows, "l0", _number)
    if start is None and before:
        start = _number(before[0], "train_loss")
    return Run(
        file=name,
        item=item,
        task=task,
        optimizer=optimizer,
        settings=_unknown(rows, numeric=True),
        init=init,
        lr=lr,
        seed=seed,
        facts={
            "where": rows[0].where,
            "words": {
                column: text
                for column, text in _unknown(rows, numeric=False).items()
                if isinstance(text, str) and len(text) <= MAX_LABEL
            },
            "accuracy": any("test_accuracy" in row.fields for row in rows),
            "unknown": _misspelt(list(dict.fromkeys(key for row in rows for key in row.fields))),
            **{column: _one(rows, column, _task_field) for column in TASK_FIELDS},
        },
        l0=math.nan if start is None else start,
        nonfinite=nonfinite or step is not None,
        first_nonfinite_step=step,
        epochs=until_death(epochs, dead),
        **_own(rows[0]),
        rest=_unknown(rows, numeric=False),
    )


def _epoch(row: Row) -> EpochRecord:
    figures = {column: _number(row, column) for column in (*LOSSES, *ACCURACIES, "seconds")}
    for column in ACCURACIES:
        share(figures[column], row.where, column)
    if row.own is None:
        return epoch_row(_whole(row, "epoch", 0) or 1, train_loss_max=figures["train_loss"], **figures)
    own = Row(row.where, row.own)
    each = "epoch" in row.fields
    return epoch_row(
        _whole(row, "epoch", 0) or _whole(own, "epochs", 1) or 1,
        train_loss_max=_number(own, "train_loss_max" if each else "max_train_loss"),
        **figures,
        **{column: _number(own, column) for column in exported.EPOCH_FIGURES},
    )


def _own(row: Row) -> dict[str, Any]:
    """The fields of a run that only our exports tell."""
    own = Row(row.where, row.own or {})
    return {
        "stopped": _truth(own, "stopped"),
        "reason": own.fields.get("reason", ""),
        "figures": {
            column: _number(own, column) for column in exported.FINAL_FIGURES if column in own.fields
        },
    }


def _one(rows: Sequence[Row], column: str, read: Callable[[Row, str], Any]) -> Any:
    """What the rows that have the column agree on; None where none has it."""
    found = [(row, read(row, column)) for row in rows if column in row.fields]
    for row, value in found:
        if row.fields[column] != found[0][0].fields[column]:
            raise SpecError.of(
                row.where, f"{column} must be the same in all rows of the run, got {value!r:.80}"
            )
    return found[0][1] if found else None


def _unknown(rows: Sequence[Row], *, numeric: bool) -> dict[str, Any]:
    """Columns that are not ours: those with one number in all rows, or the others, as text or a list of it."""
    columns = dict.fromkeys(key for row in rows for key in row.fields if key not in COLUMNS)
    found: dict[str, Any] = {}
    for column in columns:
        texts = [row.fields.get(column, "") for row in rows]
        number = _plain_number(texts[0]) if len(set(texts)) == 1 else None
        if numeric and number is not None:
            found[column] = number
        elif not numeric and number is None:
            found[column] = texts[0] if len(set(texts)) == 1 else texts
    return found


def _plain_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


# -- tasks -----------------------------------------------------------------------------------------


def _task_field(row: Row, column: str) -> Any:
    if column == "budget":
        return checked_label(row.fields[column], row.where, column)
    if column == "score":
        if row.fields[column] not in ("accuracy", "loss"):
            raise SpecError.of(row.where, f"score must be accuracy or loss, got {row.fields[column]!r:.80}")
        return row.fields[column]
    if column == "test_size":
        return _whole(row, column, 1)
    value = _finite(row, column)
    return value if value is None or column != "chance" else share(value, row.where, column)


def _tasks(heads: Sequence[Run]) -> dict[str, ImportedTask]:
    found = {}
    for label in dict.fromkeys(head.task for head in heads):
        facts = [head.facts for head in heads if head.task == label]
        told: dict[str, Any] = {}
        for fact in facts:
            for column in TASK_FIELDS:
                value = fact[column]
                if value is not None and told.setdefault(column, value) != value:
                    raise SpecError.of(
                        fact["where"],
                        f"{column} of task {label!r} is {value!r:.80} here and {told[column]!r:.80} before",
                    )
        told.setdefault("score", "accuracy" if any(fact["accuracy"] for fact in facts) else "loss")
        for field, rule in _broken(told).items():
            where = next(fact["where"] for fact in facts if fact[field] is not None)
            raise SpecError.of(where, f"{field} of task {label!r} {rule}, got {told[field]!r:.80}")
        found[label] = ImportedTask(**told, note="facts: as the table has them")
    return found


def _broken(told: dict[str, Any]) -> dict[str, str]:
    """The field and the rule where skill, (score - chance) / (reference - chance), would not be defined."""
    chance, reference = told.get("chance"), told.get("reference")
    constant = told.get("constant_loss")
    if told["score"] == "loss":
        if chance is not None:
            return {"chance": "must be absent where score is loss: constant_loss says what chance is"}
        if constant is not None and reference is not None and reference <= -constant:
            return {"reference": f"must be > {-constant!r}, minus constant_loss (a score is minus the loss)"}
        return {}
    if chance == 1:
        return {"chance": "must be < 1"}
    if reference is not None and not (chance or 0.0) < reference <= 1:
        return {"reference": f"must be > {chance or 0.0!r}, chance, and <= 1"}
    return {}


def _notes(heads: Sequence[Run], path: Path) -> list[str]:
    unknown = list(dict.fromkeys(note for head in heads for note in head.facts["unknown"]))
    return [*unknown, *exported.left_out(path)]


FORMAT = Format(files=_files, runs=_runs, tasks=_tasks, notes=_notes, label_fields=grid_columns)
