"""Normalization layers on K trials at once, forward and backward.

Where numbers overflow they give what PyTorch's own layers give: whether a trial lives or dies must not depend on how it
is trained.
"""

# K trials, B batch, C channels, G groups

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustness.training.batches import laid_out
from robustness.training.feature_major.weights import Weighted, Weights

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm"]


class BatchNorm(Weighted):
    """Each trial's channel is a channel of one long batch.

    The statistics are vectorized sums: PyTorch's own kernel adds one number after another and takes three times as long.
    """

    def __init__(self, weights: Weights, module: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        """Take the settings of `module`."""
        super().__init__(weights)
        assert module.momentum
        self._eps, self._momentum = module.eps, module.momentum
        self._mean: Tensor | None = None
        self._variance: Tensor
        self._saved: tuple[Tensor, Tensor, Tensor]

    def keep(self, index: Tensor) -> None:
        """See `Layer`."""
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
        """See `Layer`."""
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
        """See `Layer`."""
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


class GroupNorm(Weighted):
    """Over the channels of a group and their positions, each example by itself.

    The backward pass is in the form of PyTorch's kernels: a combination of dy and x whose coefficients are sums of dy and
    of dy x. These overflow where sums over the normalized input do not, and trials must die where PyTorch's do.
    """

    def __init__(self, weights: Weights, groups: int, eps: float) -> None:
        """Normalize within so many groups of channels."""
        super().__init__(weights)
        self._groups, self._eps = groups, eps
        self._saved: tuple[Tensor, Tensor, Tensor, Tensor]

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """See `Layer`."""
        grouped = x.reshape(len(x), self._groups, -1, x.shape[-1])
        # Not var_mean, which takes ten times as long.
        mean = grouped.mean(2, keepdim=True)
        normal = grouped - mean
        variance = normal.square().mean(2, keepdim=True)
        overflown = variance.isinf()
        inverse = variance.add_(self._eps).rsqrt_()
        normal.mul_(inverse)
        if x.device.type == "cpu" and overflown.any():
            self._as_torch(overflown.flatten(1).any(1), x, normal, mean, inverse)
        self._saved = grouped, normal, mean, inverse
        weight, bias = self._per_channel(self._w.weight, x), self._per_channel(self._w.bias, x)
        return torch.addcmul(bias, normal.view(x.shape), weight)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        """See `Layer`."""
        grouped, _, mean, inverse = self._saved
        self._weight_gradient(dy)
        torch.sum(dy, tuple(range(2, dy.ndim)), out=self._w.bias_gradient)
        of_normal = (dy * self._per_channel(self._w.weight, dy)).view(grouped.shape)
        along_x = (of_normal * grouped).sum(2, keepdim=True)
        total = of_normal.sum(2, keepdim=True)
        n = grouped.shape[2]
        # In PyTorch's order of operations: another one overflows elsewhere.
        of_x = (total * mean - along_x) * inverse * inverse * inverse / n
        constant = -of_x * mean - total * inverse / n
        return of_normal.mul_(inverse).addcmul_(of_x, grouped).add_(constant).view(dy.shape)

    def _weight_gradient(self, dy: Tensor) -> None:
        """From sums over the positions of each example, before the mean is taken off: as PyTorch's group norm."""
        grouped, _, mean, inverse = self._saved
        by_channel = (*dy.shape[:2], -1, dy.shape[-1])
        along_x_KCB = (dy * grouped.view(dy.shape)).view(by_channel).sum(2)  # noqa: N806
        total_KCB = dy.view(by_channel).sum(2)  # noqa: N806
        by_group = (len(dy), self._groups, -1, dy.shape[-1])
        centred = (along_x_KCB.view(by_group) - total_KCB.view(by_group) * mean).mul_(inverse)
        torch.sum(centred.view(*dy.shape[:2], -1), -1, out=self._w.weight_gradient)

    def _as_torch(self, trials_K: Tensor, x: Tensor, normal: Tensor, mean: Tensor, inverse: Tensor) -> None:  # noqa: N803
        """Write what PyTorch's own kernel gives where a variance overflows: zeros, or NaN, by what it adds first.

        Whether such a trial lives or dies must not depend on how it is trained.
        """
        for k in trials_K.nonzero()[:, 0].tolist():
            own = laid_out(x[k].movedim(-1, 0).contiguous())
            sizes = len(own), own.shape[1], own[0, 0].numel()
            y, mean_BG, inverse_BG = torch.native_group_norm(own, None, None, *sizes, self._groups, self._eps)  # noqa: N806
            normal[k] = y.movedim(0, -1).reshape(normal[k].shape)
            mean[k], inverse[k] = mean_BG.T.unsqueeze(1), inverse_BG.T.unsqueeze(1)

    @staticmethod
    def _per_channel(values_KC: Tensor, like: Tensor) -> Tensor:
        return values_KC.view(*values_KC.shape, *(1,) * (like.ndim - 2))


class LayerNorm(GroupNorm):
    """Over all features of each example."""

    def __init__(self, weights: Weights, eps: float) -> None:
        """Normalize within one group."""
        super().__init__(weights, 1, eps)

    def _weight_gradient(self, dy: Tensor) -> None:
        """From the normalized input, as PyTorch's layer norm."""
        _, normal, _, _ = self._saved
        torch.sum(dy * normal.view(dy.shape), tuple(range(2, dy.ndim)), out=self._w.weight_gradient)
