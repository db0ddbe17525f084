"""What latticewatch.kernels.power computes, spelled out."""

import numpy as np
from numpy.typing import NDArray


def patterson_power(
    patch: NDArray[np.float32], waves: NDArray[np.int64], scale: float
) -> NDArray[np.float64]:
    """sqrt(2) |sum over y, x of patch exp(-2 pi i (ky y + kx x) / S)|^2 / scale."""
    size = len(patch)
    y, x = np.indices(patch.shape)
    powers = []
    for ky, kx in waves:
        transform = (patch * np.exp(-2j * np.pi * (ky * y + kx * x) / size)).sum()
        powers.append(np.sqrt(2) * abs(transform) ** 2 / scale)
    return np.array(powers)


def patterson_map(patch: NDArray[np.float64]) -> NDArray[np.float64]:
    """The periodic autocorrelation, by its definition: one product for every shift."""
    size = len(patch)
    return np.array(
        [
            [(patch * np.roll(patch, (-dy, -dx), axis=(0, 1))).sum() for dx in range(size)]
            for dy in range(size)
        ]
    )
