"""What latticewatch.kernels.smooth computes, spelled out."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def gaussian(image: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """The image correlated with the weights along y, then along x, mirrored at the edges."""
    wide = weights.astype(np.float64)
    along_y = ndimage.correlate1d(image.astype(np.float64), wide, axis=0, mode="reflect")
    blurred: NDArray[np.float64] = ndimage.correlate1d(along_y, wide, axis=1, mode="reflect")
    return blurred


def robust_range(
    image: NDArray[np.float32], low: float, high: float, n_bins: int
) -> tuple[float, float]:
    """Two quantiles from a histogram between the smallest and the largest pixel."""
    finite = image[np.isfinite(image)]
    if finite.size == 0:
        return np.nan, np.nan
    darkest, brightest = finite.min(), finite.max()
    with np.errstate(over="ignore", divide="ignore"):
        span = brightest - darkest
        scale = np.float32(n_bins) / span
    if not 0 < scale < np.inf:
        return float(darkest), float(brightest)
    bins = np.minimum(((finite - darkest) * scale).astype(np.int64), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    width = float(span) / n_bins
    place_low, place_high = (_quantile(counts, share * finite.size) for share in (low, high))
    return float(darkest) + width * place_low, float(darkest) + width * place_high


def _quantile(counts: NDArray[np.int64], rank: float) -> float:
    below = 0
    for index, count in enumerate(counts.tolist()):
        if count and below + count >= rank:
            return float(index + (rank - below) / count)
        below += count
    raise AssertionError("rank is above the number of pixels")


def normalise(image: NDArray[np.float32], low: float, high: float) -> NDArray[np.float64]:
    """The image with `low` at 0 and `high` at 1."""
    if not low < high:
        return np.zeros(image.shape)
    return (image.astype(np.float64) - low) / (high - low)


def difference_of_gaussians(
    image: NDArray[np.float32], narrow: NDArray[np.float32], wide: NDArray[np.float32]
) -> NDArray[np.float64]:
    """One blur less the other."""
    return gaussian(image, narrow) - gaussian(image, wide)
