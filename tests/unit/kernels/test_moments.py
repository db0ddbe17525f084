"""Second moments of filter responses agree with their definition, and sit where they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.moments import grid_shape, moment_scratch, n_moments, second_moments
from reference import moments as slow
from support.images import random_image

SIDES = st.integers(1, 40)
N_FILTERS = st.integers(1, 14)
SEEDS = st.integers(0, 1000)


def bank_of(n_filters: int, seed: int = 0) -> NDArray[np.float32]:
    """Orthonormal filters without any symmetry."""
    rows, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(49, 49)))
    return np.ascontiguousarray(rows[:n_filters], np.float32)


def moments(image: NDArray[np.float32], bank: NDArray[np.float32]) -> NDArray[np.float32]:
    shape = (image.shape[0], image.shape[1])
    out = np.full((*grid_shape(shape), n_moments(len(bank))), np.nan, np.float32)
    scratch = moment_scratch(shape[1], len(bank))
    for part in scratch:
        part[:] = np.nan
    second_moments(image, bank, scratch, out)
    return out


def assert_matches(image: NDArray[np.float32], bank: NDArray[np.float32]) -> None:
    found, expected = moments(image, bank), slow.second_moments(image, bank)
    first, second = np.triu_indices(len(bank))
    energies = expected[..., np.flatnonzero(first == second)]
    # A product of two responses is as good as its factors: near zero it may be all rounding.
    scale = np.sqrt(energies[..., first] * energies[..., second])
    assert (np.abs(found - expected) <= 1e-5 * scale).all()


@given(SIDES, SIDES, N_FILTERS, SEEDS)
def test_moments_agree_with_the_definition(
    height: int, width: int, n_filters: int, seed: int
) -> None:
    assert_matches(random_image(seed, (height, width)), bank_of(n_filters, seed))


@pytest.mark.parametrize("width", [127, 128, 129, 136, 255, 256, 263, 400])
def test_moments_agree_where_tiles_meet(width: int) -> None:
    assert_matches(random_image(width, (24, width)), bank_of(10))


def test_moments_agree_on_a_bright_ground() -> None:
    # Of a mean that is 30 times the structure, as in a frame that was not filtered.
    assert_matches(random_image(5, (48, 48)) + np.float32(30.0), bank_of(10))


def test_energies_are_good_to_one_in_a_million() -> None:
    image, bank = random_image(6, (64, 300)), bank_of(10)
    first, second = np.triu_indices(10)
    found, expected = moments(image, bank), slow.second_moments(image, bank)
    squares = first == second
    np.testing.assert_allclose(found[..., squares], expected[..., squares], rtol=1e-6)


@given(st.integers(0, 47), st.integers(0, 47))
def test_one_pixel_lies_in_the_boxes_of_16_px_that_start_every_8_px(y: int, x: int) -> None:
    image = np.zeros((48, 48), np.float32)
    image[y, x] = 2.0
    centre = np.zeros((1, 49), np.float32)
    centre[0, 24] = 3.0
    expected = np.zeros((5, 5, 1), np.float32)
    for row in range(5):
        for column in range(5):
            inside = 8 * row <= y <= 8 * row + 15 and 8 * column <= x <= 8 * column + 15
            expected[row, column, 0] = 36.0 if inside else 0.0
    np.testing.assert_array_equal(moments(image, centre), expected)


def test_a_filter_is_correlated_and_not_convolved() -> None:
    image = np.zeros((48, 48), np.float32)
    image[24, 31] = 1.0
    corner = np.zeros((1, 49), np.float32)
    corner[0, 0] = 1.0  # sees the pixel 3 rows up and 3 columns left
    found = moments(image, corner)[..., 0]
    # Seen from (27, 34): rows 2 and 3 start at 16 and 24, and columns 3 and 4 at 24 and 32.
    expected = np.zeros((5, 5), np.float32)
    expected[2:4, 3:5] = 1.0
    np.testing.assert_array_equal(found, expected)


@given(SEEDS, st.integers(0, 3), st.integers(0, 20))
def test_a_shift_by_a_block_is_a_shift_by_a_cell_to_the_bit(
    seed: int, rows: int, columns: int
) -> None:
    image = random_image(seed, (64, 320))
    bank = bank_of(10, seed)
    shifted = np.roll(image, (8 * rows, 8 * columns), (0, 1))
    still, moved = moments(image, bank), moments(shifted, bank)
    # Away from the borders, where the frame comes in again or is mirrored.
    height, width, _ = still.shape
    np.testing.assert_array_equal(
        moved[rows + 1 : height - 1, columns + 1 : width - 1],
        still[1 : height - 1 - rows, 1 : width - 1 - columns],
    )


@given(st.integers(0, 63), st.integers(0, 143), st.sampled_from([np.nan, np.inf]))
def test_a_bad_pixel_spoils_the_cells_whose_windows_hold_it_and_no_others(
    y: int, x: int, value: float
) -> None:
    image = random_image(1, (64, 144))
    clean = moments(image, bank_of(3))
    image[y, x] = value
    found = moments(image, bank_of(3))
    top, left = 8 * np.arange(7)[:, None], 8 * np.arange(17)[None, :]
    reached = (top - 3 <= y) & (y <= top + 18) & (left - 3 <= x) & (x <= left + 18)
    # Mirrored at the edges, a pixel within 3 px of one is seen by no cell that does not see it.
    np.testing.assert_array_equal(np.isfinite(found).all(2), ~reached)
    np.testing.assert_array_equal(found[~reached], clean[~reached])


def test_sum_of_energies_does_not_depend_on_the_basis() -> None:
    image = random_image(3, (64, 64))
    identity, other = np.eye(49, dtype=np.float32), bank_of(49, 4)
    first, second = np.triu_indices(49)
    energies = [moments(image, bank)[..., first == second].sum(2) for bank in (identity, other)]
    np.testing.assert_allclose(energies[0], energies[1], rtol=1e-5)


@given(SEEDS, st.integers(-8, 8))
def test_moments_grow_with_the_square_of_the_gain(seed: int, exponent: int) -> None:
    image, bank = random_image(seed, (32, 40)), bank_of(5, seed)
    gain = np.float32(2.0**exponent)  # a power of two, so that float32 rounds nothing
    np.testing.assert_array_equal(moments(gain * image, bank), gain**2 * moments(image, bank))


@pytest.mark.parametrize("shape", [(15, 64), (64, 15), (1, 1), (7, 7)])
def test_a_frame_smaller_than_a_box_has_no_cells(shape: tuple[int, int]) -> None:
    assert moments(np.ones(shape, np.float32), bank_of(2)).size == 0


def test_arrays_of_other_sizes_are_refused() -> None:
    image, bank = np.zeros((32, 32), np.float32), bank_of(4)
    out = np.empty((3, 3, 10), np.float32)
    with pytest.raises(ValueError, match="out"):
        second_moments(image, bank, moment_scratch(32, 4), out[:2])
    with pytest.raises(ValueError, match="scratch"):
        second_moments(image, bank, moment_scratch(40, 4), out)
    with pytest.raises(ValueError, match="bank"):
        second_moments(image, bank[:, :48], moment_scratch(32, 4), out)
