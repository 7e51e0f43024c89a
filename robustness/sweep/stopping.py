"""Whether a sweep is to end before its work is done, and why."""

from __future__ import annotations

import threading

from robustness.errors import RobustnessError

__all__ = ["Stopping"]


class Stopping:
    """Asked for by a signal, or because nothing can be written any more; many threads look.

    Attributes:
        asked: set once it is.
        error: the reason (the store failed, the lease was lost); None while all is well, and where a signal asked.
    """

    def __init__(self) -> None:
        """Not yet."""
        self.asked = threading.Event()
        self.error: RobustnessError | None = None

    def give_up(self, error: RobustnessError) -> None:
        """Stop the sweep; the first reason counts."""
        self.error = self.error or error
        self.asked.set()

    def check(self) -> None:
        """Raise the reason, if there is one."""
        if self.error is not None:
            raise self.error
