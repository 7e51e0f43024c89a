"""How many trials of a study have diverged while it still runs, by the rule of the read side."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from robustness.errors import StoreError
from robustness.store import Store

__all__ = ["DivergenceCount"]

_SECONDS = 2.0
_SHARE = 0.02
"""Of the driver's time, at most, that counting may take."""


class DivergenceCount:
    """Reads and classifies a study's complete trials, now and then.

    Labels rest on other trials of a row, so every count is of all that is complete: reused and confirming trials too.
    """

    def __init__(self, store: Store, study: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Count nothing yet."""
        self._store = store
        self._study = study
        self._clock = clock
        self._due = -1.0
        self._text = ""

    def text(self, *, final: bool = False) -> str:
        """How many diverged, of how many that were complete when they were counted; empty before the first count.

        Args:
            final: count now; otherwise the last count is repeated until the next is due.
        """
        began = self._clock()
        if final or began >= self._due:
            with suppress(StoreError):  # writing to it decides whether the sweep goes on
                self._text = self._counted()
            ended = self._clock()
            self._due = ended + max(_SECONDS, (ended - began) / _SHARE)
        return self._text

    def _counted(self) -> str:
        # Imported here: a run with nothing to do needs no pandas.
        from robustness.summary import load_study

        study = load_study(self._store, self._study)
        sides = [*study.complete["side"], *study.confirmed["side"]]
        return f"{sides.count('diverged'):,} of {len(sides):,} complete diverged"
