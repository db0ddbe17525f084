"""Patterson power of windows: squared moduli of a discrete Fourier transform at low waves."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

# How many windows lie side by side in the scratch, so that loops are long: 2200 windows of 33x33
# took 6.1, 4.7, 3.6, 3.4 and 3.2 ms with 1, 2, 4, 8 and 16 of them; 8 leave room in the cache.
# As one matrix product (S^2 x 2 F multiply-adds a window) the same takes 9.7 ms.
WINDOWS_AT_ONCE = 8


def n_features(cutoff: int) -> int:
    """Count the wave vectors up to a cutoff, one of each pair of opposite ones, without zero.

    >>> n_features(6)
    84
    """
    return cutoff + cutoff * (2 * cutoff + 1)


def wave_numbers(size: int, cutoff: int) -> NDArray[np.int64]:
    """List [ky, kx] of each feature in whole periods per window: row by row of ky, kx rising.

    >>> wave_numbers(5, 1).tolist()
    [[0, 1], [1, -1], [1, 0], [1, 1]]
    """
    _check(size, cutoff)
    waves = [[0, kx] for kx in range(1, cutoff + 1)]
    waves += [[ky, kx] for ky in range(1, cutoff + 1) for kx in range(-cutoff, cutoff + 1)]
    return np.array(waves, np.int64).reshape(-1, 2)


def truncated_waves(size: int, cutoff: int) -> NDArray[np.float32]:
    """Tabulate cosine and sine of k periods per window at j pixels from its centre.

    Returns
    -------
    (2, cutoff + 1, (size + 1) / 2)
        Cosines, then sines. The other half of the window follows by symmetry.
    """
    _check(size, cutoff)
    k = np.arange(cutoff + 1)[:, None]
    j_px = np.arange((size + 1) // 2)
    phase_rad = 2 * np.pi * ((k * j_px) % size) / size
    return np.stack([np.cos(phase_rad), np.sin(phase_rad)]).astype(np.float32)


def power_scratch(size: int, cutoff: int) -> NDArray[np.float32]:
    """Allocate what `patterson_power` needs for windows of this size.

    Returns
    -------
    (n,)
        Room for eight windows: sums and differences of their rows, the transforms of these, and
        the same again along the other axis.
    """
    _check(size, cutoff)
    n_rows = 2 * cutoff + 1
    half = (size + 1) // 2
    n_numbers = (2 * half + n_rows) * size + (2 * half + 2 * (cutoff + 1)) * n_rows
    return np.zeros(WINDOWS_AT_ONCE * n_numbers, np.float32)


def _check(size: int, cutoff: int) -> None:
    if size % 2 == 0 or size < 1 or not 0 <= cutoff <= size // 2:
        raise ValueError(f"size {size} with cutoff {cutoff}: size must be odd, cutoff <= size / 2")


@kernel
def _fold_rows(patches: NDArray[np.float32], first: int, rows: NDArray[np.float32]) -> None:
    """Write sums and differences of the rows at equal distance above and below the centre."""
    n_patches, size, _ = patches.shape
    half = (size + 1) // 2
    middle = half - 1
    for patch in range(first, n_patches):
        # Slices, and not an offset to x: an index that numba cannot prove to be positive is
        # checked at each pixel, and the loop stays scalar (1.06 ms, now 0.6).
        begin = (patch - first) * size
        end = begin + size
        rows[0, begin:end] = patches[patch, middle]
        rows[half, begin:end] = np.float32(0.0)
        for j in range(1, half):
            below = patches[patch, middle + j]
            above = patches[patch, middle - j]
            even = rows[j, begin:end]
            odd = rows[half + j, begin:end]
            for x in range(size):
                even[x] = below[x] + above[x]
                odd[x] = below[x] - above[x]


@kernel
def _fold_columns(
    rows: NDArray[np.float32], n_patches: int, n_rows: int, columns: NDArray[np.float32]
) -> None:
    """Fold the transformed rows about the centre column, and transpose them.

    Transposed, all rows are in step and the second transform runs across them as the first ran
    across the columns: neither adds up a vector, which is slow and which numba may not reorder.
    """
    first = len(rows) - n_rows
    half = first // 2
    size = 2 * half - 1
    for patch in range(n_patches):
        for row in range(n_rows):
            centre = patch * size + half - 1
            lane = patch * n_rows + row
            columns[0, lane] = rows[first + row, centre]
            columns[half, lane] = np.float32(0.0)
            for j in range(1, half):
                right = rows[first + row, centre + j]
                left = rows[first + row, centre - j]
                columns[j, lane] = right + left
                columns[half + j, lane] = right - left


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
def _write_power(
    columns: NDArray[np.float32],
    lane: int,
    cutoff: int,
    factor: np.float32,
    out: NDArray[np.float32],
) -> None:
    """Combine the four real transforms (cosine or sine along y, and along x) to powers."""
    n_waves = cutoff + 1
    even = len(columns) - 2 * n_waves
    odd = even + n_waves
    feature = 0
    for ky in range(n_waves):
        for kx in range(-cutoff if ky > 0 else 1, n_waves):
            wave = abs(kx)
            # F(ky, kx) = (cos cos - sin sin) - i (cos sin + sin cos); kx < 0 turns the sines of x.
            flip = np.float32(-1.0) if kx < 0 else np.float32(1.0)
            sin_cos = columns[even + wave, lane + cutoff + ky] if ky > 0 else np.float32(0.0)
            sin_sin = columns[odd + wave, lane + cutoff + ky] if ky > 0 else np.float32(0.0)
            real = columns[even + wave, lane + ky] - flip * sin_sin
            imaginary = sin_cos + flip * columns[odd + wave, lane + ky]
            out[feature] = factor * (real * real + imaginary * imaginary)
            feature += 1


@kernel
def patterson_power(
    patches: NDArray[np.float32],
    waves: NDArray[np.float32],
    scale: float,
    out: NDArray[np.float32],
    scratch: NDArray[np.float32],
) -> None:
    """Write sqrt(2) |F(ky, kx)|^2 / scale for the low waves of each window.

    This is what a Patterson map (the periodic autocorrelation of the window, mean removed) holds:
    its inverse Fourier transform only turns the axes. The root gives distances between two rows
    of `out` the value of the distance between the two maps, since one of each pair of opposite
    waves is left out.

    Parameters
    ----------
    patches : (N, S, S)
        Windows from `gather_patches`. NaN in one makes all of its features NaN, no other's.
    waves : (2, K + 1, (S + 1) / 2)
        From `truncated_waves`.
    scale
        Any positive number that keeps the features near one.
    out : (N, F)
        Receives the features in the order of `wave_numbers`.
    scratch
        From `power_scratch`; its content does not matter.
    """
    size = patches.shape[1]
    half = waves.shape[2]
    cutoff = waves.shape[1] - 1
    n_rows = 2 * cutoff + 1
    at_once = len(scratch) // ((2 * half + n_rows) * size + (2 * half + 2 * (cutoff + 1)) * n_rows)
    split = at_once * (2 * half + n_rows) * size
    rows = scratch[:split].reshape(2 * half + n_rows, at_once * size)
    stop = split + at_once * (2 * half + 2 * (cutoff + 1)) * n_rows
    columns = scratch[split:stop].reshape(2 * half + 2 * (cutoff + 1), at_once * n_rows)
    factor = np.float32(np.sqrt(2.0) / scale)
    for first in range(0, len(patches), at_once):
        n = min(at_once, len(patches) - first)
        _fold_rows(patches[: first + n], first, rows)
        for k in range(cutoff + 1):
            _add_rows(waves[0, k], 0, 2 * half + k, n * size, rows)
            if k > 0:
                _add_rows(waves[1, k], half, 2 * half + cutoff + k, n * size, rows)
        _fold_columns(rows, n, n_rows, columns)
        for k in range(cutoff + 1):
            _add_rows(waves[0, k], 0, 2 * half + k, n * n_rows, columns)
            _add_rows(waves[1, k], half, 2 * half + cutoff + 1 + k, n * n_rows, columns)
        for patch in range(n):
            _write_power(columns, patch * n_rows, cutoff, factor, out[first + patch])
