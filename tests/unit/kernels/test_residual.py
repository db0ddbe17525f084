"""Residuals of windows are those of the definition, and point the right way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.residual import Residuals, make_residuals, window_residuals
from reference import residual as slow
from support.images import random_image

Image = NDArray[np.float32]
SIDE_PX = 17
SIZE_PX = 9
SIZES = st.sampled_from([1, 3, 5, 7, 9])
SEEDS = st.integers(0, 2**32 - 1)
# Eighths times small whole numbers: float32 rounds nothing, and what is equal is so in both.
WHOLE = st.integers(-2, 2).map(float)
EIGHTHS = st.integers(-4, 100).map(lambda eighths: eighths / 8)
REACHES = st.integers(-8, 60).map(lambda eighths: eighths / 8)


def compare(
    image: Image, places: list[tuple[float, float]], patch: Image, reach_px: float = 4.0
) -> Residuals:
    out = make_residuals(len(places))
    for column in out:
        column[:] = 99
    window_residuals(image, np.array(places, np.float64).reshape(-1, 2), patch, reach_px, out)
    return out


def columns(found: Residuals) -> list[NDArray[np.float64]]:
    return [np.asarray(column, np.float64) for column in found]


def square(seed: int, size: int) -> Image:
    return random_image(seed, (size, size))


def bump(at_yx: tuple[float, float], height: float, sigma_px: float = 2.0) -> Image:
    """Draw a round bump in a frame that is otherwise empty."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    distance = np.square(y - at_yx[0]) + np.square(x - at_yx[1])
    return np.asarray(height * np.exp(-distance / (2 * sigma_px**2)), np.float32)


@given(
    arrays(np.float32, (9, 13), elements=WHOLE),
    st.sampled_from([1, 3, 5, 7]).flatmap(
        lambda size: arrays(np.float32, (size, size), elements=WHOLE)
    ),
    st.tuples(EIGHTHS, EIGHTHS),
    REACHES,
)
def test_ties_and_flat_windows_agree_with_the_definition(
    image: Image, patch: Image, place: tuple[float, float], reach_px: float
) -> None:
    found = compare(image, [place], patch, reach_px)
    expected = slow.window_residual(image, place, patch, reach_px)
    if expected is None:
        assert all(np.isnan(column).all() for column in found[:-1])
        assert found.cut_off.tolist() == [1]
        return
    for name in ("amplitude", "opposite", "expected", "cut_off"):
        assert getattr(found, name).tolist() == [getattr(expected, name)], name
    np.testing.assert_allclose(found.noise, expected.noise, rtol=1e-12)
    np.testing.assert_allclose(found.peak_yx[0], expected.peak_yx, atol=1e-12)
    np.testing.assert_allclose(found.opposite_yx[0], expected.opposite_yx, atol=1e-12)


@given(SEEDS, SIZES, st.floats(-0.5, 0.4999), st.floats(-0.5, 0.4999), st.floats(0.0, 9.0))
def test_any_numbers_agree_with_the_definition(
    seed: int, size: int, step_y: float, step_x: float, reach_px: float
) -> None:
    image, patch = random_image(seed, (SIDE_PX, SIDE_PX)), square(seed + 1, size)
    place = (8 + step_y, 8 + step_x)
    found = compare(image, [place], patch, reach_px)
    expected = slow.window_residual(image, place, patch, reach_px)
    assert expected is not None
    assert found.amplitude[0] == pytest.approx(expected.amplitude, abs=1e-5)
    assert found.opposite[0] == pytest.approx(expected.opposite, abs=1e-5)
    assert found.expected[0] == pytest.approx(expected.expected, abs=1e-5)
    assert found.noise[0] == pytest.approx(expected.noise, abs=1e-5)
    assert bool(found.cut_off[0]) == expected.cut_off
    np.testing.assert_allclose(found.peak_yx[0], expected.peak_yx, atol=1e-3)
    np.testing.assert_allclose(found.opposite_yx[0], expected.opposite_yx, atol=1e-3)


@pytest.mark.parametrize("step", [(0.4, 0.0), (-0.4, 0.0), (0.0, 0.4), (0.0, -0.4), (0.3, -0.2)])
def test_mean_window_is_moved_with_the_site(step: tuple[float, float]) -> None:
    patch = bump((8, 8), 1.0)
    image = bump((8 + step[0], 8 + step[1]), 1.0)
    place = (8 + step[0], 8 + step[1])
    moved = compare(image, [place], patch)
    # Linear interpolation is off by an eighth of the curvature, 1 / sigma^2, on each axis.
    assert abs(moved.amplitude[0]) < 2 / 8 / 4
    backwards = compare(image, [(8 - step[0], 8 - step[1])], patch)
    assert abs(backwards.amplitude[0]) > 3 * abs(moved.amplitude[0])


