"""What every way of training a pack offers: one step, and evaluation."""

# K trials, B batch, N examples

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from robustness.optimizers.rules import Block, Measure

__all__ = ["PackedModel", "Pass"]


class Pass(NamedTuple):
    """What a training step's forward and backward pass found.

    Attributes:
        losses: of each example, (K, B).
        powers: what was measured of each layer's input, until the next pass; None where there is no measure.
        clamped: share of deviations that INSGD's preset `released` clamped, mean over layers, (K,); else None.
    """

    losses: Tensor
    powers: Block | None
    clamped: Tensor | None


class PackedModel(Protocol):
    """K trials of one model; built from (model, parameters, gradients)."""

    def dropout(self, generators: Sequence[torch.Generator], seed_of: Tensor) -> None:
        """Give dropout layers the epoch's generators, one a distinct seed, and each trial's place among them."""

    def step(self, inputs: Tensor, labels: Tensor, measure: Measure | None) -> Pass:
        """Forward and backward of (K, B, *shape) and (K, B) in training mode; gradients are written."""

    def evaluate(self, inputs: Tensor, labels: Tensor, *, training: bool) -> tuple[Tensor, Tensor]:
        """Mean losses and right answers, (K,) each, of the same examples (N, *shape), (N,)."""

    def keep(self, index: Tensor) -> None:
        """Only these trials remain."""

    def buffers(self) -> dict[str, Tensor]:
        """What batch norm remembers, by name, (K, ...) each: all that a model keeps between epochs."""

    def restore(self, buffers: Mapping[str, Tensor]) -> None:
        """The reverse of `buffers`, whose tensors become the model's own."""
