"""Augmentation, against slow loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustness.tasks import augment
from robustness.tasks.augment import CROP_DRAWS, crop_box


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


@pytest.mark.parametrize("kind", ["flip", "pad-crop", "pad-crop-flip", "random-resized-crop"])
def test_the_same_generator_gives_the_same_images(kind: str) -> None:
    assert torch.equal(augment(IMAGES, kind, generator()), augment(IMAGES, kind, generator()))


DRAWS = st.lists(
    st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4), min_size=10, max_size=10
)


@given(st.integers(1, 600), st.integers(1, 600), DRAWS)
def test_a_random_crop_lies_within_its_image(height: int, width: int, draws: list[list[float]]) -> None:
    top, left, h, w = crop_box(height, width, draws)
    assert 0 <= top <= top + h <= height
    assert 0 <= left <= left + w <= width
    assert h > 0
    assert w > 0


def test_random_crops_have_the_areas_and_ratios_of_their_definition() -> None:
    draws = torch.rand(2_000, *CROP_DRAWS, generator=generator()).tolist()
    boxes = torch.tensor([crop_box(400, 500, own) for own in draws], dtype=torch.float64)
    top, left, h, w = boxes.unbind(1)
    area, ratio = h * w / 200_000, w / h
    assert 0.079 < area.min() < 0.09
    assert 0.95 < area.max() <= 1
    assert 0.74 < ratio.min() < 0.76
    assert 1.32 < ratio.max() < 1.35
    assert abs((top / (400 - h).clamp_min(1)).mean() - 0.5) < 0.03
    assert abs((left / (500 - w).clamp_min(1)).mean() - 0.5) < 0.03


def test_what_no_part_of_the_ratio_fits_into_is_cut_in_the_middle() -> None:
    assert crop_box(10, 1_000, [[0.99, 0.5, 0.0, 0.0]] * 10) == (0, 493, 10, 13)


def test_a_resized_crop_of_a_slope_is_a_gentler_slope() -> None:
    slope = torch.arange(64.0).expand(20, 1, 64, 64)
    cropped = augment(slope, "random-resized-crop", generator())
    assert cropped.shape == slope.shape
    steps = cropped[..., 5:-5].diff(dim=3)
    assert torch.all(steps.abs() < 1.01)
    assert torch.allclose(steps, steps[:, :, :1, :1].expand_as(steps), atol=1e-4)
    assert 2 < (steps[:, 0, 0, 0] < 0).sum() < 18
