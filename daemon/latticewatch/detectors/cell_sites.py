"""Columns of the crystal in a frame, and where the lattice holds them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.held import at_blocks, well_within
from latticewatch.detectors.lock import LatticeLock
from latticewatch.kernels.places import place_sites

# Sites nearer to the edge than so many pixels, or than a width of a column, are not looked at: half
# of the column is not in the frame, and one in a hundred looked strange by chance.
_EDGE_PX = 2.0


@dataclass(frozen=True, slots=True)
class Sites:
    """Columns of the crystal in a frame, one sublattice after the other.

    Attributes
    ----------
    places_yx : (N, 2)
        Pixels.
    label : (N,)
        Sublattice.
    addresses : (N, 2)
        Lattice address (i, j).
    near_edge : (N,)
        So near to the edge of the frame that phase and gain are known from one side.
    n_beyond
        Places of the lattice in the frame where it does not hold, or at bad pixels: nobody looks.
    """

    places_yx: NDArray[np.float64]
    label: NDArray[np.intp]
    addresses: NDArray[np.int64]
    near_edge: NDArray[np.bool_]
    n_beyond: int


def find_sites(
    lock: LatticeLock, fractions: NDArray[np.float64], sigma_px: float, shape: tuple[int, int]
) -> Sites:
    """Place all sites that lie inside a frame and where the lattice holds.

    Parameters
    ----------
    lock
        Of the frame.
    fractions : (S, 2)
        Columns of the cell.
    sigma_px
        Their width.
    shape
        Of the frame.
    """
    margin_px = max(_EDGE_PX, sigma_px)
    corners = lock.corners_of(shape)
    # Columns of a cell hold at most so many sites as addresses are tried.
    n_tried = int(np.prod(corners[1] - corners[0] + 1)) * len(fractions)
    places, addresses = np.empty((n_tried, 2)), np.empty((n_tried, 2), np.int64)
    counts = np.empty(len(fractions), np.int64)
    n_found = place_sites(
        np.ascontiguousarray(fractions),
        corners,
        (lock.basis_px_yx, lock.phase, lock.step_px),
        (margin_px, shape[0] - 1.0 - margin_px, shape[1] - 1.0 - margin_px),
        (places, addresses, counts),
    )
    places, addresses = places[:n_found], addresses[:n_found]
    label = np.repeat(np.arange(len(fractions)), counts)
    n_beyond = 0
    within = well_within(lock)
    if not within.all():
        held = np.flatnonzero(at_blocks(within, lock.step_px, places))
        n_beyond = n_found - len(held)
        places, label, addresses = places[held], label[held], addresses[held]
    return Sites(places, label, addresses, _near_edge(places, shape, lock.period_px), n_beyond)


def without(sites: Sites, flawed: NDArray[np.bool_]) -> Sites:
    """Leave out sites at flawed pixels (H, W); they count as not looked at."""
    pixel = sites.places_yx.astype(np.intp)
    kept = np.flatnonzero(~flawed[pixel[:, 0], pixel[:, 1]])
    return Sites(
        places_yx=sites.places_yx[kept],
        label=sites.label[kept],
        addresses=sites.addresses[kept],
        near_edge=sites.near_edge[kept],
        n_beyond=sites.n_beyond + len(pixel) - len(kept),
    )


def _near_edge(
    places_yx: NDArray[np.float64], shape: tuple[int, int], reach_px: float
) -> NDArray[np.bool_]:
    """Tell which places are so near to the edge that phase and gain are known from one side."""
    y, x = places_yx[:, 0], places_yx[:, 1]
    last_y, last_x = shape[0] - 1 - reach_px, shape[1] - 1 - reach_px
    near: NDArray[np.bool_] = (y < reach_px) | (y > last_y) | (x < reach_px) | (x > last_x)
    return near
