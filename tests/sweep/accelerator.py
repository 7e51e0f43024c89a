"""An accelerator that is not there: workers train on the CPU and tell the figures of its memory.

`python -m tests.sweep.accelerator ADDRESS GPUS` runs a study on a Ray that was told of GPUs, and prints one object:
`packs`, the size of every pack that was trained, in order, and `complete`, how many trials.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robustness.spec import Resources, expand, parse
from robustness.store import open_store
from robustness.sweep import runner, trainable
from robustness.sweep.memory import Memory
from robustness.sweep.work import Work
from robustness.trial import Trial, TrialRecord
from tests.builders import spec, trials

__all__ = ["Fake", "Pretending", "run_alone"]

GB = 1 << 30


class Fake:
    """The memory of a device: these figures, whatever happens; of packs larger than `most` it runs out."""

    def __init__(self, *, total: int, held: int, peak: int, most: int = 1_000) -> None:
        self._total, self._held, self._peak = total, held, peak
        self.most = most
        self.forgotten = False

    def total(self) -> int:
        return self._total

    def held(self) -> int:
        return self._held

    def peak(self) -> int:
        return self._peak

    def forget_peak(self) -> None:
        self.forgotten = True


class Pretending(trainable.PackRunner):
    """Says in the root folder how large its packs are."""

    memory: Fake = Fake(total=16 * GB, held=0, peak=2 * GB)

    def setup(self, config: dict[str, Any], shared: Any = None) -> None:
        super().setup(config, shared)
        self._device = "cpu"

    def _memory(self) -> Memory:
        return self.memory

    def _train(
        self, technique: Any, found: Sequence[Trial], source: str | None
    ) -> Iterator[list[TrialRecord]]:
        if len(found) > self.memory.most:
            raise MemoryError(f"{len(found)} trials")
        with (self._root / "packs").open("a") as file:
            file.write(f"{len(found)}\n")
        return super()._train(technique, found, source)


def run_alone(
    memory: Fake | None, *, pack: int, epochs: int, root: Path, cpus: int = 1
) -> list[dict[str, Any]]:
    """A worker without Ray trains one pack, which is measured where there is a memory; what its steps said."""
    work = Work(Resources(pack=pack, cpus=cpus) if memory is None else Resources(gpus=1.0), 1, 0)
    work.add(trials(search={"lr": 0.1, "seeds": 100 if memory else pack}, task={"epochs": epochs}))
    made = work.take()
    assert made is not None
    kind = type("Alone", (Pretending,), {"memory": memory or Pretending.memory})
    worker = kind({"batch": work.config(made, root)})
    steps: list[dict[str, Any]] = []
    while not (steps and steps[-1]["done"]):
        steps.append(worker.step())
    return steps


def main(address: str, gpus: float) -> None:
    trainable.PackRunner = Pretending  # type: ignore[misc]
    study = parse(spec(search={"lr": [0.1, 0.2], "seeds": 100}, resources={"cpus": 1, "gpus": gpus}))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with open_store(f"sqlite:///{folder}/store.db", create=True) as store:
            done = runner.run_study(store, study, expand(study), root=root, address=address, quiet=True)
        packs = [int(size) for size in (root / "packs").read_text().split()]
    print(json.dumps({"packs": packs, "complete": done.complete}))


if __name__ == "__main__":
    from tests.sweep import accelerator  # by its name, so that workers find the class

    accelerator.main(sys.argv[1], float(sys.argv[2]))
