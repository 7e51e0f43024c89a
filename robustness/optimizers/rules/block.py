"""The parameters of a pack: one row a trial, so that an elementwise update is a few whole-matrix operations."""

# K trials in the pack, P numbers in a trial's parameters

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

__all__ = ["Block"]


class Block:
    """A matrix (K, P) with a view (K, *shape) for each named parameter.

    Attributes:
        flat: the matrix.
        shapes: of one trial's parameters, in the order of the columns.
    """

    def __init__(self, flat_KP: Tensor, shapes: Mapping[str, torch.Size]) -> None:
        """View `flat_KP`; nothing is copied."""
        self.shapes = dict(shapes)
        self._set(flat_KP)

    def _set(self, flat_KP: Tensor) -> None:
        self.flat = flat_KP
        parts = flat_KP.split([shape.numel() for shape in self.shapes.values()], dim=1)
        self._columns: dict[str, Tensor] = dict(zip(self.shapes, parts, strict=True))
        self._views: dict[str, Tensor] = {
            name: self._columns[name].unflatten(1, shape) if len(shape) != 1 else self._columns[name]
            for name, shape in self.shapes.items()
        }

    def __getitem__(self, name: str) -> Tensor:
        """The parameter of that name in all trials, (K, *shape): a view of `flat`."""
        return self._views[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a parameter of that name."""
        return name in self.shapes

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of the columns."""
        return iter(self.shapes)

    def columns(self, name: str) -> Tensor:
        """The same as a matrix (K, numbers)."""
        return self._columns[name]

    def like(self, flat_KP: Tensor) -> Block:
        """Another matrix of the same columns."""
        return Block(flat_KP, self.shapes)

    def keep(self, index: Tensor) -> None:
        """Only these rows remain, in this order."""
        self._set(self.flat[index])
