"""Augmentation, against slow loops."""

from __future__ import annotations

import pytest
import torch

from robustness.tasks import augment


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


IMAGES = torch.arange(1.0, 1 + 50 * 2 * 16 * 8).reshape(50, 2, 16, 8)


def test_none_changes_nothing() -> None:
    assert augment(IMAGES, "none", generator()) is IMAGES


def test_flip_mirrors_about_half_of_the_images_as_a_whole() -> None:
    flipped = augment(IMAGES, "flip", generator())
    changed = [not torch.equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    assert 10 < sum(changed) < 40
    for image, original, mirrored in zip(flipped, IMAGES, changed, strict=True):
        assert torch.equal(image, original.flip(-1) if mirrored else original)


def test_pad_crop_shifts_each_image_by_at_most_an_eighth_of_its_side() -> None:
    shifted = augment(IMAGES, "pad-crop", generator())
    found = set()
    for image, original in zip(shifted, IMAGES, strict=True):
        padded = torch.nn.functional.pad(original, (1, 1, 2, 2))
        places = [
            (y, x) for y in range(5) for x in range(3) if torch.equal(image, padded[:, y : y + 16, x : x + 8])
        ]
        assert len(places) == 1
        found.update(places)
    assert len(found) > 10


@pytest.mark.parametrize("kind", ["flip", "pad-crop", "pad-crop-flip"])
def test_the_same_generator_gives_the_same_images(kind: str) -> None:
    assert torch.equal(augment(IMAGES, kind, generator()), augment(IMAGES, kind, generator()))
