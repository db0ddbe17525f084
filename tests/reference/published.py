"""The published score spelled out, and the authors' box that wraps round."""

import numpy as np
from numpy.typing import NDArray


def average_near_maximum(differences: NDArray[np.float32], half_width_px: int) -> float:
    """Mean of one window's differences in the box round the largest, clamped to the window."""
    y, x = _largest(differences)
    height, width = differences.shape
    values = [
        float(differences[row, column])
        for row in range(y - half_width_px, y + half_width_px + 1)
        for column in range(x - half_width_px, x + half_width_px + 1)
        if 0 <= row < height and 0 <= column < width
    ]
    return sum(values) / len(values)


def average_that_wraps(differences: NDArray[np.float32], half_width_px: int) -> float:
    """Mean as the authors take it: rows and columns below 0 come from the other side.

    Those beyond the last are left out. Not to be used: a defect near the top or the left edge is
    averaged with what lies 64 pixels away.
    """
    y, x = _largest(differences)
    height, width = differences.shape
    values = [
        float(differences[row, column])
        for row in range(y - half_width_px, y + half_width_px + 1)
        for column in range(x - half_width_px, x + half_width_px + 1)
        if row < height and column < width
    ]
    return sum(values) / len(values)


def _largest(differences: NDArray[np.float32]) -> tuple[int, int]:
    best, found = -1.0, (0, 0)
    for (y, x), value in np.ndenumerate(differences):
        if abs(float(value)) > best:
            best, found = abs(float(value)), (y, x)
    return found


def tile_corners(side_yx: tuple[int, int], window_px: int, step_px: int) -> list[tuple[int, int]]:
    """Corners of the authors' tiling in its order, with what it repeats left out."""
    rows, columns = (
        [at for at in range(side) if at % step_px == 0 and at + window_px <= side]
        for side in side_yx
    )
    corners = [(y, x) for y in rows for x in columns]
    last_y, last_x = (side - window_px for side in side_yx)
    if last_y < 0 or last_x < 0:
        return []
    corners += [(last_y, x) for x in columns] + [(y, last_x) for y in rows] + [(last_y, last_x)]
    return sorted(set(corners))
