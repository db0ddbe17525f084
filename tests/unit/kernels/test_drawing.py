"""Drawn columns are those of the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.drawing import draw_columns
from reference import drawing as slow

PLACES = st.lists(st.tuples(st.floats(-8.0, 30.0), st.floats(-8.0, 30.0)), max_size=5)


def draw(
    places: NDArray[np.float64], sigma_px: float, reach_px: int, shape: tuple[int, int]
) -> NDArray[np.float32]:
    out = np.full(shape, np.nan, np.float32)
    draw_columns(places, sigma_px, reach_px, out)
    return out


@given(PLACES, st.floats(0.5, 4.0), st.integers(0, 6), st.integers(1, 24), st.integers(1, 24))
def test_picture_agrees_with_the_definition(
    places: list[tuple[float, float]], sigma_px: float, reach_px: int, height: int, width: int
) -> None:
    at = np.array(places, np.float64).reshape(-1, 2)
    expected = slow.draw_columns(at, sigma_px, reach_px, (height, width))
    np.testing.assert_allclose(draw(at, sigma_px, reach_px, (height, width)), expected, atol=1e-5)


@pytest.mark.parametrize("place", [(np.nan, 3.0), (3.0, np.inf), (-1e300, 3.0), (3.0, 1e300)])
def test_column_that_is_nowhere_is_not_drawn(place: tuple[float, float]) -> None:
    assert not draw(np.array([place]), 2.0, 5, (8, 8)).any()
