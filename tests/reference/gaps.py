"""What latticewatch.kernels.gaps computes, spelled out in double precision."""

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]


def fill_gaps(values: Wide, weight: Wide) -> Wide:
    """Fields (N, H, W) where the weight (H, W) is one, guesses from means of 2 x 2 elsewhere."""
    _, height, width = values.shape
    if height == width == 1:
        return values
    rows, columns = (height + 1) // 2, (width + 1) // 2
    coarse, known = np.zeros((len(values), rows, columns)), np.zeros((rows, columns))
    for y, x in np.ndindex(rows, columns):
        square = (slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))
        total = weight[square].sum()
        known[y, x] = min(total, 1.0)
        if total > 0:
            coarse[:, y, x] = (values[:, *square] * weight[square]).sum(axis=(1, 2)) / total
    coarse = fill_gaps(coarse, known)
    filled = np.empty_like(values)
    for y, x in np.ndindex(height, width):
        next_y = np.clip(y // 2 + (1 if y % 2 else -1), 0, rows - 1)
        next_x = np.clip(x // 2 + (1 if x % 2 else -1), 0, columns - 1)
        beside = 0.75 * coarse[:, y // 2, x // 2] + 0.25 * coarse[:, y // 2, next_x]
        beyond = 0.75 * coarse[:, next_y, x // 2] + 0.25 * coarse[:, next_y, next_x]
        guess = 0.75 * beside + 0.25 * beyond
        filled[:, y, x] = weight[y, x] * values[:, y, x] + (1 - weight[y, x]) * guess
    return filled
