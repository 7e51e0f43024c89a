"""A convolution by patches equals PyTorch's own, whatever its kernel, stride, border and input."""

from __future__ import annotations

import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812  torch's own convention

from robustness.training.feature_major.patches import Patches

SIDES, KERNELS, STRIDES = (st.tuples(st.integers(1, most), st.integers(1, most)) for most in (7, 4, 3))


@given(sides=SIDES, kernel=KERNELS, stride=STRIDES, pad=st.integers(0, 3), trials=st.integers(1, 2))
def test_a_convolution_and_its_gradients_are_pytorchs(
    sides: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pad: int, trials: int
) -> None:
    assume(all(side + 2 * pad >= taps for side, taps in zip(sides, kernel, strict=True)))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(trials, 2, *sides, 3, generator=generator, dtype=torch.float64)
    weight = torch.randn(trials, 4, 2, *kernel, generator=generator, dtype=torch.float64)
    patches = Patches(x, kernel, stride, pad)
    for _ in range(2):  # the second time in memory that has been used
        y = torch.bmm(weight.flatten(2), patches.of(x)).view(trials, 4, *patches.out, 3)
        dy = torch.randn(y.shape, generator=generator, dtype=torch.float64)
        dx = patches.back(weight.flatten(2).transpose(1, 2), dy.flatten(2))
        for k in range(trials):
            images = x[k].movedim(-1, 0).requires_grad_()
            expected = F.conv2d(images, weight[k], stride=stride, padding=pad)
            torch.testing.assert_close(y[k].movedim(-1, 0), expected)
            [gradient] = torch.autograd.grad(expected, images, dy[k].movedim(-1, 0))
            torch.testing.assert_close(dx[k].movedim(-1, 0), gradient)
