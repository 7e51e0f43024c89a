"""Takes studies from the queue, one after the other, and keeps its claim on each while a driver runs it.

Several workers are safe: a claim has a fencing token, and so has the lease of the driver. A worker that was stopped for
longer than its claim finds, when it wakes, that its driver has ended itself and that it is refused.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from robustness.errors import Interrupted, LeaseLost, SpecError, StoreError
from robustness.store import Claim, Claims, Store, StudyState
from robustness.worker.driver import BUSY, Driver

__all__ = ["CLAIM_SECONDS", "Worker"]

CLAIM_SECONDS = 15.0
POLL_SECONDS = 0.5
PAUSE_SECONDS = 5.0
INTERRUPTED = Interrupted.exit_code


class Worker:
    """One study at a time."""

    def __init__(
        self,
        store: Store,
        store_url: str,
        data: Path,
        *,
        seconds: float = CLAIM_SECONDS,
        checkpoints: Path | None = None,
    ) -> None:
        """Take from this store.

        Args:
            store: whose queue it is.
            store_url: the same, for drivers.
            data: the folder with the data sets.
            seconds: how long a claim lasts unless it is renewed.
            checkpoints: the folder for long trainings; None leaves it to the environment.
        """
        self._claims = Claims(store, seconds)
        self._store_url = store_url
        self._data = data
        self._seconds = seconds
        self._checkpoints = checkpoints
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until `stopping` is set."""
        while not self.stopping.is_set():
            try:
                claim = self._claims.take()
            except StoreError as error:  # it may come back
                _say(f"{error}; trying again")
                self.stopping.wait(10 * POLL_SECONDS)
                continue
            if claim is None:
                self.stopping.wait(POLL_SECONDS)
                continue
            _say(f"{claim.name}: taken")
            try:
                state, why = self._run(claim)
                _say(f"{claim.name}: {state.value}{': ' if why else ''}{why.rpartition(chr(10))[2]}")
            except LeaseLost as error:
                _say(f"{claim.name}: refused: {error}")
            except StoreError as error:
                _say(f"{claim.name}: {error}; its claim runs out by itself")

    def _run(self, claim: Claim) -> tuple[StudyState, str]:
        with Driver(claim.spec, self._store_url, self._data, self._seconds, self._checkpoints) as driver:
            code, cancelled = self._attended(claim, driver)
            return self._ended(claim, driver, code, cancelled=cancelled)

    def _attended(self, claim: Claim, driver: Driver) -> tuple[int, bool]:
        """Stay with the driver to its end; its exit code, and whether it was cancelled.

        Raises:
            LeaseLost: another worker has taken the study over.
        """
        renewed, cancelled = time.monotonic(), False
        while (code := driver.wait(POLL_SECONDS)) is None:
            driver.beat()
            try:
                if not cancelled and self._claims.cancelling(claim):
                    cancelled = True
                    driver.stop()
                if time.monotonic() - renewed > self._seconds / 3:
                    self._claims.renew(claim)
                    renewed = time.monotonic()
            except LeaseLost:
                raise
            except StoreError:
                # Without the store nothing can be kept: another worker may think that this one is dead.
                if time.monotonic() - renewed > self._seconds:
                    driver.stop()
            if self.stopping.is_set():
                driver.stop()
        return code, cancelled

    def _ended(self, claim: Claim, driver: Driver, code: int, *, cancelled: bool) -> tuple[StudyState, str]:
        """Write down how it ended, and why.

        Raises:
            LeaseLost: another worker has taken the study over.
        """
        state, error = StudyState.COMPLETE, ""
        if code == 0:
            pass
        elif cancelled:
            state = StudyState.CANCELLED
        elif code in (BUSY, INTERRUPTED) or self.stopping.is_set():
            state = StudyState.QUEUED  # another has it, or somebody stopped it: what is missing is run later
        elif code == SpecError.exit_code or driver.summary is not None:
            state, error = StudyState.FAILED, _why(driver)
        else:
            # Killed, or Ray did not start, or the store was gone: the next attempt may do better, later.
            error = driver.error or f"its driver ended with code {code} and no word"
            state = self._claims.died(claim, error)
            self.stopping.wait(PAUSE_SECONDS)
            return state, error
        return self._claims.finish(claim, state, error), error


def _why(driver: Driver) -> str:
    summary = driver.summary
    if summary is None:
        return driver.error or "its driver gave no reason"
    failed = f"{summary['failed']:,} of {summary['trials']:,} trials failed"
    return f"{failed}\n{driver.error}".strip()


def _say(text: str) -> None:
    print(f"worker: {text}", file=sys.stderr, flush=True)
