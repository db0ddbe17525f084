"""Copies of labelled tiles that a gate must judge alike.

After methods/symmetry.md 3.5: a head that saw upright tiles alone is at chance on turned ones.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

N_EXACT = 16
_MOST_ZOOM = 0.05
_MOST_TURN_RAD = np.deg2rad(15.0)
# Counts of the brightest pixel: from a noisy frame to a clear one, on top of the tile's own noise.
_PEAK_COUNTS = (50.0, 500.0)


def dihedral(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Eight turned and mirrored copies (N, 8, S, S) of tiles (N, S, S), the tile itself first."""
    turned = [
        np.rot90(sight, quarter, axes=(1, 2))
        for sight in (tiles, tiles[:, :, ::-1])
        for quarter in range(4)
    ]
    return np.stack(turned, axis=1)


def augmented(
    tiles: NDArray[np.float32], rng: np.random.Generator, n_jittered: int
) -> NDArray[np.float32]:
    """Make copies (N, 16 + n, S, S) of finite tiles (N, S, S).

    The eight dihedral copies, the same inverted, and `n_jittered` that are turned by up to 15
    degrees and zoomed by up to 5 per cent with reflecting edges, with Poisson noise added, each of
    a random copy among the 16.
    """
    upright = dihedral(tiles)
    low = tiles.min(axis=(1, 2))[:, None, None, None]
    high = tiles.max(axis=(1, 2))[:, None, None, None]
    exact = np.concatenate([upright, low + high - upright], axis=1)
    jittered = np.empty((len(tiles), n_jittered, *tiles.shape[1:]), np.float32)
    for tile in range(len(tiles)):
        for copy in range(n_jittered):
            jittered[tile, copy] = _jittered(exact[tile, rng.integers(N_EXACT)], rng)
    return np.concatenate([exact, jittered], axis=1)


def _jittered(tile: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    turn = rng.uniform(-_MOST_TURN_RAD, _MOST_TURN_RAD)
    zoom = 1.0 + rng.uniform(-_MOST_ZOOM, _MOST_ZOOM)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / zoom
    middle = (np.array(tile.shape) - 1) / 2
    moved = ndimage.affine_transform(
        tile, matrix, middle - matrix @ middle, order=1, mode="reflect"
    )
    low, high = float(moved.min()), float(moved.max())
    peak = np.exp(rng.uniform(*np.log(_PEAK_COUNTS)))
    share = (moved - low) / max(high - low, 1e-30)
    counted = rng.poisson(share * peak) / peak
    noisy: NDArray[np.float32] = (low + (high - low) * counted).astype(np.float32)
    return noisy
