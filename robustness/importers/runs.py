"""One run of somebody else's log, as every format hands it over, and how such a run ends."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

from robustness.trial import EpochRecord, ImportedTask

__all__ = ["Advance", "Format", "Run", "epoch_row", "until_death"]


_FIGURES = tuple(each.name for each in fields(EpochRecord) if each.name != "epoch")


class Advance(Protocol):
    """Told of every piece of a file that has been read."""

    def __call__(self, size: int, /) -> None:
        """`size` bytes were read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training run of a log.

    Attributes:
        file: its file, relative to what is imported.
        item: which run of the file; empty where a file is a run.
        task: label of its task.
        optimizer: name of its optimizer.
        arguments: of the optimizer, the learning rate apart.
        settings: what else may vary between runs: batch size, weight decay.
        lr: learning rate, as the log has it.
        seed: as the log has it; None where it has none.
        init: label of its initialization.
        facts: what the log tells of the task, for the format's `tasks`.
        l0: mean training loss before the first step.
        nonfinite: the log shows, or says, a loss that is not finite.
        first_nonfinite_step: 1-based, where the log tells it exactly.
        epochs: one row an epoch, the one in which the run died the last.
        stopped: its study ended it for its loss.
        reason: why its sampler added it; empty where it was designed.
        figures: final ones that the log tells and `epochs` do not show.
        rest: fields of the log that nothing here reads.
    """

    file: str
    item: str = ""
    task: str
    optimizer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    lr: float
    seed: int | None = None
    init: str = "default"
    facts: Mapping[str, Any] = field(default_factory=dict)
    l0: float = math.nan
    nonfinite: bool = False
    first_nonfinite_step: int | None = None
    epochs: tuple[EpochRecord, ...] = ()
    stopped: bool = False
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Format:
    """What the importer has to know of a format.

    Attributes:
        files: the files of the format under a path, sorted; raises SpecError where there are none.
        runs: the runs of a file, given its relative name, one after another.
        tasks: the tasks of all runs, which come without epochs here.
        notes: what a reader of the study should know, given the runs and the path.
        task_settings: names of settings that belong to the task, its budget above all: where they vary between runs
            of a task, these are tasks of their own.
        label_fields: of each optimizer's name, the arguments and settings by which its runs are told apart.
    """

    files: FilesUnder
    runs: RunsOf
    tasks: TasksOf
    notes: NotesOf
    task_settings: tuple[str, ...] = ()
    label_fields: LabelFieldsOf


class FilesUnder(Protocol):
    """See `Format.files`."""

    def __call__(self, path: Path, /) -> list[Path]:
        """The files, sorted."""


class RunsOf(Protocol):
    """See `Format.runs`."""

    def __call__(self, file: Path, name: str, advance: Advance, /) -> Iterator[Run]:
        """The runs."""


class TasksOf(Protocol):
    """See `Format.tasks`."""

    def __call__(self, heads: Sequence[Run], /) -> dict[str, ImportedTask]:
        """Each task label's task."""


class NotesOf(Protocol):
    """See `Format.notes`."""

    def __call__(self, heads: Sequence[Run], path: Path, /) -> list[str]:
        """One clause each."""


class LabelFieldsOf(Protocol):
    """See `Format.label_fields`."""

    def __call__(self, heads: Sequence[Run], /) -> Mapping[str, Collection[str]]:
        """Names of arguments and settings, by the optimizer's name; empty where the name is all of the label."""


def epoch_row(epoch: int, **figures: float) -> EpochRecord:
    """A row in which everything that is not given is NaN.

    >>> row = epoch_row(3, test_loss=0.5)
    >>> (row.epoch, row.test_loss, row.train_loss)
    (3, 0.5, nan)
    """
    given = dict.fromkeys(_FIGURES, math.nan) | figures
    return EpochRecord(epoch=epoch, **given)


def until_death(rows: Sequence[EpochRecord], dead: Sequence[bool]) -> tuple[EpochRecord, ...]:
    """The rows without those that only repeat that the run is dead.

    The first of the dead rows at the end stays, without accuracies: those of a network whose outputs are NaN are the
    share of whichever class comes first. A run that came back from a loss that was not finite keeps all its rows.

    Args:
        rows: of the epochs, in order.
        dead: for each, whether its training loss was not finite.
    """
    alive = len(rows)
    while alive and dead[alive - 1]:
        alive -= 1
    if alive == len(rows):
        return tuple(rows)
    last = replace(rows[alive], validation_accuracy=math.nan, test_accuracy=math.nan)
    return (*rows[:alive], last)
