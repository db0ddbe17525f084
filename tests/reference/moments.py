"""What latticewatch.kernels.moments and whitening compute, spelled out in float64."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

WINDOW_PX = 7
BLOCK_PX = 8


def responses(image: NDArray[np.float32], bank: NDArray[np.float32]) -> NDArray[np.float64]:
    """Correlation of each filter with the window round each pixel (K, H, W)."""
    wide = image.astype(np.float64)
    found = []
    for row in bank.astype(np.float64):
        window = row.reshape(WINDOW_PX, WINDOW_PX)
        found.append(ndimage.correlate(wide, window, mode="reflect"))
    return np.array(found)


def second_moments(image: NDArray[np.float32], bank: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of r_i r_j over the 16 x 16 px of each cell: the upper triangle, row by row."""
    found = responses(image, bank)
    n_rows, n_columns = (max(side // BLOCK_PX - 1, 0) for side in image.shape)
    first, second = np.triu_indices(len(bank))
    moments = np.empty((n_rows, n_columns, len(first)))
    for row in range(n_rows):
        for column in range(n_columns):
            top, left = row * BLOCK_PX, column * BLOCK_PX
            box = found[:, top : top + 2 * BLOCK_PX, left : left + 2 * BLOCK_PX]
            moments[row, column] = np.einsum("iyx,jyx->ij", box, box)[first, second]
    return moments


def whitened_distance(
    moments: NDArray[np.float32],
    mean: NDArray[np.float32],
    whitening: NDArray[np.float32],
    gain: float,
) -> NDArray[np.float64]:
    """Length of W (S / gain - mu), cell by cell."""
    distance = np.empty(moments.shape[:2])
    for cell in np.ndindex(*distance.shape):
        difference = moments[cell].astype(np.float64) / gain - mean.astype(np.float64)
        distance[cell] = np.linalg.norm(whitening.astype(np.float64) @ difference)
    return distance
