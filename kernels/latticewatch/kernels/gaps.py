"""Gaps of a grid, filled from what is known round them."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _gather(
    values: NDArray[np.float32],
    weight: NDArray[np.float32],
    coarse: NDArray[np.float32],
    coarse_weight: NDArray[np.float32],
) -> None:
    """Weighted means over squares of 2 x 2; the weight of a square is at most one."""
    n_fields, height, width = values.shape
    for y in range(coarse_weight.shape[0]):
        for x in range(coarse_weight.shape[1]):
            total = np.float32(0.0)
            coarse[:, y, x] = np.float32(0.0)
            for v in range(2 * y, min(2 * y + 2, height)):
                for u in range(2 * x, min(2 * x + 2, width)):
                    total += weight[v, u]
                    for field in range(n_fields):
                        coarse[field, y, x] += weight[v, u] * values[field, v, u]
            if total > 0:
                for field in range(n_fields):
                    coarse[field, y, x] /= total
            coarse_weight[y, x] = min(total, np.float32(1.0))


@kernel
def _spread(
    coarse: NDArray[np.float32], values: NDArray[np.float32], weight: NDArray[np.float32]
) -> None:
    """Mix in the coarse grid, linear between its centres, where the weight is below one."""
    n_fields, height, width = values.shape
    last_y, last_x = coarse.shape[1] - 1, coarse.shape[2] - 1
    near, far = np.float32(0.75), np.float32(0.25)
    for y in range(height):
        # Three quarters of the square that a place lies in, a quarter of the next one.
        inner_y = y // 2
        outer_y = min(max(inner_y + (1 if y % 2 == 1 else -1), 0), last_y)
        for x in range(width):
            if weight[y, x] >= np.float32(1.0):
                continue
            inner_x = x // 2
            outer_x = min(max(inner_x + (1 if x % 2 == 1 else -1), 0), last_x)
            known = weight[y, x]
            for field in range(n_fields):
                one = near * coarse[field, inner_y, inner_x] + far * coarse[field, inner_y, outer_x]
                two = near * coarse[field, outer_y, inner_x] + far * coarse[field, outer_y, outer_x]
                guess = near * one + far * two
                mixed = known * values[field, y, x] + (np.float32(1.0) - known) * guess
                values[field, y, x] = mixed


@kernel
def _level(
    shapes: NDArray[np.int64], level: int, n_fields: int, block: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Fields (N, h, w) of one level of a pyramid that lies in one block, level after level."""
    first = 0
    for below in range(level):
        first += int(shapes[below, 0] * shapes[below, 1])
    height, width = int(shapes[level, 0]), int(shapes[level, 1])
    part = block[n_fields * first : n_fields * (first + height * width)]
    return part.reshape((n_fields, height, width))


@kernel
def fill_gaps(values: NDArray[np.float32], known: NDArray[np.bool_]) -> None:
    """Put smooth guesses where fields are not known, in place.

    Means over squares of 2 x 2 known places, over squares of these, and so on, until all is
    known; from coarse to fine, each place without a value takes what is known nearest to it
    (pull and push, Gortler et al., SIGGRAPH 1996).

    Parameters
    ----------
    values : (N, H, W)
        Fields; what stands where they are not known does not matter. Finite.
    known : (H, W)
        Places that stay. If there is none, the fields become zero.
    """
    n_fields, height, width = values.shape
    if known.size == 0:
        return
    n_levels = 1
    while (max(height, width) - 1) >> (n_levels - 1) > 0:
        n_levels += 1
    shapes = np.empty((n_levels, 2), np.int64)
    for level in range(n_levels):
        shapes[level, 0] = (height + (1 << level) - 1) >> level
        shapes[level, 1] = (width + (1 << level) - 1) >> level
    n_places = int((shapes[:, 0] * shapes[:, 1]).sum())
    fields, weights = np.empty(n_fields * n_places, np.float32), np.empty(n_places, np.float32)
    lowest, weight = _level(shapes, 0, n_fields, fields), _level(shapes, 0, 1, weights)[0]
    for y in range(height):
        for x in range(width):
            weight[y, x] = np.float32(1.0) if known[y, x] else np.float32(0.0)
            for field in range(n_fields):
                lowest[field, y, x] = values[field, y, x] if known[y, x] else np.float32(0.0)
    for level in range(1, n_levels):
        _gather(
            _level(shapes, level - 1, n_fields, fields),
            _level(shapes, level - 1, 1, weights)[0],
            _level(shapes, level, n_fields, fields),
            _level(shapes, level, 1, weights)[0],
        )
    for level in range(n_levels - 1, 0, -1):
        _spread(
            _level(shapes, level, n_fields, fields),
            _level(shapes, level - 1, n_fields, fields),
            _level(shapes, level - 1, 1, weights)[0],
        )
    values[:] = lowest
