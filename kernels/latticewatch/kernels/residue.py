"""What a predicted frame leaves unexplained: noise law, row shifts, weighted residual."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

_LANES = 32


@kernel
def spread_by_level(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    used: NDArray[np.uint8],
    levels: tuple[float, float],
    out: NDArray[np.float64],
) -> None:
    """Count, level and moments of the residual of pixels of about equal predicted brightness.

    Parameters
    ----------
    model, residual : (H, W)
        From `apply_gain`.
    used : (H, W)
        1, or 0 for a pixel to leave out.
    levels
        Predicted brightness at the lower edge of the first bin and the upper edge of the last;
        what lies beyond is counted in these.
    out : (4, B)
        At least one bin. Receives the sums of 1, model, residual^2, residual^3 in each bin.
    """
    height, width = model.shape
    n_bins = out.shape[1]
    out[:] = 0.0
    if n_bins < 1:
        raise ValueError("out must have at least one bin")
    scale = np.float32(n_bins / max(levels[1] - levels[0], 1e-30))
    low = np.float32(levels[0])
    for y in range(height):
        for x in range(width):
            place = (model[y, x] - low) * scale
            # Clipped before the conversion; the bound first, for of max(NaN, 0) NaN is left.
            clipped = min(max(np.float32(0.0), place), np.float32(n_bins - 1))
            bin_ = np.uint32(clipped)
            weight = np.float64(used[y, x])
            out[0, bin_] += weight
            out[1, bin_] += weight * model[y, x]
            rest = np.float64(residual[y, x])
            out[2, bin_] += weight * rest * rest
            out[3, bin_] += weight * rest * rest * rest


@kernel
def _row_sums(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    kept: NDArray[np.float32],
    y: int,
    sums: NDArray[np.float32],
) -> None:
    """Add up along one row what its shift needs; 32 interleaved, so that many go at once."""
    # Unsigned indices, and two loops: of one, numba cannot rule out soon enough that what is read
    # and what is written are the same. 0.59 ms a frame of 512x512, now 0.25.
    sums[:] = np.float32(0.0)
    row, one, lanes, half = np.uint64(y), np.uint64(1), np.uint64(_LANES), np.float32(0.5)
    n_groups = np.uint64(max(model.shape[1] - 2, 0)) // lanes
    for group in range(n_groups):
        begin = one + group * lanes
        for lane in range(lanes):
            x = begin + lane
            down = half * (model[row + one, x] - model[row - one, x])
            weighted = kept[x] * down
            sums[0, lane] += weighted * down
            sums[3, lane] += weighted * residual[row, x]
        for lane in range(lanes):
            x = begin + lane
            down = half * (model[row + one, x] - model[row - one, x])
            over = half * (model[row, x + one] - model[row, x - one])
            weighted = kept[x] * over
            sums[1, lane] += weighted * down
            sums[2, lane] += weighted * over
            sums[4, lane] += weighted * residual[row, x]
    # What is left of the row.
    for place in range(1 + int(n_groups) * _LANES, model.shape[1] - 1):
        down = half * (model[y + 1, place] - model[y - 1, place])
        over = half * (model[y, place + 1] - model[y, place - 1])
        weight, rest, spare = kept[place], residual[y, place], place % _LANES
        sums[0, spare] += weight * down * down
        sums[1, spare] += weight * over * down
        sums[2, spare] += weight * over * over
        sums[3, spare] += weight * down * rest
        sums[4, spare] += weight * over * rest


@kernel
def row_moments(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    used: NDArray[np.uint8],
    law: tuple[float, float, float],
    out: NDArray[np.float64],
) -> None:
    """Add up over each row what its displacement by least squares needs.

    Parameters
    ----------
    model, residual : (H, W)
        From `apply_gain`.
    used : (H, W)
        1, or 0 for a pixel to leave out.
    law
        Slope, intercept and least value of the variance of a pixel over its predicted brightness.
    out : (H, 5)
        Receives the weighted sums of dy dy, dy dx, dx dx, dy residual, dx residual, where
        (dy, dx) is the slope of the model. The first and last row get zeros.
    """
    height, width = model.shape
    kept = np.empty(width, np.float32)
    sums = np.empty((5, _LANES), np.float32)
    slope, intercept, least = np.float32(law[0]), np.float32(law[1]), np.float32(law[2])
    one = np.float32(1.0)
    out[:1] = 0.0
    out[max(height - 1, 0) :] = 0.0
    for y in range(1, height - 1):
        predicted, weights = model[y], used[y]
        for x in range(width):
            kept[x] = np.float32(weights[x]) * (one / max(slope * predicted[x] + intercept, least))
        _row_sums(model, residual, kept, y, sums)
        for k in range(5):
            total = 0.0
            for lane in range(_LANES):
                total += np.float64(sums[k, lane])
            out[y, k] = total


@kernel
def unshift_rows(
    model: NDArray[np.float32],
    shift_px: NDArray[np.float32],
    law: tuple[float, float, float],
    residual: NDArray[np.float32],
    precision: NDArray[np.float32],
    weighted: NDArray[np.float32],
) -> None:
    """Take what the displacement of whole rows explains out of the residual, and weigh the rest.

    Parameters
    ----------
    model : (H, W)
        Predicted frame.
    shift_px : (H, 2)
        How far each row is displaced, [y, x], by the definition of `row_moments`.
    law
        As in `row_moments`.
    residual : (H, W)
        Changed in place.
    precision : (H, W)
        Receives 1 / variance.
    weighted : (H, W)
        Receives residual / variance.
    """
    height, width = model.shape
    slope, intercept, least = np.float32(law[0]), np.float32(law[1]), np.float32(law[2])
    one, half = np.float32(1.0), np.float32(0.5)
    for y in range(height):
        row, left = model[y], residual[y]
        if 0 < y < height - 1:
            by_y, by_x = half * shift_px[y, 0], half * shift_px[y, 1]
            above, below = model[y - 1, 1 : width - 1], model[y + 1, 1 : width - 1]
            before, after = row[: width - 2], row[2:]
            inner = left[1 : width - 1]
            for x in range(width - 2):
                inner[x] -= by_y * (below[x] - above[x]) + by_x * (after[x] - before[x])
        out, weight = weighted[y], precision[y]
        for x in range(width):
            inverse = one / max(slope * row[x] + intercept, least)
            weight[x] = inverse
            out[x] = left[x] * inverse
