"""Every error that a user can meet, and the exit code that goes with it.

RobustnessError                 exit 1
├── SpecError                   exit 2   a study file, an option or an argument breaks a rule
│   └── DataMissing             exit 2   a data set is not on this machine; names the command that gets it
├── StoreError                  exit 1   the store cannot do what was asked
│   ├── StoreMissing            exit 2   no store, or no such study in it
│   ├── StoreDamaged            exit 1   the file is not a sound database
│   ├── LeaseHeld               exit 1   another driver is running this study
│   └── LeaseLost               exit 1   this driver's lease was taken over; it must write nothing more
└── Interrupted                 exit 130 stopped on request; what was finished is stored

A divergence is none of these: it is a result.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "DataMissing",
    "Interrupted",
    "LeaseHeld",
    "LeaseLost",
    "Problem",
    "QueueFull",
    "RobustnessError",
    "SpecError",
    "StoreDamaged",
    "StoreError",
    "StoreMissing",
    "StudyBusy",
    "check_known",
    "nearest",
    "writing",
]


SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: where it is (`tasks[0].epochs`) and what the rule says."""

    path: str
    message: str

    def __str__(self) -> str:
        """The line a user reads; what a file put into it is shown, not sent to the terminal."""
        text = f"{self.path:.200}: {self.message}" if self.path else self.message
        return "".join(
            c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
        )


class RobustnessError(Exception):
    """Base of all; the command line prints its text, never its traceback."""

    exit_code = 1


class SpecError(RobustnessError):
    """What the user wrote breaks a rule. Holds every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems; the text is one line for each."""
        self.problems = tuple(problems)
        more = len(self.problems) - SHOWN_PROBLEMS
        lines = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        super().__init__("\n".join([*lines, f"and {more:,} more"] if more > 0 else lines))

    @classmethod
    def of(cls, path: str, message: str) -> SpecError:
        """The error for a single problem."""
        return cls([Problem(path, message)])


class DataMissing(SpecError):
    """A data set is not where it was looked for."""


class StoreError(RobustnessError):
    """The store cannot do what was asked."""


class StoreMissing(StoreError):
    """There is no store at that address, or no study of that name in it."""

    exit_code = 2


class StoreDamaged(StoreError):
    """The database file is not sound; it is refused, never silently treated as empty."""


class StudyBusy(StoreError):
    """The study's state does not allow what was asked: it runs, or it is there already."""


class QueueFull(StoreError):
    """As many studies wait as one token may have waiting."""


class LeaseHeld(StoreError):
    """Another driver is running this study."""


class LeaseLost(StoreError):
    """This driver's lease was taken over: it must write nothing more."""


class Interrupted(RobustnessError):
    """The run was stopped on request; everything finished is in the store."""

    exit_code = 130


def check_known(path: str, name: str, names: Collection[str]) -> None:
    """Check that a name is one of those that there are.

    Raises:
        SpecError: it is not; the nearest is offered.
    """
    if name not in names:
        raise SpecError.of(path, f"there is no {name!r:.80}; {nearest(name, names)}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of which file it is that it cannot be written: a full disk names none.

    Raises:
        RobustnessError: what the block wrote could not be written.
    """
    try:
        yield
    except OSError as error:
        raise RobustnessError(f"{path} cannot be written: {error.strerror or error}") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that names the nearest known name, and all of them.

    >>> nearest("adan", ["adam", "sgd"])
    "did you mean 'adam'? (known: adam, sgd)"
    >>> nearest("lion", ["adam", "sgd"])
    'known: adam, sgd'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name[:80], names, n=1, cutoff=0.5)
    every = f"known: {', '.join(names)}"
    return f"did you mean '{close[0]}'? ({every})" if close else every
