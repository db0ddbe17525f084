"""What latticewatch.kernels.normal computes, spelled out with NumPy."""

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]
MAD_TO_SIGMA = 1.4826022185056018


def column_statistics(sums: Wide) -> Wide:
    """Three statistics (3, N)."""
    raw: Wide = (sums[:, :3] / np.sqrt(np.maximum(sums[:, 3:], 1e-30))).T
    return raw


def centre_and_spread(values: Wide) -> tuple[float, float]:
    """Median, and robust standard deviation about it."""
    centre = float(np.median(values))
    return centre, MAD_TO_SIGMA * float(np.median(np.abs(values - centre)))


def learn_normal(
    raw: Wide, label: NDArray[np.int64], near_edge: NDArray[np.bool_], edge: tuple[int, float]
) -> tuple[Wide, Wide]:
    """Widths (3,) over all sites; three medians and three widths of each site (N, 6)."""
    scale = np.array([max(centre_and_spread(part)[1], 1e-12) for part in raw])
    normal = np.empty((raw.shape[1], 6))
    for column in np.unique(label):
        inside = np.flatnonzero((label == column) & ~near_edge)
        at_edge = np.flatnonzero((label == column) & near_edge)
        everywhere = inside if len(inside) else at_edge
        for part in range(3):
            centre, spread = centre_and_spread(raw[part, everywhere])
            width = max(spread, scale[part])
            rows = label == column
            normal[rows, part], normal[rows, 3 + part] = centre, width
            if len(at_edge) >= edge[0]:
                centre, spread = centre_and_spread(raw[part, at_edge])
                normal[at_edge, part] = centre
                normal[at_edge, 3 + part] = max(width, edge[1] * spread)
    return scale, normal


def column_strangeness(raw: Wide, normal: Wide) -> Wide:
    """Sum of three squares (N,)."""
    squares: Wide = np.square((raw.T - normal[:, :3]) / normal[:, 3:]).sum(axis=1)
    return squares
