"""Blur and grey levels of a frame: Gaussian, robust range, normalisation."""

import math

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


def gaussian_weights(sigma_px: float, truncate: float = 2.5) -> NDArray[np.float32]:
    """Sample a Gaussian on whole pixels out to `truncate` standard deviations, with sum one.

    >>> gaussian_weights(0.4)
    array([0.04038886, 0.9192223 , 0.04038886], dtype=float32)
    """
    radius_px = int(truncate * sigma_px + 0.5)
    offset_px = np.arange(-radius_px, radius_px + 1)
    weights = np.exp(-0.5 * (offset_px / max(sigma_px, 1e-6)) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def gaussian_scratch(width_px: int, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Allocate what `gaussian` needs for frames of this width."""
    return np.empty(width_px + len(weights) - 1, np.float32)


@kernel
def _mirrored(index: int, n: int) -> int:
    """Fold an index back into 0..n-1 as a mirror at the outer edge of the last pixel does."""
    folded = index % (2 * n)
    return folded if folded < n else 2 * n - 1 - folded


@kernel
def _blur_column_wise(
    image: NDArray[np.float32], y: int, weights: NDArray[np.float32], padded: NDArray[np.float32]
) -> None:
    """Fill the middle of `padded` with row y of the image blurred along y."""
    height, width = image.shape
    radius = len(weights) // 2
    centre = weights[radius]
    for x in range(width):
        padded[radius + x] = centre * image[y, x]
    tap = 1
    # Four pairs at a time: one load and one store of the sum for eight taps.
    while tap + 3 <= radius:
        w1, w2 = weights[radius + tap], weights[radius + tap + 1]
        w3, w4 = weights[radius + tap + 2], weights[radius + tap + 3]
        a1, b1 = _mirrored(y - tap, height), _mirrored(y + tap, height)
        a2, b2 = _mirrored(y - tap - 1, height), _mirrored(y + tap + 1, height)
        a3, b3 = _mirrored(y - tap - 2, height), _mirrored(y + tap + 2, height)
        a4, b4 = _mirrored(y - tap - 3, height), _mirrored(y + tap + 3, height)
        for x in range(width):
            near = w1 * (image[a1, x] + image[b1, x]) + w2 * (image[a2, x] + image[b2, x])
            far = w3 * (image[a3, x] + image[b3, x]) + w4 * (image[a4, x] + image[b4, x])
            padded[radius + x] += near + far
        tap += 4
    while tap <= radius:
        weight = weights[radius + tap]
        above, below = _mirrored(y - tap, height), _mirrored(y + tap, height)
        for x in range(width):
            padded[radius + x] += weight * (image[above, x] + image[below, x])
        tap += 1


@kernel
def _blur_row_wise(
    padded: NDArray[np.float32], weights: NDArray[np.float32], y: int, out: NDArray[np.float32]
) -> None:
    """Blur `padded` along x into row y of `out`."""
    width = out.shape[1]
    radius = len(weights) // 2
    centre = weights[radius]
    for x in range(width):
        out[y, x] = centre * padded[radius + x]
    tap = 1
    while tap + 3 <= radius:
        w1, w2 = weights[radius + tap], weights[radius + tap + 1]
        w3, w4 = weights[radius + tap + 2], weights[radius + tap + 3]
        left, right = radius - tap, radius + tap
        for x in range(width):
            near = w1 * (padded[left + x] + padded[right + x])
            near += w2 * (padded[left - 1 + x] + padded[right + 1 + x])
            far = w3 * (padded[left - 2 + x] + padded[right + 2 + x])
            far += w4 * (padded[left - 3 + x] + padded[right + 3 + x])
            out[y, x] += near + far
        tap += 4
    while tap <= radius:
        weight = weights[radius + tap]
        left, right = radius - tap, radius + tap
        for x in range(width):
            out[y, x] += weight * (padded[left + x] + padded[right + x])
        tap += 1


@kernel
def gaussian(
    image: NDArray[np.float32],
    weights: NDArray[np.float32],
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blur a frame with symmetric weights along y, then along x.

    Parameters
    ----------
    image : (H, W)
        Finite pixels: a NaN spreads over a square of the size of the weights.
    weights : (2 r + 1,)
        From `gaussian_weights`; symmetric, which is not checked. Beyond the edge the frame is
        mirrored, edge pixel included ("reflect" in SciPy), however small the frame is.
    scratch : (W + 2 r,)
        From `gaussian_scratch`; its content does not matter.
    out : (H, W)
        Receives the blurred frame; must not overlap `image`.
    """
    height, width = image.shape
    radius = len(weights) // 2
    # A blurred row goes straight from the first direction into the second while it is in the
    # nearest cache; a whole frame between the two would be written and read once more.
    for y in range(height):
        _blur_column_wise(image, y, weights, scratch)
        for x in range(radius):
            scratch[radius - 1 - x] = scratch[radius + _mirrored(-1 - x, width)]
            scratch[radius + width + x] = scratch[radius + _mirrored(width + x, width)]
        _blur_row_wise(scratch, weights, y, out)


@kernel
def _finite_range(image: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Return the smallest and largest finite pixel, or (inf, -inf) where there is none."""
    largest = np.float32(3.4028234663852886e38)
    low = np.float32(np.inf)
    high = np.float32(-np.inf)
    height, width = image.shape
    for y in range(height):
        for x in range(width):
            value = image[y, x]
            if abs(value) <= largest:
                low = min(low, value)
                high = max(high, value)
    return low, high


@kernel
def _fill_histogram(
    image: NDArray[np.float32], low: np.float32, scale: np.float32, histogram: NDArray[np.int64]
) -> int:
    """Count the finite pixels of each bin; returns how many there are."""
    largest = np.float32(3.4028234663852886e38)
    last = len(histogram) - 1
    height, width = image.shape
    n_counted = 0
    for y in range(height):
        for x in range(width):
            value = image[y, x]
            if abs(value) <= largest:
                histogram[min(int((value - low) * scale), last)] += 1
                n_counted += 1
    return n_counted


@kernel
def _quantile(histogram: NDArray[np.int64], rank: float) -> float:
    """Return the place, in bins, below which `rank` pixels lie; linear inside a bin."""
    below = 0
    for bin_ in range(len(histogram)):
        if histogram[bin_] > 0 and below + histogram[bin_] >= rank:
            return float(bin_) + (rank - below) / histogram[bin_]
        below += histogram[bin_]
    return float(len(histogram))


@kernel
def robust_range(
    image: NDArray[np.float32], low: float, high: float, histogram: NDArray[np.int64]
) -> tuple[float, float]:
    """Return two quantiles of the pixels.

    The bins are tied to the smallest and largest pixel, so that the result follows gain and
    offset exactly, but for rounding: a scale that is fixed in counts would not.

    Parameters
    ----------
    image : (H, W)
        NaN and infinities are left out. A constant frame gives its value twice, a frame without
        a finite pixel NaN twice.
    low, high
        Fractions of the pixels below the two results, 0..1.
    histogram : (B,)
        Scratch. The error is below one bin: the full range divided by B.
    """
    darkest, brightest = _finite_range(image)
    span = np.float32(brightest - darkest)
    if not darkest <= brightest:
        return np.nan, np.nan
    scale = np.float32(len(histogram)) / span
    # Also when the span is so small, or so large, that the scale is no number to work with.
    if not (span > 0 and 0 < scale and scale < np.inf):
        return float(darkest), float(brightest)
    histogram[:] = 0
    n_counted = _fill_histogram(image, darkest, scale, histogram)
    width = float(span) / len(histogram)
    lower = float(darkest) + width * _quantile(histogram, low * n_counted)
    upper = float(darkest) + width * _quantile(histogram, high * n_counted)
    return lower, upper


@kernel
def normalise(
    image: NDArray[np.float32], low: float, high: float, out: NDArray[np.float32]
) -> None:
    """Map `low` to 0 and `high` to 1, without clipping.

    Parameters
    ----------
    image, out : (H, W)
        May be the same array.
    low, high
        From `robust_range`. Unless `low < high` the frame holds nothing, and `out` is zero.
    """
    height, width = image.shape
    zero = np.float32(low)
    gain = np.float32(1.0 / (high - low)) if low < high else np.float32(0.0)
    for y in range(height):
        if gain > 0:
            for x in range(width):
                out[y, x] = (image[y, x] - zero) * gain
        else:
            for x in range(width):
                out[y, x] = np.float32(0.0)
