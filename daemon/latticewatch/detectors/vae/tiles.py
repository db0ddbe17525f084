"""A frame cut into square windows on a grid, as published: knows no lattice."""

import numpy as np
from numpy.typing import NDArray


def tile_corners(shape_yx: tuple[int, int], window_px: int, step_px: int) -> NDArray[np.int64]:
    """Top left corners (N, 2) of all windows, [y, x] in pixels, row by row.

    Corners lie `step_px` apart from the first pixel on; one more row and column of windows reaches
    the last pixels. The published tiling lists windows of that row and column twice where the step
    already reaches them (256 of 512 x 512, 31 of them repeated): here each comes once.

    Parameters
    ----------
    shape_yx
        Of the frame. One that is smaller than a window along an axis has none.
    window_px, step_px
        Side of a window and distance between two, at least 1.

    Raises
    ------
    ValueError
        A side or a step below 1.

    >>> len(tile_corners((512, 512), 64, 32))
    225
    >>> tile_corners((64, 70), 64, 32).tolist()
    [[0, 0], [0, 6]]
    """
    if window_px < 1 or step_px < 1:
        raise ValueError(f"windows of {window_px} px every {step_px} px: both must be at least 1")
    along_y, along_x = (_starts(side, window_px, step_px) for side in shape_yx)
    corners = np.empty((len(along_y), len(along_x), 2), np.int64)
    corners[..., 0] = along_y[:, None]
    corners[..., 1] = along_x
    return corners.reshape(-1, 2)


def cut_tiles(
    frame: NDArray[np.generic], corners: NDArray[np.int64], window_px: int
) -> NDArray[np.generic]:
    """Copy the windows (N, S, S) that begin at these corners, in their order and type.

    Parameters
    ----------
    frame : (H, W)
        Any type.
    corners : (N, 2)
        Of `tile_corners`; the windows lie inside the frame.
    window_px
        Their side, S.
    """
    if not len(corners):
        return np.empty((0, window_px, window_px), frame.dtype)
    every = np.lib.stride_tricks.sliding_window_view(frame, (window_px, window_px))
    tiles: NDArray[np.generic] = every[corners[:, 0], corners[:, 1]]
    return tiles


def _starts(side_px: int, window_px: int, step_px: int) -> NDArray[np.int64]:
    last = side_px - window_px
    if last < 0:
        return np.empty(0, np.int64)
    starts = np.arange(0, last + 1, step_px)
    return starts if starts[-1] == last else np.append(starts, last)
