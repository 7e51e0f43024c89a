"""A study's sampler at work: what it asks for, given what the store has complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from robustness.spec import Space
from robustness.store import Store, StudyTrial
from robustness.store.rows import final_figures
from robustness.sweep.samplers.asking import Asking
from robustness.sweep.samplers.lines import lines_of
from robustness.trial import TrialRecord

if TYPE_CHECKING:
    from robustness.sweep.samplers.observation import Observation, Observer

__all__ = ["Sampling"]


class Sampling:
    """Asks a study's lines, and answers them from the store where that can.

    Attributes:
        issued: every trial that was asked for so far, by key, in order.
        known: of an adaptive sampler, keys of those that the store had complete when they were asked for.
    """

    def __init__(self, space: Space, store: Store) -> None:
        """Begin nothing yet."""
        self._space = space
        self._store = store
        self._asking = Asking(lines_of(space))
        self.issued: dict[str, StudyTrial] = {}
        self.known: set[str] = set()

    @cached_property
    def _observe(self) -> Observer:
        # Imported here: a run with nothing to do needs no pandas.
        from robustness.sweep.samplers.observation import Observer

        return Observer(self._space)

    def begin(self) -> list[StudyTrial]:
        """All that is asked for before anything new is run; a resumed study is replayed from the store."""
        return self._answered(self._asking.begin())

    def ended(self, records: Sequence[TrialRecord]) -> list[StudyTrial]:
        """What is asked for now that these trials are complete."""
        keys = [record.key for record in records]
        tasks = [self.issued[key].task for key in keys]
        answers = self._observe(tasks, [final_figures(record) for record in records])
        return self._answered(self._asking.tell(dict(zip(keys, answers, strict=True))))

    def given_up(self, keys: Iterable[str]) -> list[StudyTrial]:
        """What is asked for now that the execution of these failed too often."""
        return self._answered(self._asking.tell(dict.fromkeys(keys)))

    def _answered(self, asked: list[StudyTrial]) -> list[StudyTrial]:
        """What was asked for and, where some of it is complete already, what is asked for then, and so on."""
        found: list[StudyTrial] = []
        while asked:
            found += asked
            self.issued.update((item.trial.key, item) for item in asked)
            asked = self._asking.tell(self._stored(asked)) if self._space.adaptive else []
        return found

    def _stored(self, asked: Sequence[StudyTrial]) -> dict[str, Observation | None]:
        rows = self._store.completed([item.trial.key for item in asked])
        self.known |= rows.keys()
        tasks = [self.issued[key].task for key in rows]
        answers = self._observe(tasks, [row._asdict() for row in rows.values()])
        return dict(zip(rows, answers, strict=True))
