"""Patterson power of windows: squared moduli of a discrete Fourier transform at low waves."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.low_waves import n_features as n_features
from latticewatch.kernels.low_waves import power_scratch as power_scratch
from latticewatch.kernels.low_waves import truncated_waves as truncated_waves
from latticewatch.kernels.low_waves import wave_numbers as wave_numbers


class Analysis(NamedTuple):
    """What the powers of windows of n x n pixels need.

    Attributes
    ----------
    waves : (2, K + 1, (n + 1) / 2)
        From `truncated_waves`.
    scale
        Any positive number that keeps the features near one.
    scratch
        From `power_scratch`; its content does not matter.
    """

    waves: NDArray[np.float32]
    scale: float
    scratch: NDArray[np.float32]


@kernel
def _fold_rows(
    image: NDArray[np.float32],
    centre: NDArray[np.int64],
    step: int,
    lanes: int,
    rows: NDArray[np.float32],
) -> None:
    """Write sums and differences of the rows at equal distance above and below each centre.

    Pixel x of window k goes to place `x lanes + k` of a row; a centre below 0 stands for zeros.
    """
    size = rows.shape[1] // lanes
    half = (size + 1) // 2
    # Unsigned, since a signed index is looked at once more, for its sign.
    across, stride = np.uint64(lanes), np.uint64(step)
    for j in range(half):
        even, odd = rows[j], rows[half + j]
        for window in range(len(centre)):
            at = np.uint64(window)
            if centre[window, 0] < 0:
                for _ in range(size):
                    even[at] = odd[at] = np.float32(0.0)
                    at += across
                continue
            below = image[centre[window, 0] + j * step]
            above = image[centre[window, 0] - j * step]
            pixel = np.uint64(centre[window, 1] - (half - 1) * step)
            for _ in range(size):
                # The centre row is its own counterpart.
                even[at] = below[pixel] + above[pixel] if j > 0 else below[pixel]
                odd[at] = below[pixel] - above[pixel]
                at += across
                pixel += stride


@kernel
def _fold_columns(
    rows: NDArray[np.float32], n_rows: int, lanes: int, columns: NDArray[np.float32]
) -> None:
    """Fold the transformed rows about the centre column, and put them side by side.

    All rows of all windows are then in step, and the second transform runs across them as the
    first ran across the columns.
    """
    first = len(rows) - n_rows
    half = first // 2
    for row in range(n_rows):
        source = rows[first + row]
        begin, end = row * lanes, (row + 1) * lanes
        columns[0, begin:end] = source[(half - 1) * lanes : half * lanes]
        columns[half, begin:end] = np.float32(0.0)
        for j in range(1, half):
            # Slices, and not an offset: an index that numba cannot prove to be positive is
            # checked each time, and the loop stays scalar.
            right = source[(half - 1 + j) * lanes : (half + j) * lanes]
            left = source[(half - 1 - j) * lanes : (half - j) * lanes]
            even, odd = columns[j, begin:end], columns[half + j, begin:end]
            for k in range(lanes):
                even[k] = right[k] + left[k]
                odd[k] = right[k] - left[k]


@kernel
def _add_rows(
    weights: NDArray[np.float32], source: int, target: int, width: int, rows: NDArray[np.float32]
) -> None:
    """Write to row `target` the weighted sum of the rows from `source` on."""
    w0 = weights[0]
    for x in range(width):
        rows[target, x] = w0 * rows[source, x]
    j = 1
    # Four at a time: one load and one store of the sum for four products.
    while j + 3 < len(weights):
        w1, w2, w3, w4 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        row = source + j
        for x in range(width):
            near = w1 * rows[row, x] + w2 * rows[row + 1, x]
            far = w3 * rows[row + 2, x] + w4 * rows[row + 3, x]
            rows[target, x] += near + far
        j += 4
    while j < len(weights):
        w1 = weights[j]
        for x in range(width):
            rows[target, x] += w1 * rows[source + j, x]
        j += 1


@kernel
def _write_pair(
    columns: NDArray[np.float32],
    at: tuple[int, int, int, int],
    factor: np.float32,
    plus: NDArray[np.float32],
    minus: NDArray[np.float32],
) -> None:
    """Combine the four real transforms to the powers of (ky, kx) and (ky, -kx).

    `at` says where they lie: rows of cosines and sines along x, places of both along y.
    """
    lanes = len(plus)
    # The first word is of y, the second of x.
    cos_cos = columns[at[0], at[2] : at[2] + lanes]
    sin_cos = columns[at[0], at[3] : at[3] + lanes]
    cos_sin = columns[at[1], at[2] : at[2] + lanes]
    sin_sin = columns[at[1], at[3] : at[3] + lanes]
    for k in range(lanes):
        # F(ky, kx) = (cos cos - sin sin) - i (cos sin + sin cos); kx < 0 turns the sines of x.
        real, imaginary = cos_cos[k] - sin_sin[k], sin_cos[k] + cos_sin[k]
        plus[k] = factor * (real * real + imaginary * imaginary)
        real, imaginary = cos_cos[k] + sin_sin[k], sin_cos[k] - cos_sin[k]
        minus[k] = factor * (real * real + imaginary * imaginary)


@kernel
def _write_row(
    cosines: NDArray[np.float32],
    sines: NDArray[np.float32],
    factor: np.float32,
    out: NDArray[np.float32],
) -> None:
    """Write the powers of a wave along x."""
    for k in range(len(out)):
        out[k] = factor * (cosines[k] * cosines[k] + sines[k] * sines[k])


@kernel
def _transform(
    waves: NDArray[np.float32],
    factor: np.float32,
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
    power: NDArray[np.float32],
) -> None:
    """Turn folded rows into powers (F, lanes): along y, then along x."""
    cutoff, half, lanes = waves.shape[1] - 1, waves.shape[2], power.shape[1]
    n_waves, n_rows = cutoff + 1, 2 * cutoff + 1
    for k in range(n_waves):
        _add_rows(waves[0, k], 0, 2 * half + k, rows.shape[1], rows)
        if k > 0:
            _add_rows(waves[1, k], half, 2 * half + cutoff + k, rows.shape[1], rows)
    _fold_columns(rows, n_rows, lanes, columns)
    even, odd = 2 * half, 2 * half + n_waves
    for k in range(n_waves):
        _add_rows(waves[0, k], 0, even + k, columns.shape[1], columns)
        _add_rows(waves[1, k], half, odd + k, columns.shape[1], columns)
    for kx in range(1, n_waves):
        _write_row(columns[even + kx, :lanes], columns[odd + kx, :lanes], factor, power[kx - 1])
    for ky in range(1, n_waves):
        middle = cutoff + (ky - 1) * n_rows + cutoff
        for kx in range(n_waves):
            at = (even + kx, odd + kx, ky * lanes, (cutoff + ky) * lanes)
            _write_pair(columns, at, factor, power[middle + kx], power[middle - kx])


@kernel
def _powers(
    image: NDArray[np.float32],
    centre: NDArray[np.int64],
    step: int,
    analysis: Analysis,
    out: NDArray[np.float32],
) -> None:
    """Write the powers of windows, given by their centre pixels; below 0 stands for zeros."""
    waves, scratch = analysis.waves, analysis.scratch
    cutoff, half = waves.shape[1] - 1, waves.shape[2]
    size, n_rows, n_powers = 2 * half - 1, 2 * cutoff + 1, cutoff + cutoff * (2 * cutoff + 1)
    shapes = ((2 * half + n_rows, size), (2 * half + 2 * (cutoff + 1), n_rows), (n_powers, 1))
    lanes = len(scratch) // (shapes[0][0] * size + shapes[1][0] * n_rows + n_powers)
    end = shapes[0][0] * size * lanes
    rows = scratch[:end].reshape(shapes[0][0], size * lanes)
    begin, end = end, end + shapes[1][0] * n_rows * lanes
    columns = scratch[begin:end].reshape(shapes[1][0], n_rows * lanes)
    power = scratch[end : end + n_powers * lanes].reshape(n_powers, lanes)
    factor = np.float32(np.sqrt(2.0) / analysis.scale)
    for first in range(0, len(centre), lanes):
        n = min(lanes, len(centre) - first)
        _fold_rows(image, centre[first : first + n], step, lanes, rows)
        _transform(waves, factor, rows, columns, power)
        for window in range(n):
            target = out[first + window]
            for feature in range(n_powers):
                target[feature] = power[feature, window]


@kernel
def window_power(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    cut: tuple[int, int],
    analysis: Analysis,
    out: NDArray[np.float32],
    inside: NDArray[np.bool_],
) -> None:
    """Write sqrt(2) |F(ky, kx)|^2 / scale for the low waves of the window round each place.

    This is what a Patterson map (the periodic autocorrelation of the window, mean removed) holds:
    its inverse Fourier transform only turns the axes. The root gives distances between two rows
    of `out` the value of the distance between the two maps, since one of each pair of opposite
    waves is left out. The mean of a window is a wave of its own, and need not be removed.

    Parameters
    ----------
    image : (H, W)
        Usually the levelled frame. A NaN makes all features of its windows NaN, no others.
    places : (N, 2)
        [y, x] in pixels; the window is centred on the nearest pixel (halves go up).
    cut
        Side of the window in pixels, odd; every so many of them, both ways from the centre, are
        looked at.
    analysis
        For n x n pixels, n = `thinned_size(*cut)`.
    out : (N, F)
        Receives the features in the order of `wave_numbers`; 0 for a window that reaches over the
        edge.
    inside : (N,)
        Receives whether the whole window lies inside the frame; false for a place that is NaN.
    """
    size, step = cut
    half = size // 2
    if size % 2 == 0 or analysis.waves.shape[2] != half // step + 1:
        raise ValueError("size must be odd, and waves of as many pixels as are looked at")
    height, width = image.shape
    centre = np.empty((len(places), 2), np.int64)
    for site in range(len(places)):
        y_px = np.floor(places[site, 0] + 0.5)
        x_px = np.floor(places[site, 1] + 0.5)
        # Decided before the conversion to integers, and so that NaN fails.
        inside[site] = (half <= y_px <= height - 1 - half) and (half <= x_px <= width - 1 - half)
        centre[site, 0], centre[site, 1] = -1, -1
        if inside[site]:
            centre[site, 0], centre[site, 1] = int(y_px), int(x_px)
    _powers(image, centre, step, analysis, out)
