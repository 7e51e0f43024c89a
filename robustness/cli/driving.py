"""`python -m robustness.cli.driving SECONDS run ...`: how a worker runs a study.

The same as `robustness run ...`, but it stops when the worker is gone or silent for so long, and has an exit code of
its own where another driver has the study.
"""

from __future__ import annotations

import sys

from robustness.cli import app
from robustness.errors import LeaseHeld, LeaseLost, RobustnessError
from robustness.worker import end_with_parent
from robustness.worker.driver import BUSY


def main() -> None:
    """Run it."""
    end_with_parent(float(sys.argv.pop(1)))
    try:
        app()
    except RobustnessError as error:
        print(f"error: {error}", file=sys.stderr)
        busy = isinstance(error, (LeaseHeld, LeaseLost))
        raise SystemExit(BUSY if busy else error.exit_code) from None


if __name__ == "__main__":
    main()
