"""A study whose trials train nothing and say where Ray put them: `python -m tests.sweep.placement ADDRESS GPUS`.

Prints one object: `slots`, and for each worker the CUDA_VISIBLE_DEVICES it has.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from robustness.spec import expand, parse
from robustness.store import open_store
from robustness.sweep import cluster, runner, trainable
from tests.builders import record, spec


class Placed(trainable.PackRunner):
    """Holds its place until as many workers as there are slots have one, and a little longer."""

    def step(self) -> dict[str, Any]:
        (self._root / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
        deadline = time.monotonic() + 90
        while len(list(self._root.iterdir())) < int(self._root.name) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(3)
        records = [record(trial) for pack in self._packs for trial in pack.trials]
        return {"records": records, "errors": [], "done": True}


def main(address: str, gpus: float, expected: int) -> None:
    trainable.PackRunner = Placed  # type: ignore[misc]
    study = parse(spec(search={"lr": 0.1, "seeds": expected}, resources={"cpus": 1, "gpus": gpus, "pack": 1}))
    found: list[int] = []
    slots = cluster.slots

    def remembered(resources: Any) -> int:
        found.append(slots(resources))
        return found[-1]

    cluster.slots = remembered
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / str(expected)
        root.mkdir()
        with open_store(f"sqlite:///{folder}/store.db", create=True) as store:
            runner.run_study(store, study, expand(study), root=root, address=address, quiet=True)
        print(json.dumps({"slots": found, "placed": [path.read_text() for path in root.iterdir()]}))


if __name__ == "__main__":
    from tests.sweep import placement  # by its name, so that workers find the class

    placement.main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
