"""Any model on a pack, by torch.func: what runs where there is no faster way, and the oracle of those that are.

On CUDA vmap turns convolutions with a weight a trial into grouped ones, which is what makes packs pay there.
"""

# K trials, B batch, N examples

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional as F  # noqa: N812  torch's own convention

from robustness.inits import weighted_layers
from robustness.optimizers.rules import Block, Measure
from robustness.tasks.models.layers import Dropout
from robustness.training.feature_major.layers import dropout_masks
from robustness.training.passes import Pass

__all__ = ["Vmapped"]


class Vmapped:
    """K trials of one model.

    Args:
        model: run on each trial's numbers; its own are not used.
        parameters: of the trials.
        gradients: written by `step`.
    """

    def __init__(self, model: nn.Module, parameters: Block, gradients: Block) -> None:
        """Copy the model, and its buffers once a trial."""
        self._model = copy.deepcopy(model)
        self._parameters, self._gradients = parameters, gradients
        size = len(parameters.flat)
        self._buffers = {n: b.expand(size, *b.shape).clone() for n, b in model.named_buffers()}
        self._dropouts = [m for m in self._model.modules() if isinstance(m, Dropout) and m.share]
        if len(self._dropouts) > 1:
            raise TypeError("two dropout layers would draw from one generator: they have no packed form")
        self._shapes: dict[torch.Size, torch.Size] = {}
        self._generators: list[torch.Generator] = []
        self._seed_of = torch.zeros(size, dtype=torch.long)

    def dropout(self, generators: Sequence[torch.Generator], seed_of: Tensor) -> None:
        """See `PackedModel.dropout`."""
        self._generators, self._seed_of = list(generators), seed_of

    def keep(self, index: Tensor) -> None:
        """See `PackedModel.keep`."""
        self._buffers = {name: b[index] for name, b in self._buffers.items()}

    def buffers(self) -> dict[str, Tensor]:
        """See `PackedModel.buffers`."""
        return self._buffers

    def restore(self, buffers: Mapping[str, Tensor]) -> None:
        """See `PackedModel.restore`."""
        self._buffers = dict(buffers)

    def step(self, inputs: Tensor, labels: Tensor, measure: Measure | None) -> Pass:
        """See `PackedModel.step`."""
        self._model.train()
        masks = self._masks(inputs) if self._dropouts and self._generators else ()
        parameters = {name: self._parameters[name] for name in self._parameters}

        def loss(
            p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor, y: Tensor, m: tuple[Tensor, ...]
        ) -> Any:
            with _Inputs(self._model, measure) as seen, _Fixed(self._dropouts, m):
                each = F.cross_entropy(functional_call(self._model, (p, b), (x,)), y, reduction="none")
            return each.mean(), (each, seen.figures)

        gradients, (_, (losses, figures)) = vmap(grad_and_value(loss, has_aux=True))(
            parameters, self._buffers, inputs, labels, masks
        )
        for name, gradient in gradients.items():
            self._gradients[name].copy_(gradient)
        powers = _side_by_side({name: found[0] for name, found in figures.items()})
        shares = [found[1] for found in figures.values() if len(found) > 1]
        return Pass(losses, powers, torch.stack(shares).mean(0) if shares else None)

    def evaluate(self, inputs: Tensor, labels: Tensor, *, training: bool) -> tuple[Tensor, Tensor]:
        """See `PackedModel.evaluate`."""
        self._model.train(training)

        def logits(p: dict[str, Tensor], b: dict[str, Tensor]) -> Tensor:
            with _Fixed(self._dropouts, ()):
                found: Tensor = functional_call(self._model, (p, b), (inputs,))
            return found

        parameters = {name: self._parameters[name] for name in self._parameters}
        logits_KNC = vmap(logits)(parameters, self._buffers)
        losses = vmap(F.cross_entropy, (0, None))(logits_KNC, labels)
        return losses, (logits_KNC.argmax(2) == labels).sum(1)

    def _masks(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Of the dropout layer, (K, B, ...), as the model would draw them."""
        [layer] = self._dropouts
        if inputs.shape[1:] not in self._shapes:
            self._shapes[inputs.shape[1:]] = self._shape_at(layer, inputs[0])
        shape = self._shapes[inputs.shape[1:]]
        return (dropout_masks(layer.share, self._generators, shape, inputs)[self._seed_of],)

    def _shape_at(self, layer: Dropout, batch: Tensor) -> torch.Size:
        """The shape of the layer's input, by one forward pass."""
        found: list[torch.Size] = []
        hook = layer.register_forward_pre_hook(lambda _, args: found.append(args[0].shape))
        with torch.no_grad():
            self._model.eval()(batch)
        self._model.train()
        hook.remove()
        return found[0]


def _side_by_side(figures: Mapping[str, Tensor]) -> Block | None:
    """Tensors (K, *shape) as one block."""
    if not figures:
        return None
    flat_KP = torch.cat([figure.flatten(1) for figure in figures.values()], 1)
    return Block(flat_KP, {name: figure.shape[1:] for name, figure in figures.items()})


class _Fixed:
    """Dropout layers that multiply by given masks, or do nothing where there are none."""

    def __init__(self, layers: list[Dropout], masks: tuple[Tensor, ...]) -> None:
        self._layers, self._masks = layers, masks

    def __enter__(self) -> None:
        for i, layer in enumerate(self._layers):
            factor = self._masks[i] if self._masks else torch.ones(())
            layer.forward = partial(torch.mul, factor)  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        for layer in self._layers:
            del layer.forward


class _Inputs:
    """Measures the inputs of a model's layers while it runs."""

    def __init__(self, model: nn.Module, measure: Measure | None) -> None:
        self._model, self._measure = model, measure
        self._hooks: list[Any] = []
        self.figures: dict[str, tuple[Tensor, ...]] = {}

    def __enter__(self) -> _Inputs:
        if self._measure is not None:
            for name, layer in weighted_layers(self._model):
                self._hooks.append(layer.register_forward_pre_hook(self._hook(name, self._measure)))
        return self

    def _hook(self, name: str, measure: Measure) -> Any:
        def look(module: nn.Module, args: tuple[Tensor]) -> None:
            self.figures[f"{name}.weight"] = measure.of_trial(module, args[0].detach())

        return look

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
