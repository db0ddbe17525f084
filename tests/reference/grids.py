"""What latticewatch.kernels.grids computes, spelled out in double precision."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Wide = NDArray[np.float64]


def block_means(image: NDArray[np.float32] | Wide, step: int) -> Wide:
    """Mean of each whole block."""
    n_rows, n_columns = (side // step for side in image.shape)
    whole = image[: n_rows * step, : n_columns * step].astype(np.float64)
    means: Wide = whole.reshape(n_rows, step, n_columns, step).mean(axis=(1, 3))
    return means


def block_moments(
    image: NDArray[np.float32], model: NDArray[np.float32], used: NDArray[np.uint8], step: int
) -> Wide:
    """Means over blocks of 1, model, image, model^2, model x image; pixels not in use are zero."""
    seen, predicted = image.astype(np.float64), model.astype(np.float64)
    terms = [np.ones(image.shape), predicted, seen, predicted**2, predicted * seen]
    return np.stack([block_means(used * term, step) for term in terms])


def thin(image: NDArray[np.float32]) -> Wide:
    """Every second pixel of both axes, low-passed with 1, 3, 3, 1, the frame mirrored."""
    low = image.astype(np.float64)
    for axis in (0, 1):
        # The second tap lies on the pixel kept: the other three on its neighbours.
        low = ndimage.correlate1d(low, np.array([1, 3, 3, 1]) / 8, axis, mode="reflect", origin=-1)
        low = low.take(range(0, image.shape[axis] // 2 * 2, 2), axis)
    return low


def spread(grid: NDArray[np.float32], step: int, shape: tuple[int, ...]) -> Wide:
    """Values at block centres brought to pixels: linear between them, flat beyond."""
    # Block j has its centre at pixel (j + 1/2) step - 1/2.
    y, x = ((np.arange(side) + 0.5) / step - 0.5 for side in shape)
    places = np.meshgrid(y, x, indexing="ij")
    pixels: Wide = ndimage.map_coordinates(grid.astype(np.float64), places, order=1, mode="nearest")
    return pixels


def subtract_grid(image: NDArray[np.float32], grid: NDArray[np.float32], step: int) -> Wide:
    """Image less the grid between its block centres."""
    left: Wide = image - spread(grid, step, image.shape)
    return left


def taper(
    image: NDArray[np.float32],
    grid: NDArray[np.float32],
    step: int,
    windows: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> Wide:
    """Image less the grid, times the window of its row and that of its column."""
    faded: Wide = subtract_grid(image, grid, step) * np.outer(*windows)
    return faded


def apply_gain(
    grids: tuple[NDArray[np.float32], NDArray[np.float32]],
    step: int,
    image: NDArray[np.float32],
    model: NDArray[np.float32],
) -> tuple[Wide, Wide]:
    """Gain x model + offset, and image less that."""
    gain, offset = (spread(grid, step, image.shape) for grid in grids)
    brought: Wide = gain * model + offset
    return brought, image - brought
