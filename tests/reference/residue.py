"""What latticewatch.kernels.residue computes, spelled out in double precision."""

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]
Law = tuple[float, float, float]


def variance(model: NDArray[np.float32], law: Law) -> Wide:
    """Variance of each pixel: a line over predicted brightness that does not reach zero."""
    slope, intercept, least = law
    line: Wide = np.maximum(slope * model.astype(np.float64) + intercept, least)
    return line


def spread_by_level(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    used: NDArray[np.uint8],
    levels: tuple[float, float],
    n_bins: int,
) -> Wide:
    """Sums of 1, model, residual^2, residual^3 over bins of equal width in predicted brightness."""
    kept = used == 1
    # In single precision, so that what lies on the edge of a bin lies on the same side of it.
    scale = np.float32(n_bins / max(levels[1] - levels[0], 1e-30))
    with np.errstate(over="ignore"):
        place = (model[kept] - np.float32(levels[0])) * scale
    bin_ = np.clip(place, 0, n_bins - 1).astype(np.int64)
    level, rest = (part[kept].astype(np.float64) for part in (model, residual))
    terms = (np.ones(len(bin_)), level, rest**2, rest**3)
    return np.stack([np.bincount(bin_, term, n_bins) for term in terms])


def slopes(model: NDArray[np.float32]) -> tuple[Wide, Wide]:
    """Central differences along y and x, zero at the border of the frame."""
    along_y, along_x = np.zeros(model.shape), np.zeros(model.shape)
    wide, inner = model.astype(np.float64), np.s_[1:-1, 1:-1]
    along_y[inner] = (wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2
    along_x[inner] = (wide[1:-1, 2:] - wide[1:-1, :-2]) / 2
    return along_y, along_x


def row_moments(
    model: NDArray[np.float32], residual: NDArray[np.float32], used: NDArray[np.uint8], law: Law
) -> Wide:
    """Weighted sums along rows of dy dy, dy dx, dx dx, dy residual, dx residual."""
    dy, dx = slopes(model)
    weight = used / variance(model, law)
    terms = (dy * dy, dy * dx, dx * dx, dy * residual, dx * residual)
    return np.stack([(weight * term).sum(axis=1) for term in terms], axis=1)


def unshift_rows(
    model: NDArray[np.float32],
    shift_px: NDArray[np.float32],
    law: Law,
    residual: NDArray[np.float32],
) -> tuple[Wide, Wide, Wide]:
    """Residual less shift times slope; 1 / variance; the two multiplied."""
    dy, dx = slopes(model)
    left = residual - shift_px[:, :1] * dy - shift_px[:, 1:] * dx
    precision = 1 / variance(model, law)
    return left, precision, left * precision
