"""Mean and variance of boxes agree with their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.box_variance import box_scratch, box_variance
from reference import box_variance as slow
from support.images import images, random_image

SIDES = st.sampled_from([2, 8, 14, 16, 18, 20, 26, 40])


def boxes(
    image: NDArray[np.float32], side_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shape = tuple(max(side // 8 - 1, 0) for side in image.shape)
    mean, variance = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    scratch = box_scratch(image.shape[1], side_px)
    scratch[:] = np.nan
    box_variance(image, side_px, scratch, mean, variance)
    return mean, variance


@given(images(max_side_px=26), SIDES)
def test_boxes_agree_with_the_definition(image: NDArray[np.float32], side_px: int) -> None:
    mean, variance = slow.box_variance(image, side_px)
    found = boxes(image, side_px)
    np.testing.assert_allclose(found[0], mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], variance, rtol=1e-5, atol=1e-6)


def test_small_variance_on_large_counts_is_no_rounding() -> None:
    image = 60000.0 + np.round(random_image(2, (64, 64)))
    _, variance = slow.box_variance(image.astype(np.float32), 20)
    np.testing.assert_allclose(boxes(image.astype(np.float32), 20)[1], variance, rtol=1e-5)


@given(st.integers(0, 47), st.integers(0, 47), st.sampled_from([16, 20]))
def test_one_pixel_lies_in_the_boxes_round_the_centres_of_the_cells(
    y: int, x: int, side_px: int
) -> None:
    image = np.zeros((48, 48), np.float32)
    image[y, x] = 1.0
    centre = 8.0 * np.arange(5) + 7.5
    inside = np.outer(np.abs(y - centre) < side_px / 2, np.abs(x - centre) < side_px / 2)
    # No box of 20 px reaches beyond the edge by more than 2 px, where a pixel counts again.
    if side_px == 16 or (2 <= y < 46 and 2 <= x < 46):
        expected = inside / side_px**2
        np.testing.assert_allclose(boxes(image, side_px)[0], expected, rtol=1e-6)


@given(st.integers(0, 63), st.integers(0, 63))
def test_a_nan_spoils_the_boxes_that_hold_it_and_no_others(y: int, x: int) -> None:
    image = random_image(1, (64, 64))
    image[y, x] = np.nan
    mean, variance = slow.box_variance(image, 20)
    found = boxes(image, 20)
    np.testing.assert_allclose(found[0], mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], variance, rtol=1e-5)


def test_a_uniform_frame_has_no_variance() -> None:
    assert not boxes(np.full((32, 32), 0.1, np.float32), 20)[1].any()


def test_a_shift_by_8_px_is_a_shift_by_a_cell_to_the_bit() -> None:
    image = random_image(4, (80, 80))
    moved = boxes(np.roll(image, (8, 16), (0, 1)), 20)
    for still, shifted in zip(boxes(image, 20), moved, strict=True):
        np.testing.assert_array_equal(shifted[2:-1, 3:-1], still[1:-2, 1:-3])


@pytest.mark.parametrize("shape", [(15, 64), (64, 15), (1, 1)])
def test_a_frame_smaller_than_a_box_has_no_cells(shape: tuple[int, int]) -> None:
    assert boxes(np.ones(shape, np.float32), 20)[0].size == 0


def test_odd_sides_and_other_sizes_are_refused() -> None:
    image, out = np.zeros((32, 32), np.float32), np.empty((3, 3), np.float32)
    with pytest.raises(ValueError, match="even"):
        box_variance(image, 19, box_scratch(32, 20), out, out.copy())
    with pytest.raises(ValueError, match="variance"):
        box_variance(image, 20, box_scratch(32, 20), out, out[:2])
