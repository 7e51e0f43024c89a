"""Random changes of a batch of training images, on the images' own device."""

# B batch, C channels, H height, W width

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  torch's own convention

__all__ = ["augment"]


def augment(images_BCHW: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """The batch with each image shifted (`pad-crop`), mirrored (`flip`), both, or as it is (`none`).

    The shift is up to an eighth of the side (4 of 32 pixels, as is usual on CIFAR), zeros moving in.
    """
    if kind in ("pad-crop", "pad-crop-flip"):
        images_BCHW = _pad_crop(images_BCHW, generator)
    if kind in ("flip", "pad-crop-flip"):
        mirrored = torch.rand(len(images_BCHW), generator=generator, device=images_BCHW.device) < 0.5
        images_BCHW = torch.where(mirrored[:, None, None, None], images_BCHW.flip(3), images_BCHW)
    return images_BCHW


def _pad_crop(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    batch, _, height, width = images_BCHW.shape
    pad_h, pad_w = max(height // 8, 1), max(width // 8, 1)
    padded = F.pad(images_BCHW, (pad_w, pad_w, pad_h, pad_h))
    device = images_BCHW.device

    def starts(pad: int) -> Tensor:
        return torch.randint(2 * pad + 1, (batch, 1), generator=generator, device=device)

    rows_BH = starts(pad_h) + torch.arange(height, device=device)
    columns_BW = starts(pad_w) + torch.arange(width, device=device)
    picked_BHWC = padded.permute(0, 2, 3, 1)[
        torch.arange(batch, device=device)[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]
    ]
    return picked_BHWC.permute(0, 3, 1, 2)
