"""A study's driver: `robustness run` as a process of its own, so that no study can take the worker with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["BUSY", "Driver"]

BUSY = 75
"""Exit code: another driver has the study; EX_TEMPFAIL of sysexits.h."""
GRACE_SECONDS = 30.0
"""From the request to stop until it is killed: what trains finishes its pack first."""
MOST_ERROR = 4_000
_ANY_SIZE = 10**9
_SECRETS = ("ROBUSTNESS_TOKEN", "ROBUSTNESS_READ_TOKEN")


class Driver:
    """Started by `with`, gone when that ends."""

    def __init__(
        self,
        spec: dict[str, Any],
        store_url: str,
        data: Path,
        silence: float,
        checkpoints: Path | None = None,
    ) -> None:
        """Run a checked spec.

        Args:
            spec: what the user wrote.
            store_url: with its password, if it has one; told by the environment, where `ps` does not show it.
            data: the folder with the data sets.
            silence: seconds after which it stops by itself when nobody `beat`s.
            checkpoints: the folder for long trainings; None leaves it to the environment.
        """
        self._spec = spec
        self._environment = {k: v for k, v in os.environ.items() if k not in _SECRETS}
        self._environment |= {"ROBUSTNESS_STORE": store_url, "PYTHONUNBUFFERED": "1"}
        # The limit of cells was the service's to check.
        self._options = ["--json", "--data", str(data), "--max-cells", str(_ANY_SIZE)]
        if checkpoints is not None:
            self._options += ["--checkpoints", str(checkpoints)]
        self._silence = silence
        self._stopped_at: float | None = None

    def __enter__(self) -> Driver:
        """Start it."""
        self._folder = tempfile.TemporaryDirectory(prefix="robustness-driver-")
        folder = Path(self._folder.name)
        (folder / "study.json").write_text(json.dumps(self._spec))
        self._out, self._err = folder / "out", folder / "err"
        command = [sys.executable, "-m", "robustness.cli.driving", str(self._silence)]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*command, "run", str(folder / "study.json"), *self._options],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,  # Ctrl-C is the worker's to handle
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, if it still runs."""
        self.stop()
        while self.wait(0.5) is None:
            self.beat()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._folder.cleanup()

    def wait(self, seconds: float) -> int | None:
        """Its exit code, or None if it still runs after so many seconds."""
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > GRACE_SECONDS:
            self._process.kill()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def beat(self) -> None:
        """Tell it that its worker is alive."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended
            self._process.stdin.write(b".")
            self._process.stdin.flush()

    def stop(self) -> None:
        """Ask it to stop; what is finished is stored. Once is enough."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    @property
    def summary(self) -> dict[str, Any] | None:
        """What it printed when it had run everything that it could."""
        with suppress(ValueError, OSError):
            found: dict[str, Any] = json.loads(self._out.read_text())
            return found
        return None

    @property
    def error(self) -> str:
        """Why it says it ended, else the end of all that it said."""
        text = self._err.read_text(encoding="utf-8", errors="replace").strip()
        _, found, reason = f"\n{text}".rpartition("\nerror: ")  # Ray says much before it
        return (reason if found else text)[-MOST_ERROR:]
