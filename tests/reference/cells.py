"""What latticewatch.kernels.cells computes, spelled out in double precision."""

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.interpolate import RegularGridInterpolator

Wide = NDArray[np.float64]
N_BINS = 128


def phase_at(phase: NDArray[np.float32], step: int, places_yx: Wide) -> Wide:
    """Phase (..., 2) at places (..., 2): linear between block centres, and beyond the last."""
    centres = tuple((np.arange(n) + 0.5) * step - 0.5 for n in phase.shape[1:])
    nodes = np.moveaxis(phase.astype(np.float64), 0, -1)
    between = RegularGridInterpolator(centres, nodes, bounds_error=False, fill_value=None)
    turns: Wide = between(places_yx)
    return turns


def cell_coordinates(
    reciprocal_per_px: Wide, phase: NDArray[np.float32], step: int, places_yx: Wide
) -> Wide:
    """u = g.r + phase(r) (..., 2) at places (..., 2)."""
    turns: Wide = places_yx @ reciprocal_per_px.T + phase_at(phase, step, places_yx)
    return turns


def bins(coordinates: Wide) -> NDArray[np.int64]:
    """Bins (..., 2) along both vectors that cell coordinates lie in."""
    fraction = coordinates - np.floor(coordinates)
    return np.floor(N_BINS * fraction).astype(np.int64) % N_BINS


def add_to_cell(
    image: NDArray[np.float32], index: NDArray[np.uint16], used: NDArray[np.uint8]
) -> tuple[Wide, NDArray[np.int64]]:
    """Sum and number of the pixels of each bin."""
    kept = used == 1
    total, count = np.zeros(N_BINS**2), np.zeros(N_BINS**2, np.int64)
    np.add.at(total, index[kept], image[kept].astype(np.float64))
    np.add.at(count, index[kept], 1)
    return total, count


def place_cell(
    wanted: Wide, reciprocal_per_px: Wide, phase: NDArray[np.float32], step: int
) -> Wide:
    """The place r (2,) where g.r + phase(r) = u, by a solver that knows nothing of lattices."""

    def miss(place: Wide) -> Wide:
        apart: Wide = cell_coordinates(reciprocal_per_px, phase, step, place[None])[0] - wanted
        return apart

    start = np.linalg.solve(reciprocal_per_px, wanted)
    solved = optimize.root(miss, start, tol=1e-12)
    place: Wide = solved.x
    return place
