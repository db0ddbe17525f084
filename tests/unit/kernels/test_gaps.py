"""Gaps are filled as the definition says, and what is known stays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.gaps import fill_gaps
from reference import gaps as slow

SIDES = st.integers(1, 11)
SEEDS = st.integers(0, 2**32 - 1)


def fields(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(SEEDS, st.integers(1, 3), SIDES, SIDES, st.floats(0.0, 1.0))
def test_filled_fields_agree_with_the_definition(
    seed: int, n_fields: int, height: int, width: int, share: float
) -> None:
    values = fields(seed, (n_fields, height, width))
    known = np.random.default_rng(seed).random((height, width)) < share
    expected = slow.fill_gaps(np.where(known, values, 0.0), known.astype(np.float64))
    kept = values[:, known].copy()

    fill_gaps(values, known)

    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_array_equal(values[:, known], kept)


@given(SEEDS, SIDES, SIDES)
def test_a_constant_comes_back_from_any_place(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    known = rng.random((height, width)) < 0.2
    known[rng.integers(height), rng.integers(width)] = True
    values = np.where(known, np.float32(3.5), np.float32(-99.0))[None].copy()

    fill_gaps(values, known)

    np.testing.assert_allclose(values, 3.5, rtol=1e-6)


def test_guesses_lie_within_what_is_known() -> None:
    values, known = fields(3, (1, 40, 60)), np.zeros((40, 60), bool)
    known[:, 20:23] = True
    low, high = values[:, known].min(), values[:, known].max()

    fill_gaps(values, known)

    assert values.min() >= low - 1e-6
    assert values.max() <= high + 1e-6


def test_nothing_known_is_zero_and_nothing_is_nothing() -> None:
    values = fields(4, (2, 5, 6))
    fill_gaps(values, np.zeros((5, 6), bool))
    np.testing.assert_array_equal(values, 0.0)
    fill_gaps(np.empty((2, 0, 6), np.float32), np.zeros((0, 6), bool))
