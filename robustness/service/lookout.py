"""Warnings of studies, looked for beside the requests: those of 100,000 trials take seconds, and counts must not wait."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from robustness.service.kept import Kept
from robustness.store import Standing
from robustness.trial import TrialState

__all__ = ["MOST_AT_ONCE", "Lookout"]

MOST_AT_ONCE = 5_000
"""Trials of a study whose warnings a request waits for; while it runs, larger ones are not looked through at all."""
PATIENCE_SECONDS = 5.0
"""Which a request for a small study waits at the most: larger ones may be before it."""
RUNNING_SECONDS = 10.0
"""How old the warnings of a running study may be."""
LOOKS_KEPT = 1_000


class _Look:
    """At a study as of one revision."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.done = threading.Event()
        self.at = 0.0
        self.texts: list[str] | None = None
        self.error: Exception | None = None


class Lookout:
    """One look at a time, by a thread that ends when there is nothing left to do."""

    def __init__(self, look: Callable[[Standing], list[str]]) -> None:
        """By this function, which may take its time."""
        self._look = look
        self._last: Kept[int, _Look] = Kept(LOOKS_KEPT)  # of each study, waiting and finished ones alike
        self._waiting: deque[_Look] = deque()
        self._working = False
        self._guard = threading.Lock()

    def warnings(self, standing: Standing, counts: Mapping[TrialState, int]) -> tuple[list[str], bool]:
        """What is known, and whether that is all: otherwise it is being looked for, or will be.

        Raises:
            Exception: what the function raised; the next call tries again.
        """
        total = sum(counts.values())
        if not counts[TrialState.COMPLETE]:
            return ["Nothing is complete yet."], True
        known = self._last.get(standing.id)
        if known is not None and known.texts is not None:
            recent = standing.driven and time.monotonic() - known.at < RUNNING_SECONDS
            if recent or known.standing.revision == standing.revision:
                return known.texts, True
        if standing.driven and total > MOST_AT_ONCE:
            return [f"{total:,} trials are many: warnings are looked for when it has stopped."], False
        look = self._begun(standing)
        if total <= MOST_AT_ONCE:
            look.done.wait(PATIENCE_SECONDS)
        if look.error is not None:
            self._last.drop(standing.id)
            raise look.error
        if look.texts is None:
            return [f"Warnings are still being looked for in {total:,} trials: ask again."], False
        return look.texts, True

    def forget(self, standing: Standing) -> None:
        """A study was deleted."""
        self._last.drop(standing.id)

    def _begun(self, standing: Standing) -> _Look:
        with self._guard:
            found = self._last.get(standing.id)
            if found is None or found.standing.revision != standing.revision:
                found = _Look(standing)
                self._last.put(standing.id, found)
                self._waiting.append(found)
                if not self._working:
                    self._working = True
                    # A daemon: a service that is told to stop does not wait for it.
                    threading.Thread(target=self._work, name="warnings", daemon=True).start()
            return found

    def _work(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    self._working = False
                    return
                look = self._waiting.popleft()
            if self._last.get(look.standing.id) is look:  # else the study has changed, or is gone
                try:
                    look.texts = self._look(look.standing)
                    look.at = time.monotonic()
                except Exception as error:  # noqa: BLE001  raised where somebody asks
                    look.error = error
            look.done.set()
