"""Random changes of a batch of training images, on the images' own device."""

# B batch, C channels, H height, W width

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  torch's own convention

__all__ = ["CROP_DRAWS", "augment", "crop_box"]

CROP_DRAWS = (10, 4)
"""Numbers in [0, 1) that `crop_box` takes: tries, and for each area, ratio, row and column."""
LEAST_AREA, WIDEST = 0.08, 4 / 3


def augment(images_BCHW: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """The batch with each image shifted (`pad-crop`), mirrored (`flip`), both, or as it is (`none`).

    The shift is up to an eighth of the side (4 of 32 pixels, as is usual on CIFAR), zeros moving in.
    `random-resized-crop` enlarges a part of each image, see `crop_box`, and mirrors it half of the time.
    """
    if kind == "random-resized-crop":
        images_BCHW = _resized_crop(images_BCHW, generator)
    if kind in ("pad-crop", "pad-crop-flip"):
        images_BCHW = _pad_crop(images_BCHW, generator)
    if kind in ("flip", "pad-crop-flip", "random-resized-crop"):
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


def crop_box(height: int, width: int, draws: Sequence[Sequence[float]]) -> tuple[int, int, int, int]:
    """A random part of an image: top, left, height and width, in pixels.

    Its area is uniform from 8 to 100 % of the image's, the logarithm of its width over its height from log 3/4 to
    log 4/3; tried until it fits, ten times, else the largest such part in the middle.

    Args:
        height: of the image.
        width: of the image.
        draws: numbers in [0, 1), in the shape of `CROP_DRAWS`.

    Source: Szegedy et al. 2015, arXiv 1409.4842, section 6; as torchvision's RandomResizedCrop.
    """
    for area, ratio, row, column in draws:
        pixels = height * width * (LEAST_AREA + (1 - LEAST_AREA) * area)
        shape = WIDEST ** (2 * ratio - 1)
        h, w = round(math.sqrt(pixels / shape)), round(math.sqrt(pixels * shape))
        if 0 < h <= height and 0 < w <= width:
            return int(row * (height - h + 1)), int(column * (width - w + 1)), h, w
    h, w = min(height, round(width * WIDEST)), min(width, round(height * WIDEST))
    return (height - h) // 2, (width - w) // 2, h, w


def _resized_crop(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    batch, _, *size = images_BCHW.shape
    draws = torch.rand(batch, *CROP_DRAWS, generator=generator, device=images_BCHW.device).tolist()
    cropped = []
    for image, own in zip(images_BCHW, draws, strict=True):
        top, left, height, width = crop_box(size[0], size[1], own)
        part = image[None, :, top : top + height, left : left + width]
        cropped.append(F.interpolate(part, size, mode="bilinear", align_corners=False))
    return torch.cat(cropped)
