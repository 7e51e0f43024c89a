"""What a whole training step costs with each optimizer, as a ratio to SGD with momentum.

Every optimizer trains its own copy of the network; a round takes one step of each in turn, so that a slow
moment of the machine meets all of them. The ratio of each round is taken within the round.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp
from torch.nn import functional as F  # noqa: N812  torch's own convention

from robustness.catalog import OPTIMIZERS
from robustness.optimizers import build_optimizer
from robustness.optimizers.insgd import INSGD
from robustness.tasks.models.resnet import ResNet20
from robustness.tasks.models.toy_cnn import ToyCNN

__all__ = ["Cost", "measure"]

BASELINE = "sgd momentum"
BATCH = 128
SHAPE = (3, 32, 32)
NETS: dict[str, Callable[[], torch.nn.Module]] = {
    "resnet20": lambda: ResNet20(shape=SHAPE, classes=10, norm="batch"),
    "toy-cnn": lambda: ToyCNN(shape=SHAPE, classes=10, norm="batch", dropout=0.2, activation="relu"),
}
_INSGD_VARIANTS: dict[str, dict[str, Any]] = {
    "insgd l2": {},
    "insgd l1": {"norm": "l1"},
    "insgd layer": {"granularity": "layer"},
    "insgd patch": {"granularity": "patch"},
    "insgd released": {"preset": "released"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The cost of one optimizer on one network.

    Attributes:
        net: the network.
        optimizer: its name.
        ratio: median over rounds of its step's time over the baseline's in the same round.
        low: least ratio of a round.
        high: largest.
        milliseconds: median of its step.
        memory_ratio: peak resident memory of a process of its own over the baseline's; None if not measured.
    """

    net: str
    optimizer: str
    ratio: float
    low: float
    high: float
    milliseconds: float
    memory_ratio: float | None


Step = Callable[[], None]


def measure(rounds: int, *, memory: bool, on_round: Callable[[], None]) -> Iterator[Cost]:
    """Costs of every optimizer of the catalog and of INSGD's variants, net by net.

    Args:
        rounds: steps of each optimizer, after one that is not counted.
        memory: measure INSGD's peak memory too, in processes of their own.
        on_round: called after each round, for a progress bar.
    """
    for net in NETS:
        steps = {name: _step(net, name) for name in _names()}
        times: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(rounds + 1):
            for name, step in steps.items():
                began = time.perf_counter()
                step()
                if number:
                    times[name].append(time.perf_counter() - began)
            on_round()
        peaks = {name: _peak(net, name) for name in (BASELINE, *_INSGD_VARIANTS)} if memory else {}
        for name, own in times.items():
            ratios = [t / base for t, base in zip(own, times[BASELINE], strict=True)]
            yield Cost(
                net=net,
                optimizer=name,
                ratio=round(statistics.median(ratios), 3),
                low=round(min(ratios), 3),
                high=round(max(ratios), 3),
                milliseconds=round(1_000 * statistics.median(own), 2),
                memory_ratio=round(peaks[name] / peaks[BASELINE], 3) if name in peaks else None,
            )


def _names() -> list[str]:
    others = [entry.name for entry in OPTIMIZERS if entry.name != "insgd" and not entry.extra]
    return [BASELINE, *_INSGD_VARIANTS, *others]


def _step(net: str, name: str) -> Step:
    """A whole training step: forward, backward, update, on one batch of random images."""
    torch.manual_seed(0)
    model = NETS[net]().to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, *SHAPE).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % 10
    if name == BASELINE:
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, foreach=True)
    elif name in _INSGD_VARIANTS:
        optimizer = INSGD(model, lr=1e-4, **_INSGD_VARIANTS[name])
    else:
        optimizer = build_optimizer(OPTIMIZERS.get(name).fill({}), model, 1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def _peak(net: str, name: str) -> float:
    """Peak resident memory of a fresh process that takes three steps, in MB."""
    context = mp.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_report_peak, args=(net, name, torch.get_num_threads(), queue))
    process.start()
    peak: float = queue.get()
    process.join()
    return peak


def _report_peak(net: str, name: str, threads: int, queue: Any) -> None:
    torch.set_num_threads(threads)
    step = _step(net, name)
    for _ in range(3):
        step()
    queue.put(_peak_resident())


def _peak_resident() -> float:
    """In MB. Linux counts the parent's peak into `ru_maxrss` of a spawned process, so its own is read."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024
