"""Sites of a lattice in a frame: every address of every column whose place lies inside."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.cells import place_cell
from latticewatch.kernels.jit import kernel


@kernel
def _range(phase: NDArray[np.float32]) -> tuple[float, float]:
    """Middle of the smallest and the largest phase, and how far they are from it."""
    return np.float64(phase.min() + phase.max()) / 2, np.float64(phase.max() - phase.min()) / 2


@kernel
def place_sites(
    fractions: NDArray[np.float64],
    corners: NDArray[np.int64],
    lattice: tuple[NDArray[np.float64], NDArray[np.float32], float],
    limits_px: tuple[float, float, float],
    out: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
) -> int:
    """Place every site that lies inside a frame, one column of the cell after the other.

    Parameters
    ----------
    fractions : (S, 2)
        Columns of the cell.
    corners : (2, 2)
        First and last address (i, j) that is tried.
    lattice
        Lattice vectors (2, 2), phase (2, h, w) and step, as in `cells.place_cells`.
    limits_px
        Least y and x of a site; what its y must be below; what its x must be below.
    out
        Receives places [y, x] (N, 2) in pixels, addresses (N, 2) in their order within each
        column, and how many sites each column has (S,).

    Returns
    -------
    int
        How many there are in all. N may be too small: then those beyond are left out, of `counts`
        too, and the number is what N should have been.
    """
    basis_px, phase, step = lattice
    least, below_y, below_x = limits_px
    places, addresses, counts = out
    n_found = 0
    # Beyond the outer blocks phase goes on as between the last two, for one and a half steps.
    middle_a, most_a = _range(phase[0])
    middle_b, most_b = _range(phase[1])
    reach_y = 4.0 * (most_a * abs(basis_px[0, 0]) + most_b * abs(basis_px[1, 0])) + 1.0
    reach_x = 4.0 * (most_a * abs(basis_px[0, 1]) + most_b * abs(basis_px[1, 1])) + 1.0
    for column in range(len(fractions)):
        counts[column] = 0
        for i in range(corners[0, 0], corners[1, 0] + 1):
            u_a = i + fractions[column, 0]
            for j in range(corners[0, 1], corners[1, 1] + 1):
                u_b = j + fractions[column, 1]
                left_a, left_b = u_a - middle_a, u_b - middle_b
                y = left_a * basis_px[0, 0] + left_b * basis_px[1, 0]
                x = left_a * basis_px[0, 1] + left_b * basis_px[1, 1]
                # Half of the addresses lie outside, whatever the phase.
                if y < least - reach_y or y > below_y + reach_y:
                    continue
                if x < least - reach_x or x > below_x + reach_x:
                    continue
                y, x = place_cell((u_a, u_b), basis_px, phase, step)
                if not (least <= y < below_y and least <= x < below_x):
                    continue
                if n_found < len(places):
                    places[n_found, 0], places[n_found, 1] = y, x
                    addresses[n_found, 0], addresses[n_found, 1] = i, j
                    counts[column] += 1
                n_found += 1
    return n_found
