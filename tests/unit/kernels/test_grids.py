"""Sums over blocks are those of the definition; grids reach every pixel, however few blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.grids import (
    N_MOMENTS,
    apply_gain,
    block_means,
    block_moments,
    halve,
    subtract_grid,
    taper,
    thin,
)
from reference import grids as slow
from support.images import FINE, images, random_image

Image = NDArray[np.float32]
STEPS = st.integers(1, 7)
GRIDS = images(max_side_px=5)


def same_shape(image: Image, data: st.DataObject) -> Image:
    drawn: Image = data.draw(arrays(np.float32, image.shape, elements=FINE, fill=st.nothing()))
    return drawn


def means(image: Image, step: int) -> Image:
    out = np.full((image.shape[0] // step, image.shape[1] // step), np.nan, np.float32)
    block_means(image, step, out)
    return out


def subtracted(image: Image, grid: Image, step: int) -> Image:
    out = np.full_like(image, np.nan)
    subtract_grid(image, grid, step, out)
    return out


@given(images(), STEPS)
def test_means_agree_with_the_definition(image: Image, step: int) -> None:
    np.testing.assert_allclose(means(image, step), slow.block_means(image, step), atol=1e-3)


@given(images())
def test_halves_agree_with_the_definition(image: Image) -> None:
    out = np.full((image.shape[0] // 2, image.shape[1] // 2), np.nan, np.float32)
    halve(image, out)
    np.testing.assert_allclose(out, slow.block_means(image, 2), atol=1e-3)


@given(images())
def test_thinned_image_agrees_with_the_definition(image: Image) -> None:
    out = np.full((image.shape[0] // 2, image.shape[1] // 2), np.nan, np.float32)
    thin(image, out)
    np.testing.assert_allclose(out, slow.thin(image), atol=1e-3)


@given(images(), GRIDS, STEPS, st.integers(0, 2**32 - 1))
def test_tapered_frame_agrees_with_the_definition(
    image: Image, grid: Image, step: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.random((image.shape[0],)).astype(np.float32)
    columns = rng.random((image.shape[1],)).astype(np.float32)
    expected = slow.taper(image, grid, step, (rows, columns))
    taper(image, grid, step, (rows, columns), image)
    np.testing.assert_allclose(image, expected, atol=2e-3)


@given(images(), STEPS, st.data())
def test_moments_agree_with_the_definition(image: Image, step: int, data: st.DataObject) -> None:
    model = same_shape(image, data)
    used = data.draw(arrays(np.uint8, image.shape, elements=st.integers(0, 1)))
    out = np.full((N_MOMENTS, image.shape[0] // step, image.shape[1] // step), np.nan, np.float32)
    block_moments(image, model, used, step, out)
    expected = slow.block_moments(image, model, used, step)
    # Of values up to 1000, and of their squares.
    np.testing.assert_allclose(out[:3], expected[:3], atol=1e-3)
    np.testing.assert_allclose(out[3:], expected[3:], atol=1.0)


@given(images(), GRIDS, STEPS)
def test_subtracted_grid_agrees_with_the_definition(image: Image, grid: Image, step: int) -> None:
    expected = slow.subtract_grid(image, grid, step)
    np.testing.assert_allclose(subtracted(image, grid, step), expected, atol=2e-3)


@given(images(), GRIDS, STEPS, st.data())
def test_gain_and_offset_agree_with_the_definition(
    image: Image, gain: Image, step: int, data: st.DataObject
) -> None:
    model, offset = same_shape(image, data), same_shape(gain, data)
    expected = slow.apply_gain((gain, offset), step, image, model)
    residual = np.full_like(image, np.nan)
    apply_gain(gain, offset, step, image, model, residual)
    # Products up to 1e6.
    np.testing.assert_allclose(model, expected[0], atol=2.0)
    np.testing.assert_allclose(residual, expected[1], atol=2.0)


@given(images(), GRIDS, STEPS)
def test_subtracting_in_place_is_the_same(image: Image, grid: Image, step: int) -> None:
    expected = subtracted(image, grid, step)
    subtract_grid(image, grid, step, image)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("step", [3, 4, 5])
def test_means_of_a_ramp_bring_it_back_between_the_outer_centres(step: int) -> None:
    y, x = np.mgrid[:33, :47].astype(np.float32)
    ramp = 2 * y - 3 * x + 1
    left = subtracted(ramp, means(ramp, step), step)
    inner = tuple(slice(step, side // step * step - step) for side in ramp.shape)
    np.testing.assert_allclose(left[inner], 0.0, atol=1e-4)


@pytest.mark.parametrize("shape_yx", [(3, 20), (20, 3), (3, 3)])
def test_frame_smaller_than_a_block_has_no_means(shape_yx: tuple[int, int]) -> None:
    assert means(random_image(1, shape_yx), 4).size == 0


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_grid_without_a_block_is_refused(shape: tuple[int, int]) -> None:
    image, grid = random_image(2, (9, 9)), np.empty(shape, np.float32)
    with pytest.raises(ValueError, match="block"):
        subtract_grid(image, grid, 4, image)
    with pytest.raises(ValueError, match="block"):
        taper(image, grid, 4, (image[0], image[0]), image)
    with pytest.raises(ValueError, match="block"):
        apply_gain(grid, grid, 4, image, image.copy(), image.copy())


def test_gain_and_offset_of_different_shapes_are_refused() -> None:
    image, gain = random_image(3, (9, 9)), random_image(4, (3, 3))
    with pytest.raises(ValueError, match="one shape"):
        apply_gain(gain, gain[:2], 3, image, image.copy(), image.copy())


def test_nan_of_a_block_reaches_no_farther_than_the_next_centres() -> None:
    grid = np.zeros((5, 5), np.float32)
    grid[2, 2] = np.nan
    spoiled = np.isnan(subtracted(np.zeros((20, 20), np.float32), grid, 4))
    assert spoiled[8:12, 8:12].all()
    outside = np.ones_like(spoiled)
    outside[6:14, 6:14] = False
    assert not spoiled[outside].any()


def test_exact_model_is_explained_whole() -> None:
    model = random_image(5, (40, 50))
    image = np.float32(1.7) * model - np.float32(0.4)
    gain, offset = np.full((4, 5), 1.7, np.float32), np.full((4, 5), -0.4, np.float32)
    residual = np.empty_like(image)
    apply_gain(gain, offset, 10, image, model, residual)
    np.testing.assert_allclose(residual, 0.0, atol=1e-6)


def test_moments_give_gain_and_offset_of_each_block() -> None:
    model = random_image(6, (24, 36))
    used = (random_image(7, model.shape) > -1).astype(np.uint8)
    image = np.where(used, np.float32(2.5) * model + np.float32(0.3), np.float32(9.0))
    moments = np.empty((N_MOMENTS, 2, 3), np.float32)
    block_moments(image, model, used, 12, moments)
    n, m, v, mm, mv = moments.astype(np.float64)
    gain = (n * mv - m * v) / (n * mm - m * m)
    np.testing.assert_allclose(gain, 2.5, rtol=1e-4)
    np.testing.assert_allclose((v - gain * m) / n, 0.3, rtol=1e-3)
