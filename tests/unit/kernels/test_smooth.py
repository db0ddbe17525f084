"""Blur and grey levels agree with their definitions, at the edges and on tiny frames too."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.kernels.levels import normalise, robust_range
from latticewatch.kernels.smooth import (
    difference_of_gaussians,
    difference_scratch,
    gaussian,
    gaussian_levels,
    gaussian_rows,
    gaussian_scratch,
    gaussian_weights,
    sampled_rows,
)
from reference import smooth as slow
from support.images import COARSE, broken_images, images, random_image

SIGMAS = st.floats(0.0, 6.0)
SHARES = st.floats(0.0, 1.0)


def blur(image: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty_like(image)
    scratch = gaussian_scratch(image.shape[1], weights)
    scratch[:] = np.nan
    gaussian(image, weights, scratch, out)
    return out


def levels(image: NDArray[np.float32], low: float, high: float, n_bins: int) -> tuple[float, float]:
    return robust_range(image, low, high, np.full(n_bins, 99, np.int64))


@given(st.floats(0.0, 20.0), st.floats(0.5, 5.0))
def test_weights_are_symmetric_and_sum_to_one(sigma_px: float, truncate: float) -> None:
    weights = gaussian_weights(sigma_px, truncate)
    assert len(weights) % 2 == 1
    assert weights.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_array_equal(weights, weights[::-1])


@given(images(), SIGMAS)
def test_blur_agrees_with_the_definition(image: NDArray[np.float32], sigma_px: float) -> None:
    weights = gaussian_weights(sigma_px)
    np.testing.assert_allclose(blur(image, weights), slow.gaussian(image, weights), atol=2e-3)


@given(images(st.one_of(COARSE, st.just(float("nan")))), SIGMAS)
def test_nan_spreads_over_the_weights_and_no_farther(
    image: NDArray[np.float32], sigma_px: float
) -> None:
    weights = gaussian_weights(sigma_px)
    # The marks of the definition: a pixel is NaN where the blurred mask of NaN is not zero.
    reached = slow.gaussian(np.isnan(image).astype(np.float32), np.ones_like(weights)) > 0
    np.testing.assert_array_equal(np.isnan(blur(image, weights)), reached)


def test_blur_is_that_of_scipy() -> None:
    image = random_image(1, (70, 53))
    expected = ndimage.gaussian_filter(image.astype(float), 3.0, truncate=2.5, mode="reflect")
    np.testing.assert_allclose(blur(image, gaussian_weights(3.0)), expected, atol=1e-6)


@given(broken_images(), SHARES, SHARES, st.integers(1, 300))
def test_range_agrees_with_the_definition(
    image: NDArray[np.float32], low: float, high: float, n_bins: int
) -> None:
    expected = slow.robust_range(image, low, high, n_bins)
    np.testing.assert_array_equal(levels(image, low, high, n_bins), expected)


@given(images(), SHARES)
def test_range_is_within_one_bin_of_the_sorted_pixels(
    image: NDArray[np.float32], share: float
) -> None:
    quantile = np.sort(image, axis=None)[max(math.ceil(share * image.size) - 1, 0)]
    found, _ = levels(image, share, share, 100)
    bin_width = float(np.ptp(image)) / 100
    assert found == pytest.approx(float(quantile), abs=1.001 * bin_width + 1e-4)


@given(images(COARSE), st.integers(-20, 20), st.integers(-40, 40))
def test_range_follows_gain_and_offset_exactly(
    image: NDArray[np.float32], exponent: int, offset: int
) -> None:
    gain = np.float32(2.0**exponent)
    low, high = levels(image, 0.02, 0.98, 64)
    # A power of two and small whole numbers, so that float32 rounds nothing.
    assert levels(gain * image, 0.02, 0.98, 64) == (float(gain) * low, float(gain) * high)
    shifted = levels(image + np.float32(offset), 0.02, 0.98, 64)
    assert shifted == pytest.approx((low + offset, high + offset), abs=1e-12)


def test_constant_frame_has_its_value_twice() -> None:
    assert levels(np.full((5, 9), 7.0, np.float32), 0.02, 0.98, 16) == (7.0, 7.0)


def test_frame_without_a_finite_pixel_has_no_range() -> None:
    assert np.isnan(levels(np.full((5, 9), np.inf, np.float32), 0.02, 0.98, 16)).all()


@given(images(), st.floats(-10.0, 10.0), st.floats(-10.0, 10.0))
def test_normalised_image_agrees_with_the_definition(
    image: NDArray[np.float32], low: float, high: float
) -> None:
    # Closer together than this, float32 rounds what is divided.
    high = high if abs(high - low) > 0.1 else low
    out = np.empty_like(image)
    normalise(image, low, high, out)
    np.testing.assert_allclose(out, slow.normalise(image, low, high), rtol=1e-5, atol=1e-3)


def test_normalising_in_place_is_the_same() -> None:
    image = random_image(2, (6, 5))
    out = np.empty_like(image)
    normalise(image, -1.0, 2.0, out)
    normalise(image, -1.0, 2.0, image)
    np.testing.assert_array_equal(image, out)


@pytest.mark.parametrize("high", [1.0, 0.0, float("nan")])
def test_no_range_gives_a_frame_of_zeros(high: float) -> None:
    out = np.full((3, 3), 9.0, np.float32)
    normalise(np.ones((3, 3), np.float32), 1.0, high, out)
    assert not out.any()


@given(images(), SIGMAS, st.integers(1, 5))
def test_some_rows_are_those_of_the_blurred_frame(
    image: NDArray[np.float32], sigma_px: float, step: int
) -> None:
    weights = gaussian_weights(sigma_px)
    some = sampled_rows((image.shape[0], image.shape[1]), step)
    gaussian_rows(image, weights, gaussian_scratch(image.shape[1], weights), some)
    np.testing.assert_array_equal(some.rows, blur(image, weights)[::step])


@given(images(), SIGMAS, st.integers(1, 5), st.sampled_from([(-2.0, 3.0), (3.0, -2.0), (1.0, 1.0)]))
def test_levelled_blur_is_the_blur_and_then_the_levels(
    image: NDArray[np.float32], sigma_px: float, step: int, levels: tuple[float, float]
) -> None:
    weights = gaussian_weights(sigma_px)
    scratch = gaussian_scratch(image.shape[1], weights)
    some = sampled_rows((image.shape[0], image.shape[1]), step)
    gaussian_rows(image, weights, scratch, some)
    out = np.full_like(image, np.nan)
    gaussian_levels(image, weights, levels, some, scratch, out)
    low, high = levels
    blurred = slow.gaussian(image, weights)
    expected = (blurred - low) / (high - low) if low != high else np.zeros(image.shape)
    np.testing.assert_allclose(out, expected, atol=2e-3)


def band(
    image: NDArray[np.float32], narrow: NDArray[np.float32], wide: NDArray[np.float32]
) -> NDArray[np.float32]:
    out = np.empty_like(image)
    scratch = difference_scratch(image.shape[1], wide)
    scratch[:] = np.nan
    difference_of_gaussians(image, narrow, wide, scratch, out)
    return out


@given(images(), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_difference_agrees_with_the_definition(
    image: NDArray[np.float32], narrow_px: float, more_px: float
) -> None:
    narrow, wide = gaussian_weights(narrow_px, 4.0), gaussian_weights(narrow_px + more_px, 4.0)
    expected = slow.difference_of_gaussians(image, narrow, wide)
    np.testing.assert_allclose(band(image, narrow, wide), expected, atol=2e-3)


def test_difference_is_that_of_scipy_less_that_of_scipy() -> None:
    image = random_image(6, (70, 53))
    blurs = [ndimage.gaussian_filter(image.astype(float), sigma, truncate=4) for sigma in (2, 3)]
    found = band(image, gaussian_weights(2.0, 4.0), gaussian_weights(3.0, 4.0))
    np.testing.assert_allclose(found, blurs[0] - blurs[1], atol=1e-6)


@given(images(st.one_of(COARSE, st.just(float("nan")))))
def test_nan_spreads_over_the_wider_weights_and_no_farther(image: NDArray[np.float32]) -> None:
    narrow, wide = gaussian_weights(0.5, 4.0), gaussian_weights(1.0, 4.0)
    reached = slow.gaussian(np.isnan(image).astype(np.float32), np.ones_like(wide)) > 0
    np.testing.assert_array_equal(np.isnan(band(image, narrow, wide)), reached)
