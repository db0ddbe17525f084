"""Zernike features of patches in plain numpy: what tests of the classes stand on."""

from functools import lru_cache
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ORDER = 10


@lru_cache(maxsize=8)
def basis(side: int, n_sub: int = 8) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Area-averaged Zernike functions (T, side, side) of disc radius (side - 1) / 2, and (n, m)."""
    radius = (side - 1) / 2
    sub = (np.arange(side * n_sub) + 0.5) / n_sub - side / 2
    y, x = np.meshgrid(sub / radius, sub / radius, indexing="ij")
    rho, theta = np.hypot(y, x), np.arctan2(y, x)
    values, terms = [], []
    for n in range(ORDER + 1):
        for m in range(-n, n + 1, 2):
            low = abs(m)
            radial = sum(
                (-1) ** k
                * factorial(n - k)
                / (factorial(k) * factorial((n + low) // 2 - k) * factorial((n - low) // 2 - k))
                * rho ** (n - 2 * k)
                for k in range((n - low) // 2 + 1)
            )
            wave = np.cos(low * theta) if m >= 0 else np.sin(low * theta)
            full = np.sqrt(2 * (n + 1) / (1 + (m == 0))) * radial * wave * (rho <= 1)
            values.append(full.reshape(side, n_sub, side, n_sub).mean(axis=(1, 3)))
            terms.append((n, m))
    return np.array(values) / (np.pi * side**2 / 4), np.array(terms)


def crop(
    image: NDArray[np.float32], places_yx: NDArray[np.float64], side: int
) -> NDArray[np.float64]:
    """Bilinear patches (N, side, side)."""
    offsets = np.mgrid[:side, :side] - (side - 1) / 2
    at = places_yx.T[:, :, None, None] + offsets[:, None]
    return ndimage.map_coordinates(image.astype(np.float64), at, order=1, mode="nearest")


def moduli(patches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation-invariant features (N, 36): signed for m = 0, else the modulus."""
    values, terms = basis(patches.shape[-1])
    moments = np.tensordot(patches, values, axes=([1, 2], [1, 2]))
    columns = []
    for n in range(ORDER + 1):
        for m in range(n % 2, n + 1, 2):
            plus = moments[:, np.flatnonzero((terms == (n, m)).all(axis=1))[0]]
            minus = moments[:, np.flatnonzero((terms == (n, -m)).all(axis=1))[0]]
            columns.append(plus if m == 0 else np.hypot(plus, minus))
    return np.stack(columns, axis=1)


def scorable(
    places_yx: NDArray[np.float64], shape: tuple[int, int], side: int
) -> NDArray[np.bool_]:
    """Sites whose patch lies in the frame with two pixels to spare."""
    margin = (side - 1) / 2 + 2
    inside = (places_yx >= margin) & (places_yx <= np.array(shape) - 1 - margin)
    return np.asarray(inside.all(axis=1))
