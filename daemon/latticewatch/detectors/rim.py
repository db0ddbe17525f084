"""Which sites stand at the rim of the crystal, where vacuum begins and no window is ordinary."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.neighbours import NOBODY

# Contrast in vacuum over contrast in the crystal: below this a place holds no lattice. On a real
# particle nine in ten places beyond the rim are below; beside stacking faults, vacancies and
# defects of graphene, where neighbours are missing too, one in fifty or none.
_VACUUM_CONTRAST = 0.5
# Looked at so far beyond the site, in lattice vectors: nearer, the last columns of the crystal and
# the slope of its edge fill the square.
_BEYOND = 1.5
_SAMPLE = 64  # sites that say what contrast the crystal has


def at_rim(
    image: NDArray[np.float32],
    places_yx: NDArray[np.float64],
    links: NDArray[np.int32],
    vectors_yx: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Tell which sites miss a neighbour where the frame shows no lattice.

    Parameters
    ----------
    image : (H, W)
        Levelled frame.
    places_yx : (N, 2)
        Sites, pixels.
    links : (N, V)
        Their neighbours at the lattice vectors.
    vectors_yx : (V, 2)
        These vectors, pixels.
    """
    rim = np.zeros(len(places_yx), bool)
    which, vector = np.nonzero(links == NOBODY)
    if not len(which):
        return rim
    half = max(1, round(float(np.linalg.norm(vectors_yx, axis=1).min()) / 2))
    sample = places_yx[:: max(1, len(places_yx) // _SAMPLE)]
    crystal = float(np.median(_contrast(image, sample, half)))
    beyond = places_yx[which] + _BEYOND * vectors_yx[vector]
    empty = _contrast(image, beyond, half)
    rim[which[empty < _VACUUM_CONTRAST * crystal]] = True
    return rim


def _contrast(
    image: NDArray[np.float32], places_yx: NDArray[np.float64], half: int
) -> NDArray[np.float64]:
    """Return the standard deviation about a curved plane in the square round each place.

    The plane takes away the slope at the edge of a particle, which has more contrast than the
    lattice. Squares are cut off at the edge of the frame.
    """
    reach = np.arange(-half, half + 1)
    centre = np.floor(places_yx + 0.5).astype(np.intp)
    rows = np.clip(centre[:, 0, None] + reach, 0, image.shape[0] - 1)
    columns = np.clip(centre[:, 1, None] + reach, 0, image.shape[1] - 1)
    windows = image[rows[:, :, None], columns[:, None, :]].reshape(len(places_yx), -1)
    plane = _curved_plane(reach.astype(np.float32))
    # Pythagoras: what the plane explains and what it leaves are at right angles.
    energy = np.einsum("np,np->n", windows, windows) - np.square(windows @ plane.T).sum(axis=1)
    contrast: NDArray[np.float64] = np.sqrt(np.maximum(energy, 0.0) / plane.shape[1], dtype=float)
    return contrast


def _curved_plane(reach: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal 1, y, x, yx, y^2, x^2 on a square of these coordinates, (6, pixels)."""
    y, x = (grid.ravel() for grid in np.meshgrid(reach, reach, indexing="ij"))
    square = np.square(reach).mean()
    terms = np.stack([np.ones_like(y), y, x, y * x, y * y - square, x * x - square])
    plane: NDArray[np.float32] = terms / np.linalg.norm(terms, axis=1, keepdims=True)
    return plane
