"""The low waves of a window: which they are, their cosines and sines, and room to work in."""

import numpy as np
from numpy.typing import NDArray

# How many windows lie side by side in the scratch, a pixel of each in a row, so that every step but
# the first runs across windows: 2000 windows of 17x17 take 1.24, 1.02 and 1.10 ms with 16, 32 and
# 64 of them, cut from the frame; one after the other, with their rows side by side, they took 2.3.
# As one matrix product (S^2 x 2 F multiply-adds a window) 2200 windows of 33x33 take 9.7 ms.
WINDOWS_AT_ONCE = 32


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
    check_waves(size, cutoff)
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
    check_waves(size, cutoff)
    k = np.arange(cutoff + 1)[:, None]
    j_px = np.arange((size + 1) // 2)
    phase_rad = 2 * np.pi * ((k * j_px) % size) / size
    return np.stack([np.cos(phase_rad), np.sin(phase_rad)]).astype(np.float32)


def power_scratch(size: int, cutoff: int) -> NDArray[np.float32]:
    """Allocate what `window_power` needs for windows of this size.

    Parameters
    ----------
    size
        Pixels looked at along a side, odd.
    cutoff
        Highest wave number.

    Returns
    -------
    (n,)
        Room for 32 windows: sums and differences of their rows, the transforms of these, the same
        again along the other axis, and the powers.
    """
    check_waves(size, cutoff)
    n_rows = 2 * cutoff + 1
    half = (size + 1) // 2
    n_numbers = (2 * half + n_rows) * size + (2 * half + 2 * (cutoff + 1)) * n_rows
    return np.zeros(WINDOWS_AT_ONCE * (n_numbers + n_features(cutoff)), np.float32)


def check_waves(size: int, cutoff: int) -> None:
    """Refuse a window of even size, and waves that it cannot tell apart, as ValueError."""
    if size % 2 == 0 or size < 1 or not 0 <= cutoff <= size // 2:
        raise ValueError(f"size {size} with cutoff {cutoff}: size must be odd, cutoff <= size / 2")
