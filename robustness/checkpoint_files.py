"""Files of trainings that go on: their names, what is known of them without their tensors, how they come and go.

A checkpoint is one safetensors file. Its tensors are tensors, all else is JSON text in its header, so that one rename
makes both the present ones. Here is what the driver needs, without torch; `training.checkpoint` has the rest.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from robustness.errors import SpecError
from robustness.trial import canonical_json

__all__ = ["Keeping", "Outline", "clean", "file_name", "header_of", "keeping", "outlines", "remove", "write"]

SECONDS = 120.0
"""What a dead worker costs at the most, but for the epoch that it was in; shorter trainings write nothing."""
KEPT_DAYS = 30
"""After which a checkpoint goes that nobody went on from: its trials may be complete in a store of elsewhere."""

_DAY = 86_400.0
_SUFFIX = ".checkpoint.safetensors"
_OURS = re.compile(rf"[0-9a-f]{{64}}{re.escape(_SUFFIX)}")
_PART = re.compile(rf"\.{_OURS.pattern}\..*\.part")


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeping:
    """Where checkpoints go, and how often.

    Attributes:
        folder: on every node.
        seconds: between two of one training; the next is made when an epoch ends after that.
    """

    folder: Path
    seconds: float = SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """What a checkpoint says of itself.

    Attributes:
        name: of its file.
        technique: of the pack; None for a trial by itself.
        keys: of the trials in it, those that had ended included.
        epoch: after which it was made.
    """

    name: str
    technique: str | None
    keys: tuple[str, ...]
    epoch: int


def keeping(given: Path | None) -> Keeping:
    """The given folder, else ROBUSTNESS_CHECKPOINTS, else one of the user's; every ROBUSTNESS_CHECKPOINT_SECONDS.

    Raises:
        SpecError: the folder was named and cannot be written, or the seconds are no number >= 0.
    """
    text = os.environ.get("ROBUSTNESS_CHECKPOINT_SECONDS") or str(SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise SpecError.of("ROBUSTNESS_CHECKPOINT_SECONDS", f"must be a number >= 0, got {text!r}")
    named = given or os.environ.get("ROBUSTNESS_CHECKPOINTS")
    if not named:  # its home may well be read-only here: told when the first checkpoint is due
        return Keeping(folder=Path.home() / ".cache" / "robustness" / "checkpoints", seconds=seconds)
    folder = Path(named).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError.of("--checkpoints", f"{folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SpecError.of("--checkpoints", f"{folder} cannot be written")
    return Keeping(folder=folder, seconds=seconds)


def file_name(technique: str | None, keys: Sequence[str]) -> str:
    """The file of a pack of these trials, in this order."""
    return hashlib.sha256(canonical_json([technique, list(keys)]).encode()).hexdigest() + _SUFFIX


def write(folder: Path, name: str, data: bytes) -> None:
    """Make or replace a file as a whole: whatever dies meanwhile, the earlier one or this one is there.

    Raises:
        OSError: it cannot be written; the earlier one stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=f".{name}.", suffix=".part")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / name)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise


def header_of(file: BinaryIO) -> dict[str, str]:
    """The texts in a safetensors file's header.

    Raises:
        ValueError: it is no such file, or has none.
    """
    length = int.from_bytes(file.read(8), "little")
    size = file.seek(0, os.SEEK_END)
    if not 0 < length <= size - 8:
        raise ValueError("it is cut off, or no safetensors file")
    file.seek(8)
    header: Any = json.loads(file.read(length))
    texts = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(texts, dict):
        raise ValueError("it is no checkpoint of ours")
    return texts


def outlines(folder: Path) -> Iterator[Outline]:
    """Of all checkpoints in a folder; those that cannot be read are passed over."""
    for path in _matching(folder, _OURS):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError), path.open("rb") as file:
            said = json.loads(header_of(file)["outline"])
            yield Outline(
                name=path.name,
                technique=said["technique"],
                keys=tuple(map(str, said["keys"])),
                epoch=int(said["epoch"]),
            )


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove checkpoints that are there."""
    for name in names:
        with suppress(OSError):
            (folder / name).unlink()


def clean(folder: Path, completed: Callable[[Sequence[str]], dict[str, Any]] | None = None) -> None:
    """Remove checkpoints whose trials are all complete, those that are `KEPT_DAYS` old, and halves of a day ago.

    Args:
        folder: may not exist; nothing in it is touched that is not named as ours.
        completed: which of these keys are complete.
    """
    found = list(outlines(folder)) if completed is not None else []
    if completed is not None and found:
        done = completed([key for outline in found for key in outline.keys])
        remove(folder, [outline.name for outline in found if all(key in done for key in outline.keys)])
    for kind, days in ((_OURS, KEPT_DAYS), (_PART, 1)):
        for path in _matching(folder, kind):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - days * _DAY:
                    path.unlink()


def _matching(folder: Path, kind: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if kind.fullmatch(entry.name))
    except OSError:
        return []
