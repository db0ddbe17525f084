"""Mean and variance of the pixels in boxes on a grid of 8 px."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.smooth import mirrored

GRID_PX = 8
"""Step of the grid: that of `moments`, whose boxes have the same centres."""


def box_scratch(width_px: int, side_px: int) -> NDArray[np.float64]:
    """Allocate what `box_variance` needs for frames of this width."""
    return np.empty((2, width_px + side_px), np.float64)


@kernel
def _add_row(
    row: NDArray[np.float32], total: NDArray[np.float64], squares: NDArray[np.float64]
) -> None:
    for x in range(len(row)):
        value = np.float64(row[x])
        total[x] += value
        squares[x] += value * value


@kernel
def _sum(values: NDArray[np.float64]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


@kernel
def box_variance(
    image: NDArray[np.float32],
    side_px: int,
    scratch: NDArray[np.float64],
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
) -> None:
    """Take mean and variance of a box of pixels, every 8 px.

    The box of cell (r, c) has its centre at pixel (8 r + 7.5, 8 c + 7.5). Beyond its edges the
    frame is mirrored, edge pixel included. A NaN spoils the boxes that hold it.

    Parameters
    ----------
    image : (H, W)
        At least 16 px each way, or there are no cells.
    side_px
        Side of the box, even: 16 adds up what a cell of `moments.second_moments` does, 20 is the
        published side (methods/symmetry.md, 2.8).
    scratch : (2, W + side)
        From `box_scratch`; its content does not matter.
    mean, variance : (H / 8 - 1, W / 8 - 1)
        Receive mean(x) and mean(x^2) - mean(x)^2, never negative.
    """
    height, width = image.shape
    shape = (max(height // GRID_PX - 1, 0), max(width // GRID_PX - 1, 0))
    if side_px < 2 or side_px % 2 != 0 or mean.shape != shape or variance.shape != shape:
        raise ValueError("side must be even, and mean and variance (H / 8 - 1, W / 8 - 1)")
    if mean.size == 0:
        return
    pad = max(side_px // 2 - GRID_PX, 0)
    # float64, or the difference of two large numbers would be noise: counts of 30,000 with a
    # standard deviation of 30.
    total, squares = scratch[0], scratch[1]
    weight = 1.0 / (side_px * side_px)
    for row in range(shape[0]):
        total[:], squares[:] = 0.0, 0.0
        top = row * GRID_PX + GRID_PX - side_px // 2
        for y in range(top, top + side_px):
            line = image[mirrored(y, height)]
            _add_row(line, total[pad : pad + width], squares[pad : pad + width])
        for x in range(pad):
            left, right = pad + mirrored(-1 - x, width), pad + mirrored(width + x, width)
            total[pad - 1 - x], squares[pad - 1 - x] = total[left], squares[left]
            total[pad + width + x], squares[pad + width + x] = total[right], squares[right]
        for column in range(shape[1]):
            first = pad + column * GRID_PX + GRID_PX - side_px // 2
            level = weight * _sum(total[first : first + side_px])
            square = weight * _sum(squares[first : first + side_px])
            mean[row, column] = level
            # Written so that NaN stays: `max` would depend on the order of its arguments.
            spread = square - level * level
            variance[row, column] = 0.0 if spread < 0.0 else spread
