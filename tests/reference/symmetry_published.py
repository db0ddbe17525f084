"""The published symmetry filters spelled out: tile by tile, filter by filter, pixel by pixel."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import distance

TILE_PX = 128
STRIDE_PX = 64
RIM_PX = 16
BOX_PX = 16
WINDOW_PX = 7


def filter_bank(tile: NDArray[np.float64], take_rows: bool) -> NDArray[np.float64]:
    """Rows, or columns by falling eigenvalue, of the eigenvectors of the windows' covariance."""
    height, width = tile.shape
    windows = [
        tile[y : y + WINDOW_PX, x : x + WINDOW_PX].ravel()
        for y in range(height - WINDOW_PX + 1)
        for x in range(width - WINDOW_PX + 1)
    ]
    centred = np.array(windows) - np.mean(windows, axis=0)
    covariance = centred.T @ centred / (len(windows) - 1)
    values, vectors = np.linalg.eigh(covariance)
    if take_rows:
        return vectors
    return np.array([vectors[:, index] for index in np.argsort(-values)])


def filter_energies(tile: NDArray[np.float64], bank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Box sums (K, H, W) of the squared convolution with each filter."""
    box = np.ones((BOX_PX, BOX_PX))
    energies = []
    for row in bank:
        response = ndimage.convolve(tile, row.reshape(WINDOW_PX, WINDOW_PX), mode="mirror")
        energies.append(ndimage.convolve(response**2, box, mode="constant"))
    return np.array(energies)


def distance_map(
    pixels: NDArray[np.float64], model: NDArray[np.float64], bank: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean over the tiles of the distance to the same pixel of the model tile; NaN beyond."""
    expected = filter_energies(model, bank)
    inverse = np.linalg.inv(np.cov(expected.reshape(len(bank), -1)))
    total, n_tiles = np.zeros(pixels.shape), np.zeros(pixels.shape)
    for top, left in tile_corners(pixels.shape):
        found = filter_energies(pixels[top : top + TILE_PX, left : left + TILE_PX], bank)
        for y in range(RIM_PX, TILE_PX - RIM_PX):
            for x in range(RIM_PX, TILE_PX - RIM_PX):
                away = distance.mahalanobis(found[:, y, x], expected[:, y, x], inverse)
                total[top + y, left + x] += away
                n_tiles[top + y, left + x] += 1
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = total / n_tiles
    return mean


def tile_corners(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """First pixel of each tile of a frame."""
    for top in range(0, shape[0] - TILE_PX + 1, STRIDE_PX):
        for left in range(0, shape[1] - TILE_PX + 1, STRIDE_PX):
            yield top, left
