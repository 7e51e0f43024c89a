"""A Ray session: local by default, a cluster by address; quiet, without telemetry or dashboard."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from robustness.errors import RobustnessError, SpecError
from robustness.spec import Resources

__all__ = ["check_address", "ray_session", "require_resources", "slots"]

# Ray and Tune read these when they are imported.
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # else verbose=0 still prints a box
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no result.json and CSV a trial
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we stop cleanly ourselves
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # its snapshots are never used: the store is the record
    "TUNE_WARN_THRESHOLD_S": "30",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def check_address(address: str | None) -> None:
    """Check the form of an address, and of RAY_ADDRESS where none is given, before anything is stored.

    Raises:
        SpecError: Ray knows no such form.
    """
    for name, target in (("--address", address), ("RAY_ADDRESS", os.environ.get("RAY_ADDRESS"))):
        if target:
            host, _, port = target.removeprefix("ray://").rpartition(":")
            if target not in ("auto", "local") and not (host and port.isdecimal() and int(port) < 2**16):
                raise SpecError.of(
                    name, f"must be HOST:PORT, ray://HOST:PORT, auto or local, got {target!r:.80}"
                )
            return


@contextmanager
def ray_session(address: str | None) -> Iterator[Path]:
    """Join the cluster at `address` or RAY_ADDRESS, else start one on this machine.

    Yields:
        A folder for Tune's own files, gone when the session ends.

    Raises:
        RobustnessError: there is no cluster at that address, or none could be started here.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    target = address or os.environ.get("RAY_ADDRESS") or "local"
    _require_listener(target)
    if target == "local":
        # Named for other systems, but it is what keeps a Ray on loopback; by default it listens on every address.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray
    from ray.air._internal import usage

    # Ray counts callbacks for its telemetry, which is off, and to know them imports every tracker that is installed:
    # MLflow and W&B take 2.5 s.
    usage.tag_callbacks = lambda _: False  # type: ignore[assignment]
    # Short: Ray makes Unix sockets below it, whose paths hold at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp" if os.path.isdir("/tmp") else None))
    local: dict[str, Any] = (
        {"include_dashboard": False, "_temp_dir": str(folder / "r")} if target == "local" else {}
    )
    try:
        ray.init(address=target, log_to_driver=False, logging_level=logging.ERROR, **local)
    except Exception as error:  # noqa: BLE001  a node that does not start in time raises just that
        shutil.rmtree(folder, ignore_errors=True)
        what = "Ray did not start" if target == "local" else f"no Ray cluster at {target!r}"
        raise RobustnessError(f"{what}: {error}") from None
    # Tune logs every dead worker with a traceback; the collector says it in a line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        # Ray prints cluster events to stdout, which belongs to results.
        with redirect_stdout(sys.stderr):
            yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _require_listener(target: str) -> None:
    """Check that something listens at HOST:PORT: Ray itself would try for minutes."""
    host, separator, port = target.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise RobustnessError(f"no Ray cluster at {target!r}: {error}") from None


def require_resources(resources: Resources) -> None:
    """Check that some node can hold one trial; Tune would wait for it for ever.

    Raises:
        SpecError: none can; the text gives the largest there is.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for field, name, wanted in (("cpus", "CPU", resources.cpus), ("gpus", "GPU", resources.gpus)):
        most = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if wanted > most:
            raise SpecError.of(
                f"resources.{field}", f"must be <= {most:g}, what the largest node has, got {wanted:g}"
            )
    if not any(_fitting(resources, node) for node in nodes):
        raise SpecError.of(
            "resources",
            f"must fit on one node, but none has both {resources.cpus} CPUs and {resources.gpus:g} GPUs",
        )


def slots(resources: Resources) -> int:
    """How many packs the cluster trains at the same time."""
    import ray

    return max(sum(_fitting(resources, node["Resources"]) for node in ray.nodes() if node["Alive"]), 1)


def _fitting(resources: Resources, node: dict[str, float]) -> int:
    """How many packs a node holds."""
    room = int(node.get("CPU", 0.0) / resources.cpus)
    if not resources.gpus:
        return room
    gpus = node.get("GPU", 0.0)
    if resources.gpus >= 1:
        return min(room, int(gpus / resources.gpus))
    # Ray takes a share from one GPU: of 0.6 one fits on each. A thousandth more: ten tenths are one.
    return min(room, int(gpus) * int(1 / resources.gpus + 1e-3))
