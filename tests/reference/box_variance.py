"""What latticewatch.kernels.box_variance computes, spelled out."""

import numpy as np
from numpy.typing import NDArray

GRID_PX = 8


def box_variance(
    image: NDArray[np.float32], side_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of the box round the centre of each cell, 8 px apart."""
    # Enough for any frame of a pixel and more: numpy mirrors again and again.
    padded = np.pad(image.astype(np.float64), side_px, mode="symmetric")
    n_rows, n_columns = (max(side // GRID_PX - 1, 0) for side in image.shape)
    mean, variance = np.empty((n_rows, n_columns)), np.empty((n_rows, n_columns))
    offset = side_px + GRID_PX - side_px // 2
    for row in range(n_rows):
        for column in range(n_columns):
            top, left = offset + row * GRID_PX, offset + column * GRID_PX
            box = padded[top : top + side_px, left : left + side_px]
            mean[row, column], variance[row, column] = box.mean(), box.var()
    return mean, variance
