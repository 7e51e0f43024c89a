"""Lines of a sampler: each asks for trials, waits for all of them, and asks again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from robustness.store import StudyTrial

if TYPE_CHECKING:  # pandas comes with it
    from robustness.sweep.samplers.observation import Observation

__all__ = ["Asking", "Line"]

Line: TypeAlias = "Generator[list[StudyTrial], list[Observation | None], None]"
"""Yields trials that may run at the same time; is sent what became of each, None where its execution failed."""


@dataclass
class _Waiting:
    line: Line
    asked: list[StudyTrial]
    left: set[str]


class Asking:
    """Every line of a sampler, and what each waits for."""

    def __init__(self, lines: Iterable[Line]) -> None:
        """Take lines that have not begun."""
        self._lines = list(lines)
        self._known: dict[str, Observation | None] = {}
        self._asked: set[str] = set()
        self._waiting: dict[str, list[_Waiting]] = defaultdict(list)

    def begin(self) -> list[StudyTrial]:
        """What is asked for first."""
        return [trial for line in self._lines for trial in self._advance(line, None)]

    def tell(self, answers: Mapping[str, Observation | None]) -> list[StudyTrial]:
        """What is asked for now that these trials have ended.

        Args:
            answers: by key; those that nobody waits for are ignored.
        """
        found: list[StudyTrial] = []
        for key, answer in answers.items():
            if key not in self._waiting:
                continue
            self._known[key] = answer
            for waiting in self._waiting.pop(key):
                waiting.left.discard(key)
                if not waiting.left:
                    found += self._advance(waiting.line, self._answers(waiting.asked))
        return found

    def _answers(self, asked: list[StudyTrial]) -> list[Observation | None]:
        return [self._known[item.trial.key] for item in asked]

    def _advance(self, line: Line, answers: list[Observation | None] | None) -> Iterator[StudyTrial]:
        """Send answers until the line asks for something that is not known, or ends."""
        while True:
            try:
                asked = next(line) if answers is None else line.send(answers)
            except StopIteration:
                return
            left = {item.trial.key for item in asked} - self._known.keys()
            if left:
                break
            answers = self._answers(asked)
        waiting = _Waiting(line, asked, left)
        for item in asked:
            key = item.trial.key
            if key in left and waiting not in self._waiting[key]:
                self._waiting[key].append(waiting)
            if key not in self._asked:
                self._asked.add(key)
                yield item
