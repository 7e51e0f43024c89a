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
from robustness.training.batches import laid_out
from robustness.training.feature_major.patches import Patches

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
    weights = _Weights(name, module, parameters, gradients)
    if isinstance(module, nn.Linear):
        return Linear(weights)
    if isinstance(module, nn.Conv2d) and _is_plain(module):
        return Conv(weights, module)
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.momentum and module.affine:
        return BatchNorm(weights, module)
    if isinstance(module, nn.LayerNorm):
        return GroupNorm(weights, 1, module.eps)
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


class _Weights:
    """A module's weight and bias in every trial, and where their gradients go."""

    def __init__(self, name: str, module: nn.Module, parameters: Block, gradients: Block) -> None:
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


class _Stateless:
    def keep(self, index: Tensor) -> None:
        """Nothing is kept between steps."""


class _Weighted:
    def __init__(self, weights: _Weights) -> None:
        self._w = weights

    def keep(self, index: Tensor) -> None:
        """The blocks have been cut."""
        self._w.look()


class Linear(_Weighted):
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


class Conv(_Weighted):
    """(K, C, H, W, B) to (K, O, H', W', B): the patches of all outputs as columns, and one product."""

    seen: Tensor

    def __init__(self, weights: _Weights, module: nn.Conv2d) -> None:
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


class BatchNorm(_Weighted):
    """Each trial's channel is a channel of one long batch.

    The statistics are vectorized sums: PyTorch's own kernel adds one number after another and takes three times as long.
    """

    def __init__(self, weights: _Weights, module: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__(weights)
        assert module.momentum
        self._eps, self._momentum = module.eps, module.momentum
        self._mean: Tensor | None = None
        self._variance: Tensor
        self._saved: tuple[Tensor, Tensor, Tensor]

    def keep(self, index: Tensor) -> None:
        super().keep(index)
        if self._mean is not None:
            self._mean, self._variance = self._mean[index], self._variance[index]

    def averages(self) -> dict[str, Tensor]:
        """Running mean and variance, (K, C) each; nothing before the first batch."""
        return {} if self._mean is None else {"mean": self._mean, "variance": self._variance}

    def restore(self, mean: Tensor, variance: Tensor) -> None:
        """The reverse of `averages`."""
        self._mean, self._variance = mean, variance

    def forward(self, x: Tensor, training: bool) -> Tensor:
        trials, channels = x.shape[:2]
        if self._mean is None:
            self._mean, self._variance = x.new_zeros(trials, channels), x.new_ones(trials, channels)
        flat = x.reshape(1, trials * channels, -1)
        weight, bias = self._w.weight.reshape(-1), self._w.bias.reshape(-1)
        averages = self._mean.view(-1), self._variance.view(-1)
        if not training:
            y, *_ = torch.native_batch_norm(flat, weight, bias, *averages, False, self._momentum, self._eps)
            return y.view(x.shape)
        mean = flat.mean(2)[0]
        y = flat - mean[:, None]
        squares = torch.linalg.vector_norm(y, dim=2)[0].square_()
        n = flat.shape[2]
        inverse = (squares / n).add_(self._eps).rsqrt_()
        for average, found in zip(averages, (mean, squares.div_(n - 1)), strict=True):
            # Not lerp_, which makes NaN of an infinite average.
            average.mul_(1 - self._momentum).add_(found, alpha=self._momentum)
        self._saved = (flat, mean, inverse)
        return y.mul_((weight * inverse)[:, None]).add_(bias[:, None]).view(x.shape)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        assert self._mean is not None
        flat, mean, inverse = self._saved
        dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
            dy.reshape(flat.shape),
            flat,
            self._w.weight.reshape(-1),
            self._mean.view(-1),
            self._variance.view(-1),
            mean,
            inverse,
            True,
            self._eps,
            [True, True, True],
        )
        self._w.weight_gradient.copy_(dweight.view_as(self._mean))
        self._w.bias_gradient.copy_(dbias.view_as(self._mean))
        found: Tensor = dx.view(dy.shape)
        return found


class GroupNorm(_Weighted):
    """Over the channels of a group and their positions, each example by itself; layer norm is one group."""

    def __init__(self, weights: _Weights, groups: int, eps: float) -> None:
        super().__init__(weights)
        self._groups, self._eps = groups, eps
        self._saved: tuple[Tensor, Tensor]

    def forward(self, x: Tensor, training: bool) -> Tensor:
        grouped = x.reshape(len(x), self._groups, -1, x.shape[-1])
        # Not var_mean, which takes ten times as long.
        normal = grouped - grouped.mean(2, keepdim=True)
        variance = normal.square().mean(2, keepdim=True)
        overflown = variance.isinf()
        inverse = variance.add_(self._eps).rsqrt_()
        normal.mul_(inverse)
        if x.device.type == "cpu" and overflown.any():
            self._as_torch(overflown.flatten(1).any(1), x, normal, inverse)
        self._saved = normal, inverse
        weight, bias = self._per_channel(self._w.weight, x), self._per_channel(self._w.bias, x)
        return torch.addcmul(bias, normal.view(x.shape), weight)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        normal, inverse = self._saved
        axes = tuple(range(2, dy.ndim))
        torch.sum(dy * normal.view(dy.shape), axes, out=self._w.weight_gradient)
        torch.sum(dy, axes, out=self._w.bias_gradient)
        of_normal = (dy * self._per_channel(self._w.weight, dy)).view(normal.shape)
        along = (of_normal * normal).mean(2, keepdim=True)
        dx = of_normal - of_normal.mean(2, keepdim=True) - normal * along
        return dx.mul_(inverse).view(dy.shape)

    def _as_torch(self, trials_K: Tensor, x: Tensor, normal: Tensor, inverse: Tensor) -> None:  # noqa: N803
        """Write what PyTorch's own kernel gives where a variance overflows: zeros, or NaN, by what it adds first.

        Whether such a trial lives or dies must not depend on how it is trained.
        """
        for k in trials_K.nonzero()[:, 0].tolist():
            own = laid_out(x[k].movedim(-1, 0).contiguous())
            sizes = len(own), own.shape[1], own[0, 0].numel()
            y, _, inverse_BG = torch.native_group_norm(own, None, None, *sizes, self._groups, self._eps)  # noqa: N806
            normal[k] = y.movedim(0, -1).reshape(normal[k].shape)
            inverse[k] = inverse_BG.T.unsqueeze(1)

    @staticmethod
    def _per_channel(values_KC: Tensor, like: Tensor) -> Tensor:
        return values_KC.view(*values_KC.shape, *(1,) * (like.ndim - 2))


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
