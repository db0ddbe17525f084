"""A frame is cut into each window of the grid once, in a fixed order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticewatch.detectors.vae.tiles import cut_tiles, tile_corners
from reference import published as slow


def test_the_published_frame_has_225_windows() -> None:
    corners = tile_corners((512, 512), 64, 32)
    assert len(corners) == 225
    assert corners[[0, 1, 15, -1]].tolist() == [[0, 0], [0, 32], [32, 0], [448, 448]]


@given(st.tuples(st.integers(0, 90), st.integers(0, 90)), st.integers(1, 20), st.integers(1, 20))
def test_corners_agree_with_the_definition(sides: tuple[int, int], window: int, step: int) -> None:
    corners = tile_corners(sides, window, step)
    assert [tuple(corner) for corner in corners.tolist()] == slow.tile_corners(sides, window, step)


@given(st.tuples(st.integers(8, 60), st.integers(8, 60)), st.integers(1, 8))
def test_every_pixel_lies_in_a_window(sides: tuple[int, int], step: int) -> None:
    seen = np.zeros(sides, np.bool_)
    for y, x in tile_corners(sides, 8, step):
        assert y + 8 <= sides[0]
        assert x + 8 <= sides[1]
        seen[y : y + 8, x : x + 8] = True
    assert seen.all()


def test_windows_come_in_the_order_of_their_corners_and_are_copies() -> None:
    frame = np.arange(70 * 80, dtype=np.uint16).reshape(70, 80)
    corners = tile_corners((70, 80), 64, 32)
    tiles = cut_tiles(frame, corners, 64)
    assert tiles.dtype == frame.dtype
    for tile, (y, x) in zip(tiles, corners, strict=True):
        np.testing.assert_array_equal(tile, frame[y : y + 64, x : x + 64])
    tiles[:] = 0
    assert frame[0, 1] == 1


def test_a_frame_smaller_than_a_window_has_none() -> None:
    corners = tile_corners((63, 512), 64, 32)
    assert corners.shape == (0, 2)
    assert cut_tiles(np.zeros((63, 512), np.uint8), corners, 64).shape == (0, 64, 64)


@pytest.mark.parametrize(("window", "step"), [(0, 1), (1, 0), (-64, 32)])
def test_windows_without_pixels_are_refused(window: int, step: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        tile_corners((64, 64), window, step)
