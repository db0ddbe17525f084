"""What latticewatch.kernels.drawing computes, spelled out."""

import numpy as np
from numpy.typing import NDArray


def draw_columns(
    places: NDArray[np.float64], sigma_px: float, reach_px: int, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Sum of Gaussians of height one, each within a square about its nearest pixel."""
    y, x = np.indices(shape)
    image = np.zeros(shape)
    for place in places[np.isfinite(places).all(axis=1)]:
        centre = np.floor(place + 0.5)
        near = (np.abs(y - centre[0]) <= reach_px) & (np.abs(x - centre[1]) <= reach_px)
        square = (y - place[0]) ** 2 + (x - place[1]) ** 2
        image += near * np.exp(-square / (2 * sigma_px**2))
    return image
