"""`python -m robustness.cli.driving SECONDS run ...`: how a worker runs a study.

The same as `robustness run ...`, but it stops when the worker is gone or silent for so long, and has an exit code of
its own where another driver has the study.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from robustness.cli import app
from robustness.errors import LeaseHeld, LeaseLost, RobustnessError
from robustness.worker import end_with_parent
from robustness.worker.driver import BUSY

NICE = 5
"""A third of the processor time of a service that answers on the same machine, where both want all of it."""


def _give_way() -> None:
    os.nice(NICE)
    # Linux weighs sessions against each other, not their processes, and the worker gave this one its own.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE))


def main() -> None:
    """Run it."""
    _give_way()
    end_with_parent(float(sys.argv.pop(1)))
    try:
        app()
    except RobustnessError as error:
        print(f"error: {error}", file=sys.stderr)
        busy = isinstance(error, (LeaseHeld, LeaseLost))
        raise SystemExit(BUSY if busy else error.exit_code) from None


if __name__ == "__main__":
    main()
