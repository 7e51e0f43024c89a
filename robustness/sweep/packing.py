"""Which trials train together, how, and how many.

The technique is a fixed function of what a trial is and of the kind of device, never of timing. How many share a pack,
where `pack = "auto"`:

- On a CPU, as many as fit a core's cache. Sizes change no bit of a result there, so that they may follow the machine and
  the load, and the same spec gives the same numbers in every store.
- On CUDA, as many as fit the pack's share of the GPU: a first pack of FIRST trials of each kind is measured, see `memory`,
  and the others of the kind wait for an epoch of it. Where there are too few to fill the slots with such packs, nothing
  is measured. Kernels are chosen by size there, so numbers agree to rounding, not to the bit, whatever the sizes.

| model | on a CPU | on CUDA |
|---|---|---|
| mlp | feature-major | feature-major |
| toy-cnn | feature-major where two trials fit the cache (pixels x batch <= 32,768), else one at a time | vmap: convolutions become grouped ones |
| resnet20 | one at a time: its convolutions keep a core busy | vmap |
| other models; imagenet; optimizers of other packages; bf16, fp16, compiled | one at a time | one at a time |

The column of the CPU is measured by `robustness bench packs --plan`; that of CUDA was never measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from robustness.catalog import DATASETS
from robustness.catalog.optimizer_entries import ENTRIES
from robustness.checkpoint_files import Outline
from robustness.trial import TaskConfig, Trial

if TYPE_CHECKING:
    from robustness.training.packed import Technique

__all__ = [
    "FIRST",
    "Kind",
    "Pack",
    "begun_packs",
    "cut",
    "grouped",
    "largest_pack",
    "size_of",
    "technique_of",
]

_TECHNIQUES: dict[tuple[str, str], Technique] = {
    ("mlp", "cpu"): "feature-major",
    ("toy-cnn", "cpu"): "feature-major",
    ("mlp", "cuda"): "feature-major",
    ("toy-cnn", "cuda"): "vmap",
    ("resnet20", "cuda"): "vmap",
}
_WITH_RULES = frozenset(entry.name for entry in ENTRIES)

CACHED_NUMBERS = 131_072
"""Numbers of one layer's activations, all trials together, that a core's second-level cache holds."""
MOST = 32
FIRST = 8
"""Trials of the first pack of a kind on an accelerator, by which its memory is measured."""

Size = int | Literal["auto"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What trials of one pack have in common; `family` is None where each trains by itself."""

    technique: Technique | None
    task: TaskConfig
    family: tuple[object, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Trials that train as one.

    Attributes:
        technique: None where each trains by itself, one after another.
        trials: in order.
        source: the checkpoint to go on from; None: the pack's own, where there is one.
    """

    technique: Technique | None
    trials: tuple[Trial, ...]
    source: str | None = None


def technique_of(trial: Trial, device: str) -> Technique | None:
    """How a trial is trained on a kind of device ("cpu", "cuda"); None: by itself."""
    task = trial.cell.task
    if trial.cell.optimizer.name not in _WITH_RULES or task.precision != "float32" or task.compile:
        return None
    if DATASETS.get(task.data.name).streamed:
        return None
    technique = _TECHNIQUES.get((task.model.name, device))
    if (task.model.name, device) == ("toy-cnn", "cpu") and largest_pack(task) < 2:
        return None  # its patches leave the cache: packs take as long as single trials, or longer
    return technique


def largest_pack(task: TaskConfig) -> int:
    """The most trials of a task that fit a CPU's cache together."""
    facts = DATASETS.get(task.data.name).facts(dict(task.data.arguments))
    arguments = dict(task.model.arguments)
    numbers = math.prod(facts.shape) * task.batch_size
    if task.model.name == "mlp":
        numbers = max(numbers, int(str(arguments["width"])) * task.batch_size)
    if task.model.name == "toy-cnn":
        # Its layers come one after another; packs of this size were the fastest, of half or twice it 5 % slower.
        numbers = 2 * math.prod(facts.shape[1:]) * task.batch_size
    return min(max(CACHED_NUMBERS // numbers, 1), MOST)


def grouped(trials: Sequence[Trial], *, size: Size, device: str) -> dict[Kind, list[Trial]]:
    """Trials by kind, in order.

    Args:
        trials: to be trained.
        size: as in `[resources]`; 1 trains every trial by itself, by the reference engine.
        device: "cpu" or "cuda".
    """
    groups: dict[Kind, list[Trial]] = {}
    for trial in trials:
        technique = technique_of(trial, device) if size != 1 else None
        family = trial.cell.optimizer.family if technique else None
        groups.setdefault(Kind(technique, trial.cell.task, family), []).append(trial)
    return groups


def size_of(kind: Kind, *, size: Size, device: str) -> int | None:
    """The most trials a pack of a kind; None where a first pack must tell how much memory they take."""
    if kind.technique is None:
        return 1
    if size != "auto":
        return size
    return largest_pack(kind.task) if device == "cpu" else None


def cut(kind: Kind, trials: Sequence[Trial], *, most: int, slots: int) -> Iterator[Pack]:
    """All trials of a kind in packs of up to `most`; at least one for each slot, so that none stands idle."""
    count = max(math.ceil(len(trials) / most), min(slots, len(trials)))
    for i in range(count):
        part = trials[len(trials) * i // count : len(trials) * (i + 1) // count]
        yield Pack(technique=kind.technique, trials=tuple(part))


def begun_packs(
    trials: Sequence[Trial], outlines: Iterable[Outline], *, size: Size, device: str
) -> tuple[list[Pack], list[Trial]]:
    """Packs that go on from checkpoints, their members as they were, and the trials that are in none.

    A trial by itself needs none of this: its worker finds the checkpoint by the trial's key.

    Args:
        trials: to be trained.
        outlines: of the checkpoints that there are; a trial in several goes on from the furthest.
        size: as in `[resources]`.
        device: "cpu" or "cuda"; a checkpoint of another technique is passed over.
    """
    left = {trial.key: trial for trial in trials}
    found = []
    for outline in sorted(outlines, key=lambda outline: -outline.epoch):
        members = tuple(
            left[key]
            for key in outline.keys
            if key in left and outline.technique and technique_of(left[key], device) == outline.technique
        )
        if members and size != 1:
            found.append(
                Pack(technique=technique_of(members[0], device), trials=members, source=outline.name)
            )
            for trial in members:
                del left[trial.key]
    return found, list(left.values())
