"""A process that ends with the one that started it: it listens to its standard input."""

from __future__ import annotations

import os
import select
import signal
import threading

__all__ = ["end_with_parent"]


def end_with_parent(silence: float | None = None) -> None:
    """Send this process SIGTERM once its standard input is closed, or silent for too long.

    A parent that was killed closes its end, whatever killed it; one that was stopped falls silent.

    Args:
        silence: seconds without a byte; None waits for the end alone.
    """

    def watch() -> None:
        while True:
            ready, _, _ = select.select([0], [], [], silence)
            if not ready or not os.read(0, 4_096):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="parent", daemon=True).start()
