"""Data sets in Ray's object store: read once, by the driver's node; one copy a node, whatever trains there.

A node's workers look at the same pages of its shared memory. Other nodes get theirs from the driver's over the
network, once each, so the files need not be there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from robustness.catalog import DATASETS
from robustness.trial import Named

if TYPE_CHECKING:  # it loads torch, which the driver does without
    from robustness.tasks import Arrays

__all__ = ["SHARED_BYTES", "SharedData", "is_shared", "share", "take"]

SHARED_BYTES = 16 << 20
"""From this size on a data set that has no files is shared too. Smaller ones all workers make at the same time, sooner than
one more process could that has to load torch first."""

SharedData = Mapping[Named, "ray.ObjectRef[Any]"]
"""Data sets, and where their arrays are or will be."""


def is_shared(data: Named) -> bool:
    """Whether workers share one copy: of what is read from files, and of what is large, unless it is streamed."""
    entry = DATASETS.get(data.name)
    if entry.streamed:
        return False
    facts = entry.facts(dict(data.arguments))
    examples = facts.train_size + facts.validation_size + facts.test_size
    return bool(entry.files) or 4 * examples * math.prod(facts.shape) >= SHARED_BYTES


def share(data: Sequence[Named], root: Path) -> SharedData:
    """Begin to read these distinct data sets, one after another; those that are not shared are left out.

    A process of its own reads them: what that takes, two or three times their size, is given back when it ends, which
    it does by itself. It is on this node, where the files are, and holds no slot: for the
    seconds that it reads, on a busy node, it shares a processor with a worker that starts.
    """
    wanted = [named for named in data if is_shared(named)]
    if not wanted:
        return {}
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    reader: Any = ray.remote(_Reader).options(num_cpus=0, scheduling_strategy=here).remote()
    return {named: reader.read.remote(named, root.absolute()) for named in wanted}


def take(data: Named, shared: SharedData) -> None:
    """In a worker: let `load` find the shared copy; where there is none, it reads the files of this node."""
    if data not in shared:
        return
    from robustness.tasks import supply

    try:
        supply(data, ray.get(shared[data]))
    except RayError:
        return  # the reader failed, or died, or its copy is lost; what is wrong with the files `load` says


class _Reader:
    """An actor."""

    def read(self, data: Named, root: Path) -> list[Arrays]:
        """See `tasks.read`."""
        from robustness.tasks import read

        return read(data, root)
