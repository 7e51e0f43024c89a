"""Progress on the terminal: a bar, or plain lines where stderr is not one."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from robustness.sweep.divergence_count import DivergenceCount

__all__ = ["SweepProgress"]

PLAIN_SECONDS = 5.0


class SweepProgress:
    """Counts of a sweep, shown on stderr so that stdout stays free for results.

    Attributes:
        total: trials to run, as far as the sampler has asked for them.
        done: those of them that are complete.
    """

    def __init__(self, total: int, *, reused: int, divergences: DivergenceCount, quiet: bool = False) -> None:
        """Expect `total` trials, besides `reused` ones that the store had."""
        self.total = total
        self.done = self._failed = 0
        self._divergences = divergences
        self._running = 0
        self._began = self._last_line = time.monotonic()
        self._quiet = quiet
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("[bold]{task.completed:,}/{task.total:,}[/bold]"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[counts]}"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task("", total=total, counts="starting Ray")
        if not quiet:
            print(f"{total:,} to run, {reused:,} complete", file=sys.stderr, flush=True)

    def __enter__(self) -> SweepProgress:
        """Start showing."""
        if self._bar is not None and self.total:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; where nothing went wrong, with divergences counted to the last trial."""
        if kind is None and self.total and not self._quiet:
            self._divergences.text(final=True)
            if self._bar is not None:
                self._bar.update(self._task, counts=self._counts())
        self.stop()

    def stop(self) -> None:
        """Stop showing; in plain lines, say how it ended."""
        if self._bar is not None:
            self._bar.stop()
        elif self.total and not self._quiet:
            self._print_line()

    def running(self, change: int) -> None:
        """Trials that were handed to a worker, or taken back."""
        self._running += change

    def say(self, text: str) -> None:
        """One line beside the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def more(self, count: int) -> None:
        """A sampler asked for more trials."""
        self.total += count
        if self._bar is not None:
            self._bar.update(self._task, total=self.total)

    def retry(self, failed: int) -> None:
        """Trials that failed are run again: they no longer count as failed."""
        self._failed -= failed

    def start_clock(self) -> None:
        """Ray is up: rates count from here."""
        self._began = time.monotonic()

    def count(self, *, failed: int = 0, done: int = 0) -> None:
        """Count trials that ended; those that are done are in the store."""
        self.done += done
        self._failed += failed
        self._running -= done + failed
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done + self._failed, counts=self._counts())
        elif not self._quiet and time.monotonic() - self._last_line >= PLAIN_SECONDS:
            self._print_line()

    def _counts(self) -> str:
        rate = self.done / max(time.monotonic() - self._began, 1e-9)
        failed = f"{self._failed:,} failed" if self._failed else ""
        diverged = self._divergences.text()
        return ", ".join(
            part
            for part in (f"{max(self._running, 0):,} running", diverged, failed, f"{rate:,.1f}/s")
            if part
        )

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        rate = self.done / max(self._last_line - self._began, 1e-9)
        left = (self.total - self.done - self._failed) / rate if rate else float("inf")
        remaining = f", {left:,.0f} s left" if left and left != float("inf") else ""
        print(f"{self.done:,}/{self.total:,} done, {self._counts()}{remaining}", file=sys.stderr, flush=True)
