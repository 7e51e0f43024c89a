"""How large packs of each kind are, as it becomes known; and the trials that wait for that."""

from __future__ import annotations

from collections.abc import Sequence

from robustness.sweep.packing import FIRST, Kind, Pack, Size, size_of
from robustness.trial import Trial

__all__ = ["Sizes"]


class Sizes:
    """Sizes that are given or follow from the task are known from the start; on an accelerator, `auto` is measured."""

    def __init__(self, size: Size, device: str) -> None:
        """See `grouped`."""
        self._size, self._device = size, device
        self._measured: dict[Kind, int] = {}
        self._held: dict[Kind, list[Trial]] = {}
        self._out: dict[int, Kind] = {}

    def of(self, kind: Kind) -> int | None:
        """The most trials a pack of a kind; None while nobody knows."""
        return size_of(kind, size=self._size, device=self._device) or self._measured.get(kind)

    def hold(self, kind: Kind, trials: Sequence[Trial]) -> Pack | None:
        """Keep trials until their kind is measured; the pack to measure, None where one is on its way."""
        if kind in self._held:
            self._held[kind] += trials
            return None
        self._held[kind] = list(trials[FIRST:])
        return Pack(technique=kind.technique, trials=tuple(trials[:FIRST]))

    def sent(self, id_: int, kind: Kind) -> None:
        """The pack to measure was handed out in this list."""
        self._out[id_] = kind

    def learn(self, id_: int, most: int) -> list[Trial]:
        """What the worker of a list measured; the trials that waited for it."""
        if id_ in self._out:
            self._measured[self._out[id_]] = most
        return self.ended(id_)

    def ended(self, id_: int) -> list[Trial]:
        """A list is done or its worker died, measured or not; the trials that waited for it."""
        kind = self._out.pop(id_, None)
        return [] if kind is None else self._held.pop(kind)
