"""Noise levels, row shifts and weights are those of the definition, to the last pixel of a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.kernels.residue import row_moments, spread_by_level, unshift_rows
from reference import residue as slow
from support.images import images, random_image

Image = NDArray[np.float32]
Law = tuple[float, float, float]
SMALL = st.floats(-10.0, 10.0, width=32)
LAWS = st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 5.0), st.floats(0.1, 1.0))
# Rows of less than a group of eight, of one, and with pixels left over.
FRAMES = images(SMALL, max_side_px=29)


def drawn(data: st.DataObject, shape: tuple[int, ...]) -> Image:
    values: Image = data.draw(arrays(np.float32, shape, elements=SMALL))
    return values


def mask(data: st.DataObject, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    values: NDArray[np.uint8] = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    return values


def moments(
    model: Image, residual: Image, used: NDArray[np.uint8], law: Law
) -> NDArray[np.float64]:
    out = np.full((len(model), 5), np.nan)
    row_moments(model, residual, used, law, out)
    return out


def unshifted(
    model: Image, shift_px: Image, law: Law, residual: Image
) -> tuple[Image, Image, Image]:
    left, precision, weighted = residual.copy(), np.full_like(model, 9), np.full_like(model, 9)
    unshift_rows(model, shift_px, law, left, precision, weighted)
    return left, precision, weighted


@given(FRAMES, st.integers(1, 9), st.floats(-12.0, 12.0), st.floats(-1.0, 25.0), st.data())
def test_levels_agree_with_the_definition(
    model: Image, n_bins: int, low: float, span: float, data: st.DataObject
) -> None:
    residual, used = drawn(data, model.shape), mask(data, model.shape)
    out = np.full((4, n_bins), np.nan)
    spread_by_level(model, residual, used, (low, low + span), out)
    expected = slow.spread_by_level(model, residual, used, (low, low + span), n_bins)
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_level_that_is_no_number_is_counted_in_an_outer_bin(value: float) -> None:
    model = np.full((1, 40), value, np.float32)
    out = np.empty((4, 4))
    spread_by_level(model, model, np.ones(model.shape, np.uint8), (0.0, 1.0), out)
    assert out[0].tolist() == ([0, 0, 0, 40] if value > 0 else [40, 0, 0, 0])


def test_levels_without_a_bin_are_refused() -> None:
    model = random_image(1, (4, 4))
    with pytest.raises(ValueError, match="one bin"):
        spread_by_level(model, model, np.ones((4, 4), np.uint8), (0.0, 1.0), np.empty((4, 0)))


def test_noise_of_counts_grows_with_the_level() -> None:
    rng = np.random.default_rng(2)
    model = rng.uniform(20.0, 80.0, (400, 400)).astype(np.float32)
    residual = rng.poisson(model).astype(np.float32) - model
    out = np.empty((4, 6))
    spread_by_level(model, residual, np.ones(model.shape, np.uint8), (20.0, 80.0), out)
    np.testing.assert_allclose(out[2] / out[0], out[1] / out[0], rtol=0.05)
    # The third central moment of a Poisson law is its mean, too.
    np.testing.assert_allclose(out[3].sum(), out[1].sum(), rtol=0.25)


@given(FRAMES, LAWS, st.data())
def test_moments_of_rows_agree_with_the_definition(
    model: Image, law: Law, data: st.DataObject
) -> None:
    residual, used = drawn(data, model.shape), mask(data, model.shape)
    found = moments(model, residual, used, law)
    # Up to 29 products of 10 x 10 over a variance of 0.1.
    np.testing.assert_allclose(found, slow.row_moments(model, residual, used, law), atol=0.05)


@given(FRAMES, LAWS, st.data())
def test_rows_shifted_back_agree_with_the_definition(
    model: Image, law: Law, data: st.DataObject
) -> None:
    residual, shift_px = drawn(data, model.shape), drawn(data, (len(model), 2))
    found = unshifted(model, shift_px, law, residual)
    expected = slow.unshift_rows(model, shift_px, law, residual)
    for one, other, atol in zip(found, expected, (1e-4, 1e-3, 1e-2), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=atol)


def test_frame_without_a_row_is_left_alone() -> None:
    empty, used = np.empty((0, 9), np.float32), np.empty((0, 9), np.uint8)
    assert moments(empty, empty, used, (0.0, 1.0, 0.1)).shape == (0, 5)


def test_pixel_left_out_says_nothing_of_its_row() -> None:
    model, residual = random_image(3, (7, 30)), random_image(4, (7, 30))
    used = np.ones(model.shape, np.uint8)
    used[3, 12] = 0
    expected = moments(model, residual, used, (0.0, 1.0, 0.1))
    residual[3, 12] = 1e6
    np.testing.assert_array_equal(moments(model, residual, used, (0.0, 1.0, 0.1)), expected)


def test_nan_spoils_the_sums_of_its_row_only() -> None:
    model, residual = random_image(5, (7, 30)), random_image(6, (7, 30))
    residual[3, 28] = np.nan
    found = moments(model, residual, np.ones(model.shape, np.uint8), (0.0, 1.0, 0.1))
    assert np.argwhere(np.isnan(found)).tolist() == [[3, 3], [3, 4]]


def test_shift_of_rows_is_recovered_and_taken_out() -> None:
    rng = np.random.default_rng(7)
    model = ndimage.gaussian_filter(rng.normal(size=(40, 300)), 3.0) * 20
    shift_px = rng.normal(0.0, 0.2, (40, 2)).astype(np.float32)
    dy, dx = slow.slopes(model.astype(np.float32))
    residual = (shift_px[:, :1] * dy + shift_px[:, 1:] * dx).astype(np.float32)
    law, used = (0.05, 1.0, 0.3), np.ones(model.shape, np.uint8)
    yy, yx, xx, y, x = moments(model.astype(np.float32), residual, used, law)[1:-1].T
    matrix = np.stack([yy, yx, yx, xx], axis=1).reshape(-1, 2, 2)
    solved = np.linalg.solve(matrix, np.stack([y, x], axis=1)[..., None])[..., 0]
    np.testing.assert_allclose(solved, shift_px[1:-1], atol=1e-4)
    left, _, weighted = unshifted(model.astype(np.float32), shift_px, law, residual)
    np.testing.assert_allclose(left, 0.0, atol=1e-5)
    np.testing.assert_allclose(weighted, 0.0, atol=1e-4)
