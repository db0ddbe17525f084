"""Lines along which a map on a grid passes through zero."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.contours import zero_lines


def trace_lines(level: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], bool]]:
    """Lines (N, 2) along which a grid passes through zero, in places of the grid; closed or not."""
    links = np.empty((2 * level.size, 2), np.int32)
    points = np.empty((2 * level.size, 2))
    ends = np.empty(2 * level.size, np.int32)
    n_lines = zero_lines(np.ascontiguousarray(level), links, points, ends)
    lines, begin = [], 0
    for end in ends[:n_lines]:
        lines.append((points[begin : abs(end)].copy(), bool(end < 0)))
        begin = abs(end)
    return lines
