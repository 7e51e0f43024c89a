"""A layer's parameters and gradients, as views of a pack's blocks."""

from __future__ import annotations

from torch import Tensor, nn

from robustness.optimizers.rules import Block

__all__ = ["Weighted", "Weights"]


class Weights:
    """A module's weight and bias in every trial, and where their gradients go."""

    def __init__(self, name: str, module: nn.Module, parameters: Block, gradients: Block) -> None:
        """Find the module's parameters by its name."""
        self._name, self._parameters, self._gradients = name, parameters, gradients
        self.has_bias = getattr(module, "bias", None) is not None
        self.look()

    def look(self) -> None:
        """Find the views in the blocks, which change when trials leave; a step has no time for it."""
        if f"{self._name}.weight" not in self._parameters:
            return
        self.weight = self._parameters[f"{self._name}.weight"]
        self.weight_gradient = self._gradients[f"{self._name}.weight"]
        if self.has_bias:
            self.bias = self._parameters[f"{self._name}.bias"]
            self.bias_gradient = self._gradients[f"{self._name}.bias"]


class Weighted:
    """A layer with parameters."""

    def __init__(self, weights: Weights) -> None:
        """Hold the layer's weights."""
        self._w = weights

    def keep(self, index: Tensor) -> None:
        """The blocks have been cut."""
        self._w.look()
