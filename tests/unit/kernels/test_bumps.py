"""Bumps are found where they are defined, and only between columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.bumps import find_bumps, ground_near, mark_ground
from latticewatch.kernels.cells import CELL_BINS
from reference import bumps as slow

SEEDS = st.integers(0, 2**32 - 1)
BASES = st.sampled_from([[[24.0, 0.0], [0.0, 20.0]], [[18.0, 3.0], [-7.0, 19.0]]])
EVERYWHERE = np.ones(CELL_BINS**2, np.bool_)


def found_in(
    image: NDArray[np.float32],
    bins: NDArray[np.uint16],
    ground: NDArray[np.bool_],
    lengths_px: tuple[int, int],
) -> list[tuple[int, int]]:
    out = np.full((image.size, 2), -1, np.int32)
    n_found = find_bumps(image, bins, ground, lengths_px, out)
    assert (out[n_found:] == -1).all()
    return [(int(y), int(x)) for y, x in out[:n_found]]


@given(SEEDS, BASES, st.integers(1, 4), st.floats(0.0, 15.0))
def test_ground_agrees_with_the_definition(
    seed: int, basis: list[list[float]], n_columns: int, reach_px: float
) -> None:
    fractions = np.random.default_rng(seed).random((n_columns, 2))
    out = np.zeros(CELL_BINS**2, np.bool_)
    mark_ground(fractions, np.array(basis), reach_px, out)
    expected = slow.ground(fractions, np.array(basis), reach_px)
    # At the border itself rounding decides.
    assert np.count_nonzero(out.reshape(expected.shape) != expected) <= 8


@given(
    SEEDS,
    st.tuples(st.integers(1, 24), st.integers(1, 40)),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([3, 50]),
)
def test_bumps_agree_with_the_definition(
    seed: int, shape: tuple[int, int], radius_px: int, border_px: int, n_levels: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, n_levels, shape).astype(np.float32)  # many are equal
    bins = rng.integers(0, CELL_BINS**2, shape).astype(np.uint16)
    ground = rng.random(CELL_BINS**2) < 0.7
    found = found_in(image, bins, ground, (radius_px, border_px))
    assert found == slow.bumps(image, ground[bins], radius_px, border_px)


def test_what_does_not_fit_is_counted_and_left_out() -> None:
    image = np.zeros((20, 20), np.float32)
    image[5:16:5, 5:16:5] = 1.0
    bins, out = np.zeros(image.shape, np.uint16), np.zeros((2, 2), np.int32)
    assert find_bumps(image, bins, EVERYWHERE, (2, 1), out) == 9
    assert out.tolist() == [[5, 5], [5, 10]]


@given(SEEDS, st.floats(0.0, 4.0), st.floats(0.5, 9.0), st.floats(0.0, 1.0))
def test_ground_round_a_place_agrees_with_the_definition(
    seed: int, inner_px: float, outer_px: float, share: float
) -> None:
    rng = np.random.default_rng(seed)
    residual = rng.normal(size=(20, 24)).astype(np.float32)
    precision = rng.uniform(0.1, 2.0, (20, 24)).astype(np.float32)
    bins = rng.integers(0, CELL_BINS**2, (20, 24)).astype(np.uint16)
    ground = rng.random(CELL_BINS**2) < share
    places = rng.uniform((0, 0), (19, 23), (6, 2))
    out = np.full((6, 2), np.nan)
    ground_near((residual, precision), bins, ground, places, (inner_px, outer_px), out)
    expected = slow.ground_near(residual, precision, ground[bins], places, (inner_px, outer_px))
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-7)


def test_place_without_ground_is_known_to_no_one() -> None:
    image, bins = np.ones((9, 9), np.float32), np.zeros((9, 9), np.uint16)
    out = np.empty((1, 2))
    ground_near((image, image), bins, ~EVERYWHERE, np.array([[4.0, 4.0]]), (0.0, 3.0), out)
    assert out.tolist() == [[0.0, np.inf]]
