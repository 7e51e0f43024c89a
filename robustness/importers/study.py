"""From the runs of any format to an imported study: labels, joined learning rates, seeds, keys, source.

The files are read twice. The first pass keeps the heads of the runs only (no epochs) and finds every mistake,
before a store is touched; the second hands the trials to the store, one after another.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from robustness.errors import SpecError
from robustness.importers.labels import label_notes, optimizer_labels, task_labels
from robustness.importers.reading import existing, kept, named
from robustness.importers.runs import Advance, Format, Run
from robustness.spec.models import ID, check_text
from robustness.trial import ImportedTask, ImportedTrial, TrialRecord, canonical_json

__all__ = ["Survey", "checked_name", "joined", "survey"]

MAX_TITLE = 1_000
LR_DECADES = 1e-6  # of log10: what rounding in names and files does, and no search does on purpose


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run stands in the study.

    Attributes:
        task: label.
        optimizer: label.
        lr: the learning rate that it shares with those that differ by rounding.
        seed_index: distinct within its cell.
    """

    task: str
    optimizer: str
    lr: float
    seed_index: int


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a first pass over the files found: all of a study but its epochs.

    Attributes:
        name: of the study.
        format: of the files.
        digests: SHA-256 of each file, in their order.
        places: of the runs, in their order.
        tasks: each label's task.
        source: for the store.
    """

    name: str
    format: Format
    root: Path
    files: tuple[Path, ...]
    digests: tuple[str, ...]
    places: tuple[Place, ...]
    tasks: dict[str, ImportedTask]
    source: dict[str, Any]

    def trials(self, advance: Advance = lambda size: None) -> Iterator[ImportedTrial]:
        """The trials: a second pass.

        Raises:
            SpecError: a file is not what it was in the first pass.
        """
        runs = _runs(self.format, self.root, self.files, advance, self.digests)
        for run, place in zip(runs, self.places, strict=True):
            yield _trial(run, place, self.name, str(self.source["format"]))


def checked_name(name: str) -> str:
    """The name of a study.

    Raises:
        SpecError: it is no id.
    """
    if not re.fullmatch(ID, name) or set(name) <= {"."}:
        raise SpecError.of("--name", f"must be 1 to 64 of A-Z a-z 0-9 . _ -, got {name!r:.80}")
    return name


def survey(
    format_: Format,
    path: Path,
    *,
    format_name: str,
    name: str,
    title: str = "",
    advance: Advance = lambda size: None,
) -> Survey:
    """Read all files once, check everything.

    Args:
        format_: what reads them.
        path: a file or a folder.
        format_name: of the format, for the source.
        name: of the study.
        title: free text, checked here.
        advance: told of every piece that was read.

    Raises:
        SpecError: the path is not there, holds no such files, or one of them breaks a rule.
    """
    checked_name(name)
    if len(title) > MAX_TITLE:
        raise SpecError.of("--title", f"must have at most {MAX_TITLE:,} characters, got {len(title):,}")
    try:
        check_text(title)
    except ValueError as error:
        raise SpecError.of("--title", str(error)) from None
    root = existing(path)
    files = tuple(format_.files(root))
    digests = tuple(_digest(file, named(file, root)) for file in files)
    heads = [replace(run, epochs=(), rest={}) for run in _runs(format_, root, files, advance, digests)]
    if not heads:
        raise SpecError.of(str(path), "holds no run")
    labelled = [
        replace(head, task=task)
        for head, task in zip(heads, task_labels(heads, format_.task_settings), strict=True)
    ]
    label_fields = format_.label_fields(labelled)
    places, repeated = _places(labelled, optimizer_labels(labelled, label_fields))
    notes = [*format_.notes(heads, root), *label_notes(heads, label_fields, format_.task_settings)]
    if repeated:
        notes.append(f"{repeated:,} runs repeat the seed of an earlier run of their cell: numbered on")
    return Survey(
        name=name,
        format=format_,
        root=root,
        files=files,
        digests=digests,
        places=tuple(places),
        tasks=format_.tasks(labelled),
        source=_source(path, format_name, digests, notes),
    )


def _source(path: Path, format_name: str, digests: Sequence[str], notes: list[str]) -> dict[str, Any]:
    # Of the sorted digests: where the files are, and what they are called, does not change it.
    return {
        "format": format_name,
        "path": str(path),
        "files": len(digests),
        "sha256": hashlib.sha256("".join(sorted(digests)).encode()).hexdigest(),
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("robustness-study"),
        "notes": notes,
    }


def _digest(file: Path, name: str) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SpecError.of(name, f"cannot be read: {error.strerror}") from None


def _runs(
    format_: Format, root: Path, files: Sequence[Path], advance: Advance, digests: Sequence[str]
) -> Iterator[Run]:
    for file, digest in zip(files, digests, strict=True):
        name = named(file, root)
        if _digest(file, name) != digest:
            raise SpecError.of(name, "changed while it was imported; import again")
        yield from format_.runs(file, name, advance)


# -- learning rates, seeds -----------------------------------------------------------------


def _places(heads: Sequence[Run], labels: Sequence[str]) -> tuple[list[Place], int]:
    """Where each run stands, and how many had the seed of an earlier one of their cell."""
    rates = joined(head.lr for head in heads)
    taken: defaultdict[tuple[object, ...], set[int]] = defaultdict(set)
    places, repeated = [], 0
    for head, label in zip(heads, labels, strict=True):
        lr = rates[head.lr]
        seeds = taken[head.task, label, head.init, lr]
        seed = len(seeds) if head.seed is None else head.seed
        if seed in seeds:
            repeated += head.seed is not None
            seed = next(free for free in itertools.count(max(seeds) + 1) if free not in seeds)
        seeds.add(seed)
        places.append(Place(task=head.task, optimizer=label, lr=lr, seed_index=seed))
    return places, repeated


def joined(rates: Iterable[float]) -> dict[float, float]:
    """For each learning rate the one that stands for it and those that differ from it by rounding only.

    Of each group that is the one with the fewest digits, then the smallest.

    >>> joined([0.09999999999, 0.1, 0.2])
    {0.09999999999: 0.1, 0.1: 0.1, 0.2: 0.2}
    """
    found: dict[float, float] = {}
    group: list[float] = []
    for lr in [*sorted(set(rates)), math.inf]:
        if group and math.log10(lr) - math.log10(group[0]) > LR_DECADES:
            found |= dict.fromkeys(group, min(group, key=lambda value: (len(repr(value)), value)))
            group = []
        group.append(lr)
    return found


# -- trials ----------------------------------------------------------------------------------------


def _trial(run: Run, place: Place, study: str, format_name: str) -> ImportedTrial:
    config = {
        "imported": {"format": format_name, "file": run.file, "item": run.item},
        "task": run.task,
        "optimizer": {**run.arguments, "name": run.optimizer},
        "hyperparameters": dict(run.settings),
        "init": run.init,
        "lr": run.lr,
        "seed": run.seed,
        "rest": dict(run.rest),
    }
    config = {name: kept(value) for name, value in config.items()}
    identity = canonical_json({"study": study, "file": run.file, "item": run.item, "config": config})
    return ImportedTrial(
        task=place.task,
        optimizer=place.optimizer,
        init=run.init,
        lr=place.lr,
        seed_index=place.seed_index,
        config=canonical_json(config),
        record=TrialRecord(
            key=hashlib.sha256(identity.encode()).hexdigest(),
            l0=run.l0,
            first_nonfinite_step=run.first_nonfinite_step,
            nonfinite=run.nonfinite,
            stopped=run.stopped,
            epochs=run.epochs,
        ),
        reason=run.reason,
        figures=run.figures,
    )