@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.sampled_from([0.7, -0.7]))
def test_bump_and_hole_are_found_where_they_are(
    offset_y: float, offset_x: float, height: float
) -> None:
    place = (8 + offset_y, 8 + offset_x)
    found = compare(bump(place, height), [(8.0, 8.0)], np.zeros((13, 13), np.float32))
    # The parabola through a Gaussian with a sigma of 2 px is wrong by less than this.
    np.testing.assert_allclose(found.peak_yx[0], place, atol=0.02)
    assert np.sign(found.amplitude[0]) == np.sign(height)
    assert found.cut_off[0] == 0


@pytest.mark.parametrize(
    ("pixel", "cut_off"),
    [
        ((0, 4), 1),
        ((8, 4), 1),
        ((4, 0), 1),
        ((4, 8), 1),
        ((8, 8), 1),
        ((1, 1), 0),
        ((7, 4), 0),
        ((4, 7), 0),
    ],
)
def test_peak_at_the_border_stays_on_its_pixel_and_is_cut_off(
    pixel: tuple[int, int], cut_off: int
) -> None:
    image = 0.01 * random_image(1, (SIDE_PX, SIDE_PX))
    image[4 + pixel[0], 4 + pixel[1]] = 3.0
    found = compare(image, [(8.0, 8.0)], np.zeros((SIZE_PX, SIZE_PX), np.float32))
    assert found.cut_off.tolist() == [cut_off]
    stays = found.peak_yx[0].tolist() == [4 + pixel[0], 4 + pixel[1]]
    assert stays == bool(cut_off)


def test_counterpart_is_taken_within_reach_and_not_beyond() -> None:
    image = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    image[8, 8], image[11, 12], image[8, 10] = 5.0, -3.0, -1.0
    patch = np.zeros((13, 13), np.float32)
    near, exact = compare(image, [(8.0, 8.0)], patch, 4.99), compare(image, [(8, 8)], patch, 5.0)
    assert (near.opposite[0], near.opposite_yx[0].tolist()) == (1.0, [8.0, 10.0])
    assert (exact.opposite[0], exact.opposite_yx[0].tolist()) == (3.0, [11.0, 12.0])


def test_window_without_a_residual_has_no_amplitude_and_no_counterpart() -> None:
    patch = square(2, SIZE_PX)
    image = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    image[4:13, 4:13] = patch
    found = compare(image, [(8.0, 8.0)], patch)
    assert found.amplitude[0] == found.opposite[0] == found.noise[0] == 0
    assert found.peak_yx.tolist() == [[4.0, 4.0]]


@given(SEEDS, SIZES, st.tuples(st.floats(7.5, 8.49), st.floats(7.5, 8.49)))
def test_negative_has_the_negative_residual(
    seed: int, size: int, place: tuple[float, float]
) -> None:
    image, patch = random_image(seed, (SIDE_PX, SIDE_PX)), square(seed + 1, size)
    plain, negative = compare(image, [place], patch), compare(-image, [place], -patch)
    np.testing.assert_array_equal(negative.amplitude, -plain.amplitude)
    np.testing.assert_array_equal(negative.expected, -plain.expected)
    for name in ("peak_yx", "opposite_yx", "opposite", "noise", "cut_off"):
        np.testing.assert_array_equal(getattr(negative, name), getattr(plain, name), name)


@given(SEEDS, SIZES, st.tuples(st.floats(7.5, 8.49), st.floats(7.5, 8.49)))
def test_transposed_frame_has_the_transposed_residual(
    seed: int, size: int, place: tuple[float, float]
) -> None:
    image, patch = random_image(seed, (SIDE_PX, SIDE_PX)), square(seed + 1, size)
    plain = compare(image, [place], patch)
    turned = compare(image.T.copy(), [place[::-1]], patch.T.copy())
    np.testing.assert_allclose(turned.peak_yx, plain.peak_yx[:, ::-1], atol=1e-3)
    np.testing.assert_allclose(turned.opposite_yx, plain.opposite_yx[:, ::-1], atol=1e-3)
    for name in ("amplitude", "opposite", "expected", "noise", "cut_off"):
        np.testing.assert_allclose(getattr(turned, name), getattr(plain, name), atol=1e-5)


