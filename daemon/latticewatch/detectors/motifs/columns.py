"""Columns of the crystal in a frame, and its sites, those without a column among them.

The frame is folded into one cell; every maximum of it is a column, and the lattice says where in
the frame each of them is due.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.binning import to_unit_scale
from latticewatch.detectors.cell_sites import find_sites
from latticewatch.detectors.held import at_blocks, usable_pixels, well_within
from latticewatch.detectors.lattice_sites import cell_coordinates
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.mean_cell import (
    column_heights,
    find_columns,
    low_pass,
    mean_cell,
)
from latticewatch.kernels.cells import CELL_BINS, add_to_cell, cell_index

# As the reference cell has them, so that both name the same columns.
_CELL_BLUR_PX = 0.5
_LEAST_HEIGHT = 0.08
_SHELL_APART = 1.15  # distances that differ by less are one shell: a distorted lattice splits them

# Sites along each axis that tell the unit of a frame, half a millisecond; more where a cell has so
# many columns that fewer than two dozen of each were asked.
_GRID, _OF_EACH = 12, 24
_STEPS_BESIDE = np.mgrid[-1:2, -1:2].reshape(2, -1).T


@dataclass(frozen=True, slots=True, eq=False)
class CellColumns:
    """Columns of the mean cell, highest first.

    Attributes
    ----------
    fraction : (S, 2)
        Place of each in the cell, 0..1.
    height : (S,)
        Above the ground, over that of the highest; 0..1.
    sigma_px
        Width of a column.
    nearest_px, second_px
        Distance of the nearest columns, and of the next shell.
    contrast
        -1: columns are dark.
    """

    fraction: NDArray[np.float64]
    height: NDArray[np.float64]
    sigma_px: float
    nearest_px: float
    second_px: float
    contrast: int = 1

    @property
    def n_sublattices(self) -> int:
        """Columns of a cell."""
        return len(self.fraction)


@dataclass(frozen=True, slots=True, eq=False)
class MotifSites:
    """Sites of the crystal in a frame, one sublattice after the other.

    Attributes
    ----------
    places_yx : (N, 2)
        Pixels.
    sublattice : (N,)
        Rows of the columns of the cell.
    address : (N, 2)
        Cell.
    """

    places_yx: NDArray[np.float64]
    sublattice: NDArray[np.intp]
    address: NDArray[np.int64]


def columns_of(
    image: NDArray[np.float32], lock: LatticeLock, contrast: int = 1
) -> CellColumns | None:
    """Find the columns of the cell; 10 ms for 1024 x 1024, once for each chain of frames.

    Parameters
    ----------
    image : (H, W)
        Finite. Not changed.
    lock
        Of this frame.
    contrast
        +1: columns are bright; -1: they are dark.

    Returns
    -------
    CellColumns or None
        None where the mean cell holds no column.
    """
    pixels = image.copy() if contrast > 0 else -image
    to_unit_scale(pixels)
    bins = np.empty(pixels.shape, np.uint16)
    cell_index(lock.reciprocal_per_px, lock.phase, lock.step_px, bins)
    used = usable_pixels(lock, (pixels.shape[0], pixels.shape[1])).astype(np.uint8)
    total, count = np.zeros(CELL_BINS**2), np.zeros(CELL_BINS**2, np.int64)
    add_to_cell(pixels, bins, used, total, count)
    if not count.any():
        return None
    cell = mean_cell(total, count, low_pass(lock, _CELL_BLUR_PX))
    found = find_columns(cell, lock, _LEAST_HEIGHT)
    if found is None:
        return None
    heights = column_heights(cell, lock, found.fraction, found.sigma_px)
    order = np.argsort(-heights, kind="stable")
    nearest_px, second_px = shells(found.fraction, lock.basis_px_yx)
    return CellColumns(
        fraction=found.fraction[order],
        height=heights[order] / heights.max(),
        sigma_px=found.sigma_px,
        nearest_px=nearest_px,
        second_px=second_px,
        contrast=contrast,
    )


def shells(fraction: NDArray[np.float64], basis_px_yx: NDArray[np.float64]) -> tuple[float, float]:
    """Distance of nearest columns, and of those behind them, pixels.

    Parameters
    ----------
    fraction : (S, 2)
        Columns of a cell.
    basis_px_yx : (2, 2)
        Lattice vectors, rows.

    Returns
    -------
    float, float
        Least over all sublattices of the shells that each column has round it.
    """
    around = np.mgrid[-2:3, -2:3].reshape(2, -1).T
    steps = (fraction[:, None, None] - fraction[None, :, None] + around) @ basis_px_yx
    apart = np.linalg.norm(steps, axis=-1).reshape(len(fraction), -1)
    apart[apart < 1e-9] = np.inf
    first = apart.min(axis=1)
    beyond = np.where(apart > _SHELL_APART * first[:, None], apart, np.inf)
    return float(first.min()), float(beyond.min(axis=1).min())


def sites_of(lock: LatticeLock, columns: CellColumns, shape: tuple[int, int]) -> MotifSites:
    """Place every site that the lattice holds, also where its column is missing."""
    found = find_sites(lock, columns.fraction, columns.sigma_px, shape)
    return MotifSites(found.places_yx, found.label, found.addresses)


def nearest_sites(
    lock: LatticeLock, columns: CellColumns, places_yx: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Find the site nearest to each place.

    Parameters
    ----------
    lock
        Of the frame.
    columns
        Of its chain of frames.
    places_yx : (M, 2)
        Pixels.

    Returns
    -------
    (M, 2), (M, 3), (M,)
        Place of the site in pixels; its cell along a and b, and sublattice; how far it is.
    """
    away = cell_coordinates(places_yx, lock)[:, None] - columns.fraction
    # Of a skew cell the nearest point may be a step beside the rounded one.
    tried = np.round(away)[:, :, None] + _STEPS_BESIDE
    off = (away[:, :, None] - tried) @ lock.basis_px_yx
    n_tried = columns.n_sublattices * len(_STEPS_BESIDE)
    off_px = np.linalg.norm(off, axis=-1).reshape(len(away), n_tried)
    sublattice, step = np.divmod(off_px.argmin(axis=1), len(_STEPS_BESIDE))
    row = np.arange(len(places_yx))
    address = np.column_stack([tried[row, sublattice, step], sublattice]).astype(np.int64)
    site_yx = lock.places(address[:, :2], columns.fraction[sublattice])
    return site_yx, address, np.linalg.norm(site_yx - places_yx, axis=1)


def some_sites(
    shape: tuple[int, ...], lock: LatticeLock, columns: CellColumns
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Sites all over the frame, of every sublattice, where the lattice holds."""
    # Not nearer than a period: each site is asked once.
    most = max(_GRID, int(np.ceil(np.sqrt(_OF_EACH * columns.n_sublattices))))
    counts = [int(np.clip(size / lock.period_px, 1, most)) for size in shape]
    y, x = (
        (np.arange(count) + 0.5) * size / count for count, size in zip(counts, shape, strict=True)
    )
    grid = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    # The nearest column would favour the one that has more room round it.
    sublattice = np.arange(len(grid)) % columns.n_sublattices
    fraction = columns.fraction[sublattice]
    address = np.round(cell_coordinates(grid, lock) - fraction).astype(np.int64)
    places = lock.places(address, fraction)
    held = at_blocks(well_within(lock), lock.step_px, places)
    return places[held], sublattice[held]
