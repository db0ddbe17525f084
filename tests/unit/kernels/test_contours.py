"""Lines pass every crossing once, in order, and stop where nothing is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from latticewatch.kernels.contours import zero_lines
from reference import contours as slow

Level = NDArray[np.float64]
# Zero, too: it counts as not above.
VALUES = st.sampled_from([-3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0, float("nan"), float("inf")])
LEVELS = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=VALUES)


def lines_of(level: Level) -> list[tuple[Level, bool]]:
    n_edges = 2 * level.size
    points, ends = np.full((n_edges, 2), np.nan), np.zeros(n_edges, np.int32)
    n_lines = zero_lines(level, np.empty((n_edges, 2), np.int32), points, ends)
    begins = [0, *np.abs(ends[:n_lines])]
    return [
        (points[begin : abs(end)], bool(end < 0))
        for begin, end in zip(begins, ends[:n_lines], strict=False)
    ]


def disc(radius: float, shape: tuple[int, int] = (40, 50)) -> Level:
    y, x = np.indices(shape)
    return np.asarray(radius - np.hypot(y - 20.0, x - 24.0))


@given(LEVELS)
def test_every_crossing_is_passed_once(level: Level) -> None:
    passed = [tuple(np.round(point, 9)) for line, _ in lines_of(level) for point in line]
    # Crossings at a corner that is zero coincide: as many edges, fewer places.
    assert set(passed) == slow.crossings(level)


@given(LEVELS)
def test_neighbours_on_a_line_share_a_cell(level: Level) -> None:
    for line, closed in lines_of(level):
        whole = np.concatenate([line, line[:1]]) if closed else line
        steps = np.abs(np.diff(whole, axis=0))
        assert (steps <= 1.0 + 1e-12).all()
        cells = np.floor(np.minimum(whole[:-1], whole[1:]) + 1e-12)
        assert (np.maximum(whole[:-1], whole[1:]) <= cells + 1 + 1e-12).all()


def test_a_disc_has_one_closed_line() -> None:
    ((line, closed),) = lines_of(disc(9.3))
    assert closed
    np.testing.assert_allclose(np.hypot(*(line - [20.0, 24.0]).T), 9.3, atol=0.02)


def test_an_edge_has_one_open_line_from_side_to_side() -> None:
    y, x = np.indices((20, 30))
    ((line, closed),) = lines_of(np.asarray(x - 12.25 - 0.2 * y))
    assert not closed
    assert sorted(line[[0, -1], 0]) == [0.0, 19.0]
    np.testing.assert_allclose(line[:, 1], 12.25 + 0.2 * line[:, 0])


def test_no_line_passes_beside_what_is_not_known() -> None:
    level = disc(9.3)
    level[:, 24:] = np.nan
    ((line, closed),) = lines_of(level)
    assert not closed
    assert line[:, 1].max() <= 23.0


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, np.nan, np.inf])
def test_a_level_field_has_no_line(value: float) -> None:
    assert lines_of(np.full((6, 7), value)) == []
