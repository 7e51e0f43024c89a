"""The patches of a convolution's inputs as columns of a matrix, and the way back."""

# K trials, C channels, H W height and width, B batch, L positions x batch

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Patches"]


class Patches:
    """For inputs of one shape. A tap, one place of the kernel, meets a grid of them, which is copied as a whole.

    One matrix serves both ways and stays between steps: fresh memory of that size costs more than filling it, and
    half the memory is more often in the cache.

    Args:
        like: an input, (K, C, H, W, B).
        kernel: its rows and columns.
        stride: along both.
        pad: zeros on each side.

    Attributes:
        out: rows and columns of the output.
    """

    def __init__(self, like: Tensor, kernel: Sequence[int], stride: Sequence[int], pad: int) -> None:
        """Take the memory, and look up once what every tap meets."""
        rows, columns = (
            _Side(size, taps, step, pad)
            for size, taps, step in zip(like.shape[2:4], kernel, stride, strict=True)
        )
        self.out = rows.outputs, columns.outputs
        patches = like.new_empty(*like.shape[:2], *kernel, *self.out, like.shape[-1])
        self._matrix = patches.flatten(1, 3).flatten(2)
        self._borders = [patches[:, :, i, :, outside] for i, outside in rows.borders()]
        self._borders += [patches[:, :, :, j, :, outside] for j, outside in columns.borders()]
        self._taps = [
            (patches[:, :, i, j, to_rows, to_columns], (..., of_rows, of_columns, slice(None)))
            for i, (to_rows, of_rows) in enumerate(rows.taps)
            for j, (to_columns, of_columns) in enumerate(columns.taps)
        ]
        self._shape = like.shape

    def of(self, x: Tensor) -> Tensor:
        """The matrix of an input's patches, (K, C kh kw, L), until `back` is called."""
        for border in self._borders:
            border.zero_()
        for part, place in self._taps:
            part.copy_(x[place])
        return self._matrix

    def back(self, weight: Tensor, dy: Tensor) -> Tensor:
        """The gradient of the input, until the next call.

        Args:
            weight: (K, C kh kw, O).
            dy: the output's gradient, (K, O, L).
        """
        torch.bmm(weight, dy, out=self._matrix)
        way = self._way_back
        if way.zeroed:
            way.gradient.zero_()
        for gradient, part in way.writes:
            gradient.copy_(part)
        for gradient, part in way.adds:
            gradient.add_(part)
        return way.gradient

    @cached_property
    def _way_back(self) -> _WayBack:
        """Looked up by the first step: evaluation and a network's first layer need none.

        The first tap to meet an input writes its gradient, the others add. Those that meet most come first, and then
        mostly no input is left that only others meet.
        """
        way = _WayBack(self._matrix.new_zeros(self._shape), [], [], zeroed=False)
        met = torch.zeros(self._shape[2:4], dtype=torch.bool)[..., None]
        more = []
        for part, place in sorted(self._taps, key=lambda tap: -tap[0].numel()):
            pair = way.gradient[place], part
            if met[place].any():
                way.adds.append(pair)
                more.append(place)
            else:
                way.writes.append(pair)
                met[place] = True
        return way._replace(zeroed=not all(bool(met[place].all()) for place in more))


class _WayBack(NamedTuple):
    """How the gradient of an input is made of its patches'.

    Attributes:
        gradient: of the input.
        writes: parts of it that a tap writes, and what.
        adds: parts that another tap adds to, and what.
        zeroed: whether it begins as zeros, since some are only added to.
    """

    gradient: Tensor
    writes: list[tuple[Tensor, Tensor]]
    adds: list[tuple[Tensor, Tensor]]
    zeroed: bool


class _Side:
    """One axis of the images: which inputs each tap of the kernel meets for which outputs."""

    def __init__(self, size: int, taps: int, step: int, pad: int) -> None:
        self.outputs = (size + 2 * pad - taps) // step + 1
        self.taps = []
        for tap in range(taps):
            # Output o meets input o step + tap - pad.
            first = max(0, -((tap - pad) // step))
            end = max(first, min(self.outputs, (size - 1 + pad - tap) // step + 1))
            start = first * step + tap - pad
            self.taps.append((slice(first, end), slice(start, start + (end - first) * step, step)))

    def borders(self) -> list[tuple[int, slice]]:
        """Taps with the outputs for which they meet no input."""
        found = [(tap, slice(0, to.start)) for tap, (to, _) in enumerate(self.taps) if to.start]
        return found + [
            (tap, slice(to.stop, None)) for tap, (to, _) in enumerate(self.taps) if to.stop < self.outputs
        ]
