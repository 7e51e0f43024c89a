"""How many trials fit into a pack's share of an accelerator's memory, found by training a few.

One pack of a kind is trained for an epoch, evaluation included, and the peak is read. All that a pack allocates grows
with its trials, so the next ones can be as large as the share allows. Written for CUDA, and never run on one; its
arithmetic is tested with figures of a device that is not there.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["CONTEXT_BYTES", "MOST_MEASURED", "SAFE", "CudaMemory", "Gauge", "Memory"]

SAFE = 0.8
"""Of a share's memory what packs are made to fill: freed blocks lie between those in use."""
CONTEXT_BYTES = 512 << 20
"""What a process takes for CUDA itself, which no figure of torch tells."""
MOST_MEASURED = 256
"""Trials a pack, however much memory is left: what a pack saves is spent long before."""


class Memory(Protocol):
    """What a device tells of its memory, in bytes."""

    def total(self) -> int:
        """Of the device."""

    def held(self) -> int:
        """By this process's tensors, now."""

    def peak(self) -> int:
        """The most that was held since `forget_peak`."""

    def forget_peak(self) -> None:
        """Begin anew."""


class CudaMemory:
    """Of the GPU on which a worker trains: the first that Ray lets it see."""

    def total(self) -> int:
        """See `Memory`."""
        import torch

        _, total = torch.cuda.mem_get_info()
        return total

    def held(self) -> int:
        """See `Memory`."""
        import torch

        return torch.cuda.memory_allocated()

    def peak(self) -> int:
        """See `Memory`."""
        import torch

        return torch.cuda.max_memory_allocated()

    def forget_peak(self) -> None:
        """See `Memory`."""
        import torch

        torch.cuda.reset_peak_memory_stats()


class Gauge:
    """Measures one pack.

    Args:
        memory: of the device.
        gpus: what a pack gets of it, as in `[resources]`; a pack uses one device, however many it gets.
    """

    def __init__(self, memory: Memory, gpus: float) -> None:
        """Measure nothing yet."""
        self._memory = memory
        self._share = min(gpus, 1.0)
        self._before = 0

    def start(self) -> None:
        """Just before the pack, when what packs share is loaded."""
        self._memory.forget_peak()
        self._before = self._memory.held()

    def fitting(self, trials: int) -> int:
        """How many trials like the `trials` of this pack one may hold, from 1 to MOST_MEASURED."""
        each = (self._memory.peak() - self._before) / trials
        room = SAFE * (self._share * self._memory.total() - CONTEXT_BYTES) - self._before
        return min(max(int(room / max(each, 1.0)), 1), MOST_MEASURED)
