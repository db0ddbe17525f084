"""Patterson power of windows: squared moduli of a discrete Fourier transform at low waves."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


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
    """Allocate what `patterson_power` needs for windows of this size."""
    _check(size, cutoff)
    # Sums and differences of rows; their transforms; those folded, and transformed, again.
    n_rows = 2 * cutoff + 1
    half = (size + 1) // 2
    return np.zeros((4 * half + n_rows + 2 * (cutoff + 1), max(size, _lanes(n_rows))), np.float32)


def _lanes(n: int) -> int:
    return (n + 7) // 8 * 8


def _check(size: int, cutoff: int) -> None:
    if size % 2 == 0 or size < 1 or not 0 <= cutoff <= size // 2:
        raise ValueError(f"size {size} with cutoff {cutoff}: size must be odd, cutoff <= size / 2")


@kernel
def _fold_rows(patches: NDArray[np.float32], patch: int, scratch: NDArray[np.float32]) -> None:
    """Write sums and differences of the rows at equal distance above and below the centre."""
    size = patches.shape[1]
    half = (size + 1) // 2
    middle = half - 1
    for x in range(size):
        scratch[0, x] = patches[patch, middle, x]
        scratch[half, x] = np.float32(0.0)
    for j in range(1, half):
        for x in range(size):
            below = patches[patch, middle + j, x]
            above = patches[patch, middle - j, x]
            scratch[j, x] = below + above
            scratch[half + j, x] = below - above


@kernel
def _fold_columns(half: int, first: int, n_rows: int, scratch: NDArray[np.float32]) -> None:
    """Fold the transformed rows about the centre column, and transpose them.

    Transposed, all rows are in step and the second transform runs across them as the first ran
    across the columns: neither adds up a vector, which is slow and which numba may not reorder.
    """
    middle = half - 1
    even = first + n_rows
    for row in range(n_rows):
        scratch[even, row] = scratch[first + row, middle]
        scratch[even + half, row] = np.float32(0.0)
        for j in range(1, half):
            right = scratch[first + row, middle + j]
            left = scratch[first + row, middle - j]
            scratch[even + j, row] = right + left
            scratch[even + half + j, row] = right - left


@kernel
def _add_rows(
    weights: NDArray[np.float32],
    wave: tuple[int, int],
    rows: tuple[int, int],
    width: int,
    scratch: NDArray[np.float32],
) -> None:
    """Write to row rows[1] the sum of the rows from rows[0] on, weighted by one wave."""
    half = weights.shape[2]
    part, k = wave
    source, target = rows
    w0 = weights[part, k, 0]
    for x in range(width):
        scratch[target, x] = w0 * scratch[source, x]
    j = 1
    # Four at a time: one load and one store of the sum for four products.
    while j + 3 < half:
        w1, w2 = weights[part, k, j], weights[part, k, j + 1]
        w3, w4 = weights[part, k, j + 2], weights[part, k, j + 3]
        row = source + j
        for x in range(width):
            near = w1 * scratch[row, x] + w2 * scratch[row + 1, x]
            far = w3 * scratch[row + 2, x] + w4 * scratch[row + 3, x]
            scratch[target, x] += near + far
        j += 4
    while j < half:
        w1 = weights[part, k, j]
        for x in range(width):
            scratch[target, x] += w1 * scratch[source + j, x]
        j += 1


@kernel
def _write_power(
    first: int,
    cutoff: int,
    factor: np.float32,
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Combine the four real transforms (cosine or sine along y, and along x) to powers."""
    n_waves = cutoff + 1
    feature = 0
    for ky in range(n_waves):
        for kx in range(-cutoff if ky > 0 else 1, n_waves):
            even = first + abs(kx)
            odd = even + n_waves
            # F(ky, kx) = (cos cos - sin sin) - i (cos sin + sin cos); kx < 0 turns the sines of x.
            flip = np.float32(-1.0) if kx < 0 else np.float32(1.0)
            sin_cos = scratch[even, cutoff + ky] if ky > 0 else np.float32(0.0)
            sin_sin = scratch[odd, cutoff + ky] if ky > 0 else np.float32(0.0)
            real = scratch[even, ky] - flip * sin_sin
            imaginary = sin_cos + flip * scratch[odd, ky]
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
    first = 2 * half
    even = first + n_rows
    result = even + 2 * half
    factor = np.float32(np.sqrt(2.0) / scale)
    for patch in range(len(patches)):
        _fold_rows(patches, patch, scratch)
        for k in range(cutoff + 1):
            _add_rows(waves, (0, k), (0, first + k), size, scratch)
            if k > 0:
                _add_rows(waves, (1, k), (half, first + cutoff + k), size, scratch)
        _fold_columns(half, first, n_rows, scratch)
        for k in range(cutoff + 1):
            _add_rows(waves, (0, k), (even, result + k), n_rows, scratch)
            _add_rows(waves, (1, k), (even + half, result + cutoff + 1 + k), n_rows, scratch)
        _write_power(result, cutoff, factor, scratch, out[patch])
