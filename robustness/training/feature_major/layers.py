"""Layers on K trials at once: forward and backward passes on batched matrices.

The batch is the last axis. A product of a layer's weights with its inputs is then one `bmm` whose matrices are
large enough for a processor (outputs x batch, not batch x 10), a softmax over ten classes runs along memory,
and a patch of a convolution is a row of `batch` numbers that is copied as a whole. `bmm` computes each matrix
by itself, so that a trial's numbers do not depend on its neighbours, its place, or K.

A layer's `backward` takes the gradient of its output and writes those of its parameters; it returns the
gradient of its input where that is asked for. `forward` must have run before.
"""

# K trials, B batch, F features, O outputs, C channels, H W height and width, G groups, L positions x batch

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from robustness.optimizers.rules import Block
from robustness.tasks.models import layers as ours
from robustness.training.feature_major.norms import BatchNorm, GroupNorm, LayerNorm
from robustness.training.feature_major.patches import Patches
from robustness.training.feature_major.weights import Weighted, Weights

__all__ = ["Layer", "layer_of"]


class Layer(Protocol):
    """One layer of all trials of a pack."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """The output."""

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        """The gradient of the input, where it is wanted."""

    def keep(self, index: Tensor) -> None:
        """Only these trials remain."""


def layer_of(name: str, module: nn.Module, parameters: Block, gradients: Block, *, alone: bool) -> Layer:
    """The packed form of a module.

    Args:
        name: its path in the model.
        module: whose kind and settings are taken.
        parameters: of the trials.
        gradients: of the trials.
        alone: whether nothing else reads the module's input, so that it may be overwritten.

    Raises:
        TypeError: it has none.
    """
    weights = Weights(name, module, parameters, gradients)
    if isinstance(module, nn.Linear):
        return Linear(weights)
    if isinstance(module, nn.Conv2d) and _is_plain(module):
        return Conv(weights, module)
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.momentum and module.affine:
        return BatchNorm(weights, module)
    if isinstance(module, nn.LayerNorm):
        return LayerNorm(weights, module.eps)
    if isinstance(module, nn.GroupNorm):
        return GroupNorm(weights, module.num_groups, module.eps)
    if isinstance(module, nn.ReLU):
        return Relu(alone=alone)
    for kind, layer in (
        (nn.Tanh, Tanh),
        (nn.Flatten, Flatten),
        (nn.Identity, Identity),
    ):
        if isinstance(module, kind):
            return layer()
    if isinstance(module, ours.Dropout):
        return Dropout(module.share)
    raise TypeError(f"{name}: {type(module).__name__} has no packed form")


def _is_plain(module: nn.Conv2d) -> bool:
    return (
        module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and module.padding in ((0, 0), (1, 1), (2, 2), (3, 3))
    )


class _Stateless:
    def keep(self, index: Tensor) -> None:
        """Nothing is kept between steps."""


class Linear(Weighted):
    """(K, F, B) to (K, O, B)."""

    seen: Tensor

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.seen = x
        y = torch.bmm(self._w.weight, x)
        # Not baddbmm, which first fills the output with copies of the bias.
        return y.add_(self._w.bias[:, :, None]) if self._w.has_bias else y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        # Not with `out`: into a view of the block bmm would go matrix by matrix.
        self._w.weight_gradient.copy_(torch.bmm(dy, self.seen.transpose(1, 2)))
        if self._w.has_bias:
            torch.sum(dy, -1, out=self._w.bias_gradient)
        return torch.bmm(self._w.weight.transpose(1, 2), dy) if wanted else None


class Conv(Weighted):
    """(K, C, H, W, B) to (K, O, H', W', B): the patches of all outputs as columns, and one product."""

    seen: Tensor

    def __init__(self, weights: Weights, module: nn.Conv2d) -> None:
        super().__init__(weights)
        [pad] = {int(p) for p in module.padding}
        self._form = module.kernel_size, module.stride, pad
        self._known: dict[torch.Size, Patches] = {}

    def keep(self, index: Tensor) -> None:
        super().keep(index)
        self._known.clear()

    def forward(self, x: Tensor, training: bool) -> Tensor:
        if x.shape not in self._known:
            self._known[x.shape] = Patches(x, *self._form)
        self._patches = self._known[x.shape]
        self.seen = self._patches.of(x)
        y = torch.bmm(self._w.weight.flatten(2), self.seen)
        y = y.view(len(x), -1, *self._patches.out, x.shape[-1])
        return y.add_(self._w.bias[:, :, None, None, None]) if self._w.has_bias else y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        dy_KOL = dy.flatten(2)
        self._w.weight_gradient.flatten(2).copy_(torch.bmm(dy_KOL, self.seen.transpose(1, 2)))
        if self._w.has_bias:
            torch.sum(dy_KOL, -1, out=self._w.bias_gradient)
        # Last: it overwrites what was seen.
        return self._patches.back(self._w.weight.flatten(2).transpose(1, 2), dy_KOL) if wanted else None


class Relu(_Stateless):
    """max(x, 0), in place where nothing else reads x: memory, not arithmetic, is what it costs."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self._y = torch.relu_(x) if self._alone else torch.relu(x)
        return self._y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        # One pass; a product with the comparison takes six times as long.
        dx: Tensor = torch.ops.aten.threshold_backward(dy, self._y, 0)
        return dx


class Tanh(_Stateless):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self._y = torch.tanh(x)
        return self._y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        dx: Tensor = torch.ops.aten.tanh_backward(dy, self._y)
        return dx


class Flatten(_Stateless):
    """All axes but the trial's and the batch's become one."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self._shape = x.shape
        return x.reshape(len(x), -1, x.shape[-1])

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        return dy.view(self._shape)


class Identity(_Stateless):
    """Nothing, where a model has no norm."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        return dy


class Dropout(_Stateless):
    """Dropout with masks as the model's own layer draws them: one generator a seed, shapes without the pack.

    Attributes:
        generators: one a distinct seed; set for each epoch.
        seed_of: of each trial, its place in `generators`.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self.generators: list[torch.Generator] = []
        self.seed_of: Tensor
        self._mask: Tensor | None = None

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self._mask = None
        if not training or self._share == 0 or not self.generators:
            return x
        shape = torch.Size([x.shape[-1], *x.shape[1:-1]])
        self._mask = dropout_masks(self._share, self.generators, shape, x)[self.seed_of].movedim(1, -1)
        return x * self._mask

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        return dy if self._mask is None else dy * self._mask


def dropout_masks(share: float, generators: list[torch.Generator], shape: torch.Size, like: Tensor) -> Tensor:
    """A mask (B, ...) of each generator, (S, B, ...), scaled as `tasks.models.layers.Dropout` scales its own.

    Args:
        share: of the units that are dropped.
        generators: one a distinct seed.
        shape: of one mask.
        like: its type and device are taken.
    """
    keep = 1 - share
    masks = like.new_empty(len(generators), *shape)
    for mask, generator in zip(masks, generators, strict=True):
        mask.bernoulli_(keep, generator=generator)
    return masks.div_(keep)
