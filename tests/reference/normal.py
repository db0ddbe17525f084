"""What latticewatch.kernels.normal computes, spelled out with NumPy and SciPy."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

Wide = NDArray[np.float64]


def centre_and_spread(values: Wide) -> tuple[float, float]:
    """Median, and the deviation of what lies within 2.5 robust deviations of it."""
    centre = float(np.median(values))
    away = np.abs(values - centre)
    near = away[away <= 2.5 * 1.4826022185056018 * np.median(away)]
    # Variance of a standard normal number cut off at 2.5.
    whole = stats.truncnorm(-2.5, 2.5).std()
    return centre, float(np.sqrt(np.mean(near**2)) / whole)


def width(own: float, usual: float, n_values: int) -> float:
    """Width of a kind, shrunk to the usual one by its error, as Student's law asks."""
    excess = max(own - usual, 0.0)
    variance = own**2 / (2 * n_values)
    certain = excess**2 / (excess**2 + variance) if excess > 0 else 0.0
    return (usual + certain * excess) * (1 + 4.1 / n_values)


def learn_normal(
    raw: Wide, label: NDArray[np.intp], near_edge: NDArray[np.bool_], fewest: int, tail: float
) -> tuple[Wide, Wide]:
    """Deviations (3,) over all sites, and three centres and three widths (N, 6) of their like."""
    scale = np.array([max(centre_and_spread(part)[1], 1e-12) for part in raw])
    normal = np.empty((raw.shape[1], 6))
    for one in np.unique(label):
        same = label == one
        inside, edge = same & ~near_edge, same & near_edge
        if not inside.any():
            inside = same
        for part in range(3):
            centre, spread = centre_and_spread(raw[part, inside])
            usual = width(spread, float(scale[part]), int(inside.sum()))
            normal[same, part], normal[same, 3 + part] = centre, usual
            if edge.sum() >= fewest:
                centre, spread = centre_and_spread(raw[part, edge])
                normal[edge, part], normal[edge, 3 + part] = centre, max(usual, tail * spread)
    return scale, normal


def shared(
    away: Wide, strength: Wide, is_ordinary: NDArray[np.bool_], blocks: Wide, sigma: float
) -> Wide:
    """Least squares of a common amount in a Gaussian window, on a grid of blocks."""
    shape = tuple(blocks.max(axis=0).astype(int) + 1)
    found = np.empty_like(away)
    for part in range(3):
        grids = np.zeros((2, *shape))
        home = tuple(blocks[is_ordinary].astype(int).T)
        answer = strength[part, is_ordinary]
        np.add.at(grids[0], home, answer * away[part, is_ordinary])
        np.add.at(grids[1], home, answer**2)
        said, weight = (
            ndimage.gaussian_filter(grid, sigma, mode="reflect", truncate=2.5) for grid in grids
        )
        said, heavy = (
            ndimage.map_coordinates(grid, blocks.T - 0.5, order=1, mode="nearest")
            for grid in (said, weight)
        )
        found[part] = strength[part] * said / np.maximum(heavy, 0.02 * weight.max())
    return found
