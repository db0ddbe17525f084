"""What must hold for the kernels of a whole frame, without any expected value."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.extrema import strict_extrema
from latticewatch.kernels.levels import normalise, robust_range
from latticewatch.kernels.patches import gather_patches
from latticewatch.kernels.refine import refine_quadratic
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights
from support.images import images, random_image
from support.windows import powers

Image = NDArray[np.float32]
SIZE_PX = 9
CUTOFF = 3


def blur(image: Image, sigma_px: float) -> Image:
    weights = gaussian_weights(sigma_px)
    out = np.empty_like(image)
    gaussian(image, weights, gaussian_scratch(image.shape[1], weights), out)
    return out


def level(image: Image) -> Image:
    out = np.empty_like(image)
    low, high = robust_range(image, 0.02, 0.98, np.zeros(1024, np.int64))
    normalise(image, low, high, out)
    return out


def find(image: Image) -> NDArray[np.float64]:
    whole = np.empty((image.size, 2), np.int32)
    n_found = strict_extrema(image, 0.3, 3, 1, SIZE_PX // 2, whole)
    refined = np.empty((n_found, 2))
    refine_quadratic(image, whole[:n_found], refined)
    return refined


def describe(image: Image, places: NDArray[np.float64]) -> Image:
    patches = np.empty((len(places), SIZE_PX, SIZE_PX), np.float32)
    gather_patches(image, places, SIZE_PX, patches, np.empty(len(places), np.bool_))
    return powers(patches, CUTOFF)


@given(images(), st.floats(0.3, 4.0))
def test_blurring_a_turned_frame_turns_the_blurred_one(image: Image, sigma_px: float) -> None:
    turned = np.ascontiguousarray(np.rot90(image))
    np.testing.assert_allclose(
        blur(turned, sigma_px), np.rot90(blur(image, sigma_px)), atol=2e-3, rtol=1e-5
    )


@given(images(), st.floats(0.3, 4.0))
def test_blur_keeps_the_sum_and_exceeds_no_pixel(image: Image, sigma_px: float) -> None:
    blurred = blur(image, sigma_px)
    assert blurred.sum(dtype=float) == pytest.approx(image.sum(dtype=float), rel=1e-4, abs=0.1)
    assert blurred.max() <= image.max() + 1e-5 * abs(image).max()
    assert blurred.min() >= image.min() - 1e-5 * abs(image).max()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50.0), st.floats(-100.0, 1000.0))
@example(228, 17.0, 0.0)
def test_gain_and_offset_change_neither_places_nor_features(
    seed: int, gain: float, offset: float
) -> None:
    image = blur(random_image(seed, (48, 56)) + np.float32(20.0), 2.0)
    plain = level(image)
    changed = level((image.astype(np.float64) * gain + offset).astype(np.float32))
    # Rounding of the changed frame, in units of its own range.
    rounding = 6e-7 * (abs(offset) + 25 * gain) / (gain * float(np.ptp(image)))
    # A pixel at the edge of a bin may be rounded into the next: the range is known to a bin.
    bin_ = 2.0 / 1024
    np.testing.assert_allclose(changed, plain, rtol=bin_, atol=8 * rounding + bin_)
    places = find(plain)
    tolerance = 1e-3 + 4 * SIZE_PX**4 * rounding
    np.testing.assert_allclose(
        describe(changed, places), describe(plain, places), rtol=4 * bin_, atol=tolerance
    )


def test_mirrored_frame_has_the_mirrored_places() -> None:
    image = level(blur(random_image(7, (60, 80)), 2.0))
    mirrored = find(np.ascontiguousarray(image[:, ::-1]))
    expected = find(image)
    assert len(expected) > 10
    mirrored[:, 1] = 79 - mirrored[:, 1]
    by_place = np.lexsort((mirrored[:, 1], np.round(mirrored[:, 0])))
    again = np.lexsort((expected[:, 1], np.round(expected[:, 0])))
    np.testing.assert_allclose(mirrored[by_place], expected[again], atol=1e-9)


def test_frame_moved_by_whole_pixels_has_the_moved_places_and_equal_features() -> None:
    wide = level(blur(random_image(8, (90, 90)), 2.0))
    first, second = wide[5:65, 9:79].copy(), wide[8:68, 2:72].copy()
    moved = find(second) - (-3, 7)
    places = {
        tuple(place): row
        for place, row in zip(moved.round(6), describe(second, find(second)), strict=True)
    }
    shared = [
        (row, places[tuple(place)])
        for place, row in zip(find(first).round(6), describe(first, find(first)), strict=True)
        if tuple(place) in places
    ]
    assert len(shared) > 10
    for row, other in shared:
        np.testing.assert_array_equal(row, other)
