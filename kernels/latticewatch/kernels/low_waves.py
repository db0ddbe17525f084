"""The low waves of a window: which they are, and their cosines and sines."""

import numpy as np
from numpy.typing import NDArray


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


def check_waves(size: int, cutoff: int) -> None:
    """Refuse a window of even size, and waves that it cannot tell apart, as ValueError."""
    if size % 2 == 0 or size < 1 or not 0 <= cutoff <= size // 2:
        raise ValueError(f"size {size} with cutoff {cutoff}: size must be odd, cutoff <= size / 2")
