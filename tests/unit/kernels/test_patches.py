"""Windows are those of the definition, and none reaches over the edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.patches import add_windows, gather_patches, gather_thinned, thinned_size
from reference import patches as slow
from support.images import images, random_image

COORDINATES = st.one_of(
    st.floats(-3.0, 14.0), st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 2.5, -0.5])
)


def gather(
    image: NDArray[np.float32], place: tuple[float, float], size: int
) -> tuple[NDArray[np.float32], bool]:
    out = np.full((1, size, size), np.nan, np.float32)
    inside = np.zeros(1, np.bool_)
    gather_patches(image, np.array([place]), size, out, inside)
    return out[0], bool(inside[0])


@given(images(), st.tuples(COORDINATES, COORDINATES), st.sampled_from([1, 3, 5, 7]))
def test_window_agrees_with_the_definition(
    image: NDArray[np.float32], place: tuple[float, float], size: int
) -> None:
    patch, inside = gather(image, place, size)
    expected = slow.gather_patch(image, place, size)
    assert inside == (expected is not None)
    if expected is None:
        expected = np.zeros((size, size))
    np.testing.assert_allclose(patch, expected, atol=5e-4)


def test_nan_spoils_its_own_window_only() -> None:
    image = random_image(4, (20, 20))
    image[5, 5] = np.nan
    out, inside = np.empty((2, 5, 5), np.float32), np.zeros(2, np.bool_)
    gather_patches(image, np.array([[5.0, 5.0], [5.0, 8.0]]), 5, out, inside)
    assert inside.all()
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()


def test_offset_of_the_frame_changes_no_window() -> None:
    image = random_image(5, (20, 20))
    plain, _ = gather(image, (9.0, 10.0), 7)
    shifted, _ = gather(image + np.float32(100.0), (9.0, 10.0), 7)
    np.testing.assert_allclose(plain, shifted, atol=2e-5)


@pytest.mark.parametrize("size", [4, 7])
def test_even_size_and_other_size_than_the_block_are_refused(size: int) -> None:
    out, inside = np.empty((1, 4, 4), np.float32), np.zeros(1, np.bool_)
    with pytest.raises(ValueError, match="odd"):
        gather_patches(random_image(6, (20, 20)), np.array([[9.0, 9.0]]), size, out, inside)


@given(
    images(),
    st.tuples(COORDINATES, COORDINATES),
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 3),
)
def test_thinned_window_agrees_with_the_definition(
    image: NDArray[np.float32], place: tuple[float, float], size: int, step: int
) -> None:
    n = thinned_size(size, step)
    out, inside = np.full((1, n, n), np.nan, np.float32), np.zeros(1, np.bool_)
    gather_thinned(image, np.array([place]), size, step, out, inside)
    expected = slow.gather_thinned(image, place, size, step)
    assert bool(inside[0]) == (expected is not None)
    if expected is None:
        expected = np.zeros((n, n))
    np.testing.assert_allclose(out[0], expected, atol=5e-4)


def test_thinned_window_of_even_size_is_refused() -> None:
    out, inside = np.empty((1, 3, 3), np.float32), np.zeros(1, np.bool_)
    with pytest.raises(ValueError, match="odd"):
        gather_thinned(random_image(6, (20, 20)), np.array([[9.0, 9.0]]), 6, 2, out, inside)


@given(images(), st.lists(st.tuples(COORDINATES, COORDINATES), max_size=5), st.sampled_from([1, 5]))
def test_sum_of_windows_agrees_with_the_definition(
    image: NDArray[np.float32], places: list[tuple[float, float]], size: int
) -> None:
    out = np.full((size, size), np.nan, np.float32)
    n_added = add_windows(image, np.array(places, np.float64).reshape(-1, 2), out)
    total, expected = slow.add_windows(image, places, size)
    assert n_added == expected
    np.testing.assert_allclose(out, total, rtol=1e-5, atol=5e-4)


def test_sum_of_windows_of_even_size_is_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        add_windows(random_image(6, (20, 20)), np.array([[9.0, 9.0]]), np.empty((4, 4), np.float32))
