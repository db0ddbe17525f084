"""How far the moments of each cell are from the mean of a reference, in its own spread."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

_CHUNK = 64
"""Cells at a time: 55 moments of them are 14 kB, and stay in the nearest cache."""

# Unsigned: numba looks at the sign of others at each cell, and the loop stays scalar.
_N_CELLS = np.uint64(_CHUNK)
_R1, _R2, _R3, _R4, _R5, _R6, _R7 = (np.uint64(_CHUNK * row) for row in range(1, 8))


@kernel
def _add_weighted(
    weights: NDArray[np.float32], rows: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Add eight rows that lie one after the other, each with its weight."""
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    e, f, g, h = weights[4], weights[5], weights[6], weights[7]
    for cell in range(_N_CELLS):
        left = a * rows[cell] + b * rows[cell + _R1] + c * rows[cell + _R2] + d * rows[cell + _R3]
        right = e * rows[cell + _R4] + f * rows[cell + _R5] + g * rows[cell + _R6]
        out[cell] += left + (right + h * rows[cell + _R7])


@kernel
def _add_squares(row: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for cell in range(len(row)):
        out[cell] += row[cell] * row[cell]


@kernel
def _pad(whitening: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.int64]:
    """Copy into wider rows, and count what of each row is left of its last zeros."""
    used = np.zeros(len(whitening), np.int64)
    for row in range(len(whitening)):
        for column in range(whitening.shape[1]):
            out[row, column] = whitening[row, column]
            if out[row, column] != 0.0:
                used[row] = column + 1
    return used


@kernel
def _centre(
    cells: NDArray[np.float32],
    share: np.float32,
    mean: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Scale cells, subtract the mean and lay them side by side."""
    for cell in range(len(cells)):
        source = cells[cell]
        for feature in range(len(mean)):
            out[feature, cell] = source[feature] * share - mean[feature]


@kernel
def whitened_distance(
    moments: NDArray[np.float32],
    mean: NDArray[np.float32],
    whitening: NDArray[np.float32],
    gain: float,
    out: NDArray[np.float32],
) -> None:
    """Measure abs(W (S / gain - mu)): the Mahalanobis distance of each cell.

    Parameters
    ----------
    moments : (R, C, D)
        Usually from `moments.second_moments`. A NaN makes the distance of its own cell NaN.
    mean : (D,)
        mu; subtracted before anything is multiplied, for the digits of float32.
    whitening : (D, D)
        W with W^T W the inverse covariance; a lower triangle (the inverse of a Cholesky factor)
        costs half.
    gain
        What the moments are divided by, more than 0.
    out : (R, C)
        Receives the distances.

    Notes
    -----
    Takes a few rows of 128 numbers a call.
    """
    n_rows, n_columns, n_features = moments.shape
    if mean.shape != (n_features,) or whitening.shape != (n_features, n_features):
        raise ValueError("mean must be (D,), and whitening (D, D)")
    if out.shape != (n_rows, n_columns) or not gain > 0.0:
        raise ValueError("out must be (R, C), and gain more than 0")
    padded = (n_features + 7) // 8 * 8
    weights = np.zeros((n_features, padded), np.float32)
    used = _pad(whitening, weights)
    share = np.float32(1.0 / gain)
    centred = np.zeros((padded, _CHUNK), np.float32)
    rows = centred.reshape(-1)
    line = np.empty(_CHUNK, np.float32)
    total = np.empty(_CHUNK, np.float32)
    cells, distances = moments.reshape(-1, n_features), out.reshape(-1)
    for first in range(0, len(cells), _CHUNK):
        n = min(_CHUNK, len(cells) - first)
        _centre(cells[first : first + n], share, mean, centred)
        total[:] = np.float32(0.0)
        for feature in range(n_features):
            line[:] = np.float32(0.0)
            for column in range(0, used[feature], 8):
                _add_weighted(weights[feature, column:], rows[column * _CHUNK :], line)
            _add_squares(line, total)
        for cell in range(n):
            distances[first + cell] = np.sqrt(total[cell])
