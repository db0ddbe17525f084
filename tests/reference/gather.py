"""What latticewatch.kernels.gather computes, spelled out."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def sample_window(
    image: NDArray[np.float32], place: tuple[float, float], size: int, step_px: float
) -> NDArray[np.float64] | None:
    """Values at the points of the grid by linear interpolation; None where it leaves the frame."""
    offsets = (np.arange(size) - (size - 1) / 2) * step_px
    y, x = np.meshgrid(place[0] + offsets, place[1] + offsets, indexing="ij")
    height, width = image.shape
    if not (y.min() >= 0 and y.max() <= height - 1 and x.min() >= 0 and x.max() <= width - 1):
        return None
    values: NDArray[np.float64] = ndimage.map_coordinates(
        image.astype(np.float64), [y, x], order=1, mode="nearest"
    )
    return values


def compare_window(
    window: NDArray[np.float32],
    usual: NDArray[np.float32],
    weights: NDArray[np.float32],
    scale: float,
) -> NDArray[np.float64]:
    """What a window differs by from a usual one, less its level, over the scale."""
    gap = window.astype(np.float64) - usual
    compared: NDArray[np.float64] = (gap - (weights * gap).sum()) / scale
    return compared
