"""Refined places and intensities are those of the definition."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.refine import (
    column_intensity,
    refine_near,
    refine_quadratic,
    site_contrast,
)
from reference import refine as slow
from support.images import broken_images, images, random_image

WINDOWS = arrays(np.float32, (3, 3), elements=st.floats(-10.0, 10.0, width=32), fill=st.nothing())
OFFSETS = st.floats(-0.7, 0.7)
# Eighths, so that a pixel at exactly the radius is so for both.
EIGHTHS = st.integers(-72, 160).map(lambda eighths: eighths / 8)
RADII = st.integers(0, 40).map(lambda eighths: eighths / 8)


def refine(image: NDArray[np.float32], y: int, x: int) -> NDArray[np.float64]:
    out = np.full((1, 2), np.nan)
    refine_quadratic(image, np.array([[y, x]], np.int32), out)
    step: NDArray[np.float64] = out[0]
    return step


def intensity(image: NDArray[np.float32], place: tuple[float, float], radius_px: float) -> float:
    out = np.empty(1, np.float32)
    column_intensity(image, np.array([place]), radius_px, out)
    return float(out[0])


@given(WINDOWS)
def test_step_agrees_with_least_squares(window: NDArray[np.float32]) -> None:
    _, _, _, dd_y, twist, dd_x = slow.fit_quadratic(window)
    determinant = 4 * dd_y * dd_x - twist**2
    # Nearer to a saddle either may find an extremum where the other finds none.
    assume(abs(determinant) > 1e-6)
    np.testing.assert_allclose(
        refine(window, 1, 1) - 1, slow.quadratic_step(window), atol=1e-5, rtol=1e-5
    )


@given(OFFSETS, OFFSETS, st.sampled_from([1.0, -1.0]))
def test_vertex_of_a_paraboloid_is_found(offset_y: float, offset_x: float, sign: float) -> None:
    y, x = np.mgrid[-3:4, -3:4]
    gap_y, gap_x = y - offset_y, x - offset_x
    image = (sign * (5 - gap_y**2 - 0.5 * gap_x**2 + 0.3 * gap_y * gap_x)).astype(np.float32)
    np.testing.assert_allclose(refine(image, 3, 3), [3 + offset_y, 3 + offset_x], atol=1e-5)


@given(broken_images(), st.integers(-5, 15), st.integers(-5, 15))
def test_step_is_finite_and_short_on_any_frame(image: NDArray[np.float32], y: int, x: int) -> None:
    assert np.all(np.abs(refine(image, y, x) - (y, x)) <= 0.75)


@pytest.mark.parametrize(("y", "x"), [(0, 3), (6, 3), (3, 0), (3, 6), (-1, 3), (99, 3)])
def test_place_on_the_edge_or_outside_stays(y: int, x: int) -> None:
    assert refine(random_image(1, (7, 7)), y, x).tolist() == [y, x]


def test_plane_and_saddle_and_nan_have_no_step() -> None:
    y, x = np.mgrid[-1:2, -1:2].astype(np.float32)
    for image in (2 * y + x, y * y - x * x + 0.1 * x, np.full((3, 3), np.float32(np.nan))):
        assert refine(image.astype(np.float32), 1, 1).tolist() == [1, 1]


@given(images(), st.tuples(EIGHTHS, EIGHTHS), RADII)
def test_intensity_agrees_with_the_definition(
    image: NDArray[np.float32], place: tuple[float, float], radius_px: float
) -> None:
    expected = slow.column_intensity(image, place, radius_px)
    np.testing.assert_allclose(intensity(image, place, radius_px), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("place", [(np.nan, 3.0), (3.0, np.inf), (-1e300, 3.0), (3.0, 40.0)])
def test_intensity_of_a_place_that_is_nowhere_is_nan(place: tuple[float, float]) -> None:
    assert np.isnan(intensity(np.ones((7, 7), np.float32), place, 4.0))


def test_nan_in_the_disc_makes_the_intensity_nan() -> None:
    image = np.ones((7, 7), np.float32)
    image[3, 4] = np.nan
    assert np.isnan(intensity(image, (3.0, 3.0), 2.0))
    assert intensity(image, (3.0, 1.0), 2.0) == 1.0


@given(broken_images(), st.tuples(EIGHTHS, EIGHTHS), st.integers(1, 3), st.sampled_from([1, -1]))
def test_extremum_beside_a_place_is_that_of_the_definition(
    image: NDArray[np.float32], place: tuple[float, float], reach_px: int, polarity: int
) -> None:
    # Of NaN there is no largest; infinities have no quadratic in double precision.
    assume(np.isfinite(image).all() and np.abs(image).max() < 1e4)
    out, found = np.empty((1, 2)), np.empty(1, np.bool_)
    refine_near(image, np.array([place]), reach_px, polarity, out, found)

    expected, exists = slow.refine_near(image, place, reach_px, polarity)

    assert bool(found[0]) == exists
    # Steps of nearly flat windows differ; those of others are compared below, and above.
    assert np.abs(out[0] - expected).max() <= (1.5 if exists else 0.0)


@given(OFFSETS, OFFSETS, st.integers(-2, 2), st.integers(-2, 2), st.sampled_from([1, -1]))
def test_top_within_reach_of_a_place_is_found(
    offset_y: float, offset_x: float, off_y: int, off_x: int, polarity: int
) -> None:
    y, x = np.mgrid[-9:10, -9:10]
    image = (polarity * (50 - (y - offset_y) ** 2 - (x - offset_x) ** 2)).astype(np.float32)
    out, found = np.empty((1, 2)), np.empty(1, np.bool_)
    refine_near(image, np.array([[9.0 + off_y, 9.0 + off_x]]), 5, polarity, out, found)
    assert found[0]
    np.testing.assert_allclose(out[0], [9 + offset_y, 9 + offset_x], atol=1e-4)


def test_nan_beside_an_extremum_hides_it() -> None:
    image = np.zeros((11, 11), np.float32)
    image[5, 5] = 1.0
    out, found = np.empty((1, 2)), np.empty(1, np.bool_)
    refine_near(image, np.array([[5.0, 6.0]]), 2, 1, out, found)
    assert found[0]
    image[4, 5] = np.nan
    refine_near(image, np.array([[5.0, 6.0]]), 2, 1, out, found)
    assert not found[0]
    assert out[0].tolist() == [5.0, 6.0]


@pytest.mark.parametrize("place", [(np.nan, 5.0), (np.inf, 5.0), (0.0, 5.0), (5.0, 10.0), (9e9, 1)])
def test_no_extremum_is_looked_for_at_the_edge_or_nowhere(place: tuple[float, float]) -> None:
    out, found = np.empty((1, 2)), np.ones(1, np.bool_)
    refine_near(random_image(3, (11, 11)), np.array([place]), 3, 1, out, found)
    assert not found[0]


@given(
    images(),
    st.tuples(EIGHTHS, EIGHTHS),
    st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=1, max_size=4),
)
def test_contrast_agrees_with_the_definition(
    image: NDArray[np.float32],
    place: tuple[float, float],
    around_px: list[tuple[float, float]],
) -> None:
    steps, out = np.array(around_px), np.empty(1, np.float32)
    site_contrast(image, np.array([place]), steps, out)
    expected = slow.site_contrast(image, place, steps)
    np.testing.assert_allclose(out[0], expected, rtol=1e-4, atol=1e-3)


def test_contrast_of_a_place_that_is_nan_is_nan() -> None:
    out = np.empty(1, np.float32)
    site_contrast(random_image(3, (5, 5)), np.array([[np.nan, 2.0]]), np.ones((1, 2)), out)
    assert np.isnan(out[0])