@given(SEEDS, SIZES, st.tuples(st.floats(7.6, 8.4), st.floats(7.6, 8.4)))
def test_mirrored_frame_has_the_mirrored_residual(
    seed: int, size: int, place: tuple[float, float]
) -> None:
    image, patch = random_image(seed, (SIDE_PX, SIDE_PX)), square(seed + 1, size)
    plain = compare(image, [place], patch)
    there = (place[0], SIDE_PX - 1 - place[1])
    mirrored = compare(image[:, ::-1].copy(), [there], patch[:, ::-1].copy())
    back = mirrored.peak_yx * (1, -1) + (0, SIDE_PX - 1)
    np.testing.assert_allclose(back, plain.peak_yx, atol=1e-3)
    for name in ("amplitude", "opposite", "expected", "noise", "cut_off"):
        np.testing.assert_allclose(getattr(mirrored, name), getattr(plain, name), atol=1e-5)


def test_level_of_the_frame_does_not_count() -> None:
    image, patch = random_image(3, (SIDE_PX, SIDE_PX)), square(4, SIZE_PX)
    plain = compare(image, [(8.2, 7.9)], patch)
    brighter = compare(image + np.float32(8.0), [(8.2, 7.9)], patch)
    for column, other in zip(columns(plain), columns(brighter), strict=True):
        np.testing.assert_allclose(column, other, atol=1e-4)


def test_noise_is_the_standard_deviation_of_normal_noise() -> None:
    image = np.float32(0.3) * random_image(5, (201, 201))
    image[100, 100] = 50.0
    found = compare(image, [(100.0, 100.0)], np.zeros((201, 201), np.float32))
    assert found.noise[0] == pytest.approx(0.3, rel=0.03)


def test_window_does_not_depend_on_those_before_it() -> None:
    image, patch = random_image(6, (60, 60)), square(7, SIZE_PX)
    rng = np.random.default_rng(8)
    places = [(float(y), float(x)) for y, x in rng.uniform(0, 59, (40, 2))]
    together = compare(image, places, patch)
    for window, place in enumerate(places):
        alone = compare(image, [place], patch)
        for column, other in zip(columns(together), columns(alone), strict=True):
            np.testing.assert_array_equal(column[window], other[0])


@pytest.mark.parametrize(
    "place", [(3.4, 8.0), (8.0, 12.5), (12.5, 8.0), (np.nan, 8.0), (8.0, np.inf), (-1e300, 8.0)]
)
def test_window_over_the_edge_is_left_out(place: tuple[float, float]) -> None:
    image, patch = random_image(9, (SIDE_PX, SIDE_PX)), square(10, SIZE_PX)
    found = compare(image, [place, (8.0, 8.0)], patch)
    assert np.isnan(found.amplitude).tolist() == [True, False]
    assert np.isnan(found.peak_yx).tolist() == [[True, True], [False, False]]
    assert found.cut_off[0] == 1


def test_nan_spoils_the_amplitude_of_its_own_window_only() -> None:
    image, patch = random_image(11, (30, 30)), square(12, SIZE_PX)
    clean = compare(image, [(8.0, 8.0), (20.0, 20.0)], patch)
    image[9, 6] = np.nan
    spoiled = compare(image, [(8.0, 8.0), (20.0, 20.0)], patch)
    assert np.isnan(spoiled.amplitude[0])
    for column, other in zip(columns(spoiled), columns(clean), strict=True):
        np.testing.assert_array_equal(column[1], other[1])


def test_read_only_frame_and_view_of_a_larger_one_are_the_same() -> None:
    wide, patch = random_image(13, (SIDE_PX, 40)), square(14, SIZE_PX)
    view = wide[:, 5 : 5 + SIDE_PX]
    frozen = view.copy()
    frozen.setflags(write=False)
    plain, same = compare(view, [(8.3, 8.0)], patch), compare(frozen, [(8.3, 8.0)], patch)
    for column, other in zip(columns(plain), columns(same), strict=True):
        np.testing.assert_array_equal(column, other)


def test_no_window_at_all_is_fine() -> None:
    found = compare(random_image(15, (SIDE_PX, SIDE_PX)), [], square(16, SIZE_PX))
    assert [len(column) for column in columns(found)] == [0] * 7
