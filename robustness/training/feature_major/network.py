"""A model's own graph of layers, run on all trials of a pack, forward and backward.

The graph is read from the model by torch.fx, so the architecture is written once, in `tasks.models`.
"""

# K trials, B batch, N examples, C classes

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from robustness.optimizers.rules import Block, Measure
from robustness.tasks.models.layers import Dropout as DropoutModule
from robustness.training.feature_major.layers import (
    Conv,
    Dropout,
    Flatten,
    Layer,
    Linear,
    layer_of,
)
from robustness.training.feature_major.norms import BatchNorm
from robustness.training.passes import Pass

__all__ = ["FeatureMajor"]


_FRESH = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


class _Tracer(fx.Tracer):
    """Every module without children is a leaf, ours too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())


@dataclass(frozen=True, slots=True)
class _Node:
    """One operation of the graph.

    Attributes:
        name: the module's path; empty for additions and flattening.
        layer: None for an addition.
        inputs: places of the inputs among all values; 0 is the model's input.
        wanted: whether anything before it has parameters, so that its inputs need gradients.
    """

    name: str
    layer: Layer | None
    inputs: tuple[int, ...]
    wanted: bool


class FeatureMajor:
    """K trials of one model. See `layers` for what makes it fast.

    Args:
        model: whose graph is followed; its numbers are not used.
        parameters: of the trials.
        gradients: written by `step`.

    Raises:
        TypeError: a layer or operation of the model has no packed form.
    """

    def __init__(self, model: nn.Module, parameters: Block, gradients: Block) -> None:
        """Read the model's graph."""
        self._modules = dict(model.named_modules())
        self._nodes: list[_Node] = []
        self._parameters = parameters
        self._powers: Block | None = None
        self._minus_one = parameters.flat.new_full((), -1)
        self._has_images = any(isinstance(module, nn.Conv2d) for module in self._modules.values())
        place: dict[fx.Node, int] = {}
        trained = [False]
        for node in _Tracer().trace(model).nodes:
            if node.op == "placeholder":
                place[node] = 0
            elif node.op != "output":
                inputs = tuple(place[n] for n in node.all_input_nodes)
                wanted = any(trained[i] for i in inputs)
                name, layer = self._operation(node, parameters, gradients)
                self._nodes.append(_Node(name, layer, inputs, wanted))
                place[node] = len(self._nodes)
                own = bool(name) and any(True for _ in self._modules[name].parameters())
                trained.append(wanted or own)
        self._weighted = [(n, n.layer) for n in self._nodes if isinstance(n.layer, (Linear, Conv))]
        if sum(isinstance(node.layer, Dropout) for node in self._nodes) > 1:
            raise TypeError("two dropout layers would draw from one generator: they have no packed form")

    def _operation(self, node: fx.Node, parameters: Block, gradients: Block) -> tuple[str, Layer | None]:
        if node.op == "call_module":
            name = str(node.target)
            if any(n.name == name for n in self._nodes) and list(self._modules[name].parameters()):
                raise TypeError(f"{name} is used twice: it has no packed form")
            alone = self._is_read_once(node.all_input_nodes[0])
            return name, layer_of(name, self._modules[name], parameters, gradients, alone=alone)
        if node.op == "call_function" and node.target is operator.add and len(node.all_input_nodes) == 2:
            return "", None
        if node.op == "call_method" and node.target == "flatten" and node.args[1:] == (1,):
            return "", Flatten()
        raise TypeError(f"{node.target} has no packed form")

    def _is_read_once(self, node: fx.Node) -> bool:
        """Whether a value is a layer's fresh output that one operation reads."""
        if node.op != "call_module" or len(node.users) > 1:
            return False
        module = self._modules[str(node.target)]
        if isinstance(module, (nn.Identity, DropoutModule)):  # may pass on what they were given
            return self._is_read_once(node.all_input_nodes[0])
        return isinstance(module, _FRESH)

    def dropout(self, generators: Sequence[torch.Generator], seed_of: Tensor) -> None:
        """Give dropout layers the epoch's generators, one a distinct seed, and each trial's place among them."""
        for node in self._nodes:
            if isinstance(node.layer, Dropout):
                node.layer.generators, node.layer.seed_of = list(generators), seed_of

    def keep(self, index: Tensor) -> None:
        """Only these trials remain. The blocks are their owner's to cut."""
        self._powers = None
        for node in self._nodes:
            if node.layer is not None:
                node.layer.keep(index)

    def buffers(self) -> dict[str, Tensor]:
        """See `PackedModel.buffers`."""
        return {f"{name}.{n}": b for name, norm in self._batch_norms() for n, b in norm.averages().items()}

    def restore(self, buffers: Mapping[str, Tensor]) -> None:
        """See `PackedModel.restore`."""
        for name, norm in self._batch_norms():
            norm.restore(buffers[f"{name}.mean"], buffers[f"{name}.variance"])

    def _batch_norms(self) -> list[tuple[str, BatchNorm]]:
        return [(node.name, node.layer) for node in self._nodes if isinstance(node.layer, BatchNorm)]

    def step(self, inputs: Tensor, labels_KB: Tensor, measure: Measure | None) -> Pass:  # noqa: N803
        """One forward and backward pass in training mode; gradients are written.

        Args:
            inputs: (K, B, *shape).
            labels_KB: their classes.
            measure: of each layer's input; None measures nothing.
        """
        logits_KCB = self._forward(inputs, training=True)
        powers, clamped = (None, None) if measure is None else self._measured(measure)
        log_probabilities = torch.log_softmax(logits_KCB, 1)
        place = labels_KB[:, None]
        losses_KB = log_probabilities.gather(1, place)[:, 0].neg_()  # noqa: N806
        gradient = log_probabilities.exp_()
        gradient.scatter_add_(1, place, self._minus_one.expand(place.shape))
        self._backward(gradient.div_(labels_KB.shape[1]))
        return Pass(losses_KB, powers, clamped)

    def evaluate(self, inputs: Tensor, labels_N: Tensor, *, training: bool) -> tuple[Tensor, Tensor]:
        """Mean loss and number of right answers of each trial, (K,) each, on the same examples (N, *shape)."""
        trials = len(self._parameters.flat)
        shared = inputs.expand(trials, *inputs.shape)
        logits_KCN = self._forward(shared, training=training)
        place = labels_N.expand(trials, 1, -1)
        losses_K = -torch.log_softmax(logits_KCN, 1).gather(1, place)[:, 0].mean(-1)
        return losses_K, (_first_largest(logits_KCN) == labels_N).sum(-1)

    def _forward(self, inputs: Tensor, *, training: bool) -> Tensor:
        x = inputs.movedim(1, -1)
        values = [x.contiguous() if self._has_images else x]
        for node in self._nodes:
            if node.layer is None:
                values.append(values[node.inputs[0]] + values[node.inputs[1]])
            else:
                values.append(node.layer.forward(values[node.inputs[0]], training))
        self._values = values if training else values[:0]
        return values[-1]

    def _backward(self, gradient: Tensor) -> None:
        gradients: list[Tensor | None] = [None] * len(self._nodes) + [gradient]
        for i in range(len(self._nodes), 0, -1):
            node, dy = self._nodes[i - 1], gradients[i]
            gradients[i] = None
            if dy is None:
                continue
            found: Any = dy if node.layer is None else node.layer.backward(dy, node.wanted)
            for j in node.inputs if node.wanted else ():
                known = gradients[j]
                gradients[j] = found if known is None else known + found
        self._values = []

    def _measured(self, measure: Measure) -> tuple[Block, Tensor | None]:
        """The measure of each layer, and what `released` clamped, mean over layers."""
        if self._powers is None:
            modules = {node.name: self._modules[node.name] for node, _ in self._weighted}
            self._powers = measure.block(modules, self._parameters.flat)
        shares = []
        for node, layer in self._weighted:
            columns = self._powers.columns(f"{node.name}.weight")
            x = self._values[node.inputs[0]]
            clamped = measure.of_pack(self._modules[node.name], x, layer.seen, columns)
            shares += [] if clamped is None else [clamped]
        return self._powers, torch.stack(shares).mean(0) if shares else None


def _first_largest(logits_KCN: Tensor) -> Tensor:  # noqa: N803
    """The class of the largest logit, the first where several are, (K, N); argmax over this axis takes 20 times as long."""
    classes = logits_KCN.shape[1]
    place_C1 = torch.arange(classes, device=logits_KCN.device, dtype=logits_KCN.dtype)[:, None]  # noqa: N806
    largest = logits_KCN == logits_KCN.amax(1, keepdim=True)
    return torch.where(largest, place_C1, float(classes)).amin(1)
