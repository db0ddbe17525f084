import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.lobes import find_lobes
from latticewatch.kernels.local_energy import cell_mask, site_statistics, window_statistics
from latticewatch.kernels.smooth import (
    SampledRows,
    gaussian_rows,
    gaussian_scratch,
    gaussian_weights,
    sampled_rows,
)
from reference import local_energy as slow
from support.images import FINE, broken_images, images, random_image

Image = NDArray[np.float32]
COORDINATES = st.floats(-3, 20) | st.just(float("nan"))
PLACES = st.lists(st.tuples(COORDINATES, COORDINATES), max_size=4)
MASKS = st.sampled_from(
    [
        cell_mask(np.array([[3.0, 0.0], [0.0, 5.0]])),
        cell_mask(np.array([[4.1, 1.0], [-1.9, 3.7]])),
        np.ones((1, 1), bool),
    ]
)


def energy_rows(residual: Image, sigma_px: float, step: int) -> SampledRows:
    weights = gaussian_weights(sigma_px)
    rows = sampled_rows((residual.shape[0], residual.shape[1]), step)
    with np.errstate(over="ignore"):
        squares = np.square(residual)
    gaussian_rows(squares, weights, gaussian_scratch(residual.shape[1], weights), rows)
    return rows


@given(broken_images(), PLACES, MASKS, st.integers(1, 3))
def test_statistics_of_sites_agree_with_the_definition(
    image: Image, places: list[tuple[float, float]], mask: NDArray[np.bool_], step: int
) -> None:
    rows = energy_rows(image, 1.0, step)
    wide = np.zeros(image.shape, np.float64)
    wide[::step] = rows.rows
    out = np.empty((len(places), 2))
    site_statistics(image, rows, np.array(places, np.float64).reshape(-1, 2), mask, out)
    for place, found in zip(places, out, strict=True):
        np.testing.assert_array_equal(found, slow.site_statistics(image, wide, step, place, mask))


@given(images(FINE | st.just(np.nan)), st.integers(1, 3), st.sampled_from([0.0, 0.7, 2.0]))
def test_statistics_of_windows_agree_with_the_definition(
    image: Image, step: int, sigma_px: float
) -> None:
    size = min(image.shape)
    window = np.ascontiguousarray(image[:size, :size])
    mask = np.zeros((size, size), bool)
    mask[size // 4 : max(size // 4 + 1, size - size // 4), size // 3 :] = True
    weights = gaussian_weights(sigma_px)
    out = np.empty((1, 2))
    window_statistics(window[None], mask, weights, step, out)
    expected = slow.window_statistics(window, mask, weights, step)
    largest = float(np.nanmax(np.abs(window), initial=0.0))
    np.testing.assert_allclose(out[0], expected, rtol=1e-5, atol=1e-6 * min(largest, 1e18) ** 2)


def test_window_has_the_statistics_of_its_place_in_the_frame() -> None:
    image = random_image(3, (60, 60))
    mask = cell_mask(np.array([[9.0, 2.0], [-2.0, 9.0]]))
    half = len(mask) // 2
    weights, out, inside = gaussian_weights(1.5), np.empty((1, 2)), np.empty((1, 2))
    site_statistics(image, energy_rows(image, 1.5, 1), np.array([[30.0, 31.0]]), mask, out)
    wide = np.zeros((33, 33), bool)
    wide[16 - half : 17 + half, 16 - half : 17 + half] = mask
    window = np.ascontiguousarray(image[14:47, 15:48])
    window_statistics(window[None], wide, weights, 1, inside)
    np.testing.assert_allclose(inside, out, rtol=1e-5)


@given(broken_images(), PLACES, MASKS, st.sampled_from([0.0, 2.0, 100.0]))
def test_lobes_agree_with_the_definition(
    image: Image, places: list[tuple[float, float]], mask: NDArray[np.bool_], reach_px: float
) -> None:
    out = np.empty((len(places), 6))
    find_lobes(image, np.array(places, np.float64).reshape(-1, 2), mask, reach_px, out)
    for place, found in zip(places, out, strict=True):
        expected = slow.find_lobes(image, place, mask, reach_px)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_displaced_column_has_two_lobes_where_they_are() -> None:
    y, x = np.indices((41, 41), np.float64)
    image = np.exp(-((y - 20.3) ** 2 + (x - 16.2) ** 2) / 8)
    image -= 0.8 * np.exp(-((y - 20.3) ** 2 + (x - 24.6) ** 2) / 8)
    mask = cell_mask(np.array([[21.0, 0.0], [0.0, 21.0]]))
    out = np.empty((1, 6))
    find_lobes(image.astype(np.float32), np.array([[20.0, 20.0]]), mask, 6.0, out)
    assert out[0, 0] > 0 > out[0, 3]
    np.testing.assert_allclose(out[0, 1:3], (20.3, 16.2), atol=0.1)
    np.testing.assert_allclose(out[0, 4:6], (20.3, 24.6), atol=0.1)


@pytest.mark.parametrize(
    "basis", [((22.0, 0.0), (0.0, 23.0)), ((20.0, 9.0), (-9.0, 20.0)), ((12.0, 7.0), (-12.0, 7.0))]
)
def test_cell_is_what_is_nearest_to_its_site(basis: tuple[tuple[float, float], ...]) -> None:
    mask = cell_mask(np.array(basis))
    assert mask.shape[0] % 2 == 1
    np.testing.assert_array_equal(mask, slow.cell_mask(np.array(basis), len(mask) // 2))
    assert mask.sum() == pytest.approx(abs(np.linalg.det(np.array(basis))), rel=0.15)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5)])
def test_mask_of_other_shape_is_refused(shape: tuple[int, int]) -> None:
    image, mask = random_image(1, (20, 20)), np.ones(shape, bool)
    with pytest.raises(ValueError, match="square"):
        site_statistics(image, energy_rows(image, 1.0, 1), np.ones((1, 2)), mask, np.empty((1, 2)))
    with pytest.raises(ValueError, match="square"):
        find_lobes(image, np.ones((1, 2)), mask, 3.0, np.empty((1, 6)))
    with pytest.raises(ValueError, match="square"):
        window_statistics(image[None], mask, gaussian_weights(1.0), 1, np.empty((1, 2)))


def test_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        window_statistics(
            random_image(1, (5, 5))[None], np.zeros((5, 5), bool), gaussian_weights(1.0), 1,
            np.empty((1, 2)),
        )  # fmt: skip
