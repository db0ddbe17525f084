"""Windows at sub-pixel places are those of the definition, and none reaches over the edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.gather import compare_windows, paste_windows, sample_windows
from reference import gather as slow
from support.images import images, random_image

COORDINATES = st.one_of(
    st.floats(-3.0, 14.0), st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 2.5, -0.5])
)


def sampled(
    image: NDArray[np.float32], place: tuple[float, float], size: int, step_px: float
) -> tuple[NDArray[np.float32], bool]:
    out = np.full((1, size, size), np.nan, np.float32)
    inside = np.zeros(1, np.bool_)
    sample_windows(image, np.array([place]), step_px, out, inside)
    return out[0], bool(inside[0])


@given(
    images(),
    st.tuples(COORDINATES, COORDINATES),
    st.integers(1, 6),
    st.floats(0.3, 2.5),
)
def test_window_agrees_with_the_definition(
    image: NDArray[np.float32], place: tuple[float, float], size: int, step_px: float
) -> None:
    if min(image.shape) < 2:
        return
    window, inside = sampled(image, place, size, step_px)
    middle = (size - 1) / 2 * step_px
    fits = all(
        at - middle >= 0 and (at - middle) + 2 * middle <= side - 1
        for at, side in zip(place, image.shape, strict=True)
    )
    assert inside == fits
    if not fits:
        assert not window.any()
        return
    expected = slow.sample_window(image, place, size, step_px)
    if expected is not None and np.isfinite(image).all():
        bound = 1e-5 * max(1.0, float(np.abs(image).max()))
        np.testing.assert_allclose(window, expected, atol=bound)


def test_whole_places_and_steps_copy_pixels() -> None:
    image = random_image(1, (20, 24))
    window, inside = sampled(image, (9.0, 10.0), 5, 2.0)
    assert inside
    np.testing.assert_array_equal(window, image[5:14:2, 6:15:2])


def test_window_that_ends_on_the_last_pixel_is_whole() -> None:
    image = random_image(2, (9, 9))
    window, inside = sampled(image, (4.0, 4.0), 9, 1.0)
    assert inside
    np.testing.assert_allclose(window, image, atol=1e-6)


def test_ramp_is_sampled_exactly_at_any_place() -> None:
    image = np.add.outer(np.arange(30.0), 2.0 * np.arange(30.0)).astype(np.float32)
    window, _ = sampled(image, (14.3, 13.9), 7, 1.37)
    at = (np.arange(7) - 3) * 1.37
    expected = np.add.outer(14.3 + at, 2.0 * (13.9 + at))
    np.testing.assert_allclose(window, expected, rtol=1e-6)


def test_nan_spoils_the_points_beside_it_only() -> None:
    image = random_image(3, (20, 20))
    image[9, 9] = np.nan
    window, _ = sampled(image, (9.5, 9.5), 4, 2.0)
    assert np.isnan(window).sum() == 1


@pytest.mark.parametrize(("size", "step_px"), [(4, 0.0), (4, -1.0), (4, np.nan)])
def test_steps_that_lead_nowhere_are_refused(size: int, step_px: float) -> None:
    with pytest.raises(ValueError, match="step"):
        sampled(random_image(4, (20, 20)), (9.0, 9.0), size, step_px)


def test_comparison_agrees_with_the_definition() -> None:
    windows = np.stack([random_image(seed, (7, 7)) for seed in range(3)])
    usual = random_image(9, (7, 7))
    weights = np.ones((7, 7), np.float32)
    weights[2:5, 2:5] = 0
    weights /= weights.sum()
    expected = [slow.compare_window(one, usual, weights, 0.3) for one in windows]
    compare_windows(windows, usual, weights, 0.3)
    np.testing.assert_allclose(windows, expected, atol=2e-4)


def test_offset_changes_no_comparison() -> None:
    usual, weights = random_image(1, (7, 7)), np.full((7, 7), 1 / 49, np.float32)
    plain = random_image(2, (7, 7))[None].copy()
    shifted = plain + np.float32(5.0)
    compare_windows(plain, usual, weights, 1.0)
    compare_windows(shifted, usual, weights, 1.0)
    np.testing.assert_allclose(plain, shifted, atol=1e-4)


def test_pasted_windows_show_what_was_sampled() -> None:
    image = np.add.outer(np.arange(40.0), np.arange(40.0)).astype(np.float32)
    places = np.array([[14.2, 13.7], [15.0, 22.0], [np.nan, 5.0], [24.0, 18.0]])
    windows, inside = np.empty((4, 9, 9), np.float32), np.empty(4, np.bool_)
    sample_windows(image, places, 1.5, windows, inside)
    picture, weight = np.empty_like(image), np.empty_like(image)
    paste_windows(windows, places, 1.5, picture, weight)
    shown = np.isfinite(picture)
    assert 200 < shown.sum() < 600
    np.testing.assert_allclose(picture[shown], image[shown], atol=1e-4)
