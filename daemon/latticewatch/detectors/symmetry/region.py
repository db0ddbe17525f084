"""Which cells of a frame lie in clean tiles, and their moments at every position of the grid."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.parameters import BLOCK_PX, BOX_PX, KERNEL_PX
from latticewatch.kernels.moments import grid_shape, moment_scratch, n_moments, second_moments

Mask = NDArray[np.bool_]
# Cells at one position of the grid: as many as a crop of 120 px leaves (methods/symmetry.md 3.2).
ENOUGH_CELLS = 144
# Windows of a cell reach so far beyond it.
_REACH_PX = KERNEL_PX // 2
ALL_SHIFTS = (0, 2, 4, 6)
SOME_SHIFTS = (0, 4)


def pixels_of(tiles: Mask, side_px: int, binning: int, shape: tuple[int, int]) -> Mask:
    """Tell which binned pixels lie wholly in the given tiles.

    Parameters
    ----------
    tiles : (R, C)
        Of `side_px` pixels of the frame.
    shape
        Of the binned frame.
    """
    inside = np.ones(shape, bool)
    # Beyond the last whole tile nothing is inside.
    padded = np.pad(tiles, ((0, 1), (0, 1)))
    for step_y in (0, binning - 1):
        for step_x in (0, binning - 1):
            at = [
                np.minimum((np.arange(n) * binning + step) // side_px, count)
                for n, step, count in zip(shape, (step_y, step_x), tiles.shape, strict=True)
            ]
            inside &= padded[np.ix_(*at)]
    return inside


def cells_in(pixels: Mask, reach_px: int = 0) -> Mask:
    """Tell which cells (R, C) of a frame, with so many pixels round them, lie in some pixels."""
    total = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), np.int64)
    total[1:, 1:] = pixels.cumsum(axis=0).cumsum(axis=1)
    bounds = []
    for n, size in zip(grid_shape(pixels.shape), pixels.shape, strict=True):
        first = np.arange(n) * BLOCK_PX - reach_px
        last = first + BOX_PX + 2 * reach_px
        bounds.append((np.clip(first, 0, size), np.clip(last, 0, size)))
    (top, bottom), (left, right) = bounds
    count = total[np.ix_(bottom, right)] - total[np.ix_(top, right)]
    count -= total[np.ix_(bottom, left)] - total[np.ix_(top, left)]
    # Cells that reach over the edge of the frame have fewer.
    whole: Mask = count == (BOX_PX + 2 * reach_px) ** 2
    return whole


def grown(clean: Mask, tile: tuple[int, int]) -> Iterator[Mask]:
    """Tiles round one, larger and larger: it alone, then with the clean ones one step further."""
    chosen = np.zeros_like(clean)
    chosen[tile] = True
    while True:
        yield chosen
        further = chosen.copy()
        further[1:] |= chosen[:-1]
        further[:-1] |= chosen[1:]
        further[:, 1:] |= chosen[:, :-1]
        further[:, :-1] |= chosen[:, 1:]
        further &= clean
        if (further == chosen).all():
            return
        chosen = further


def region_round(
    clean: Mask, tile: tuple[int, int], side_px: int, binning: int, shape: tuple[int, int]
) -> Mask:
    """Binned pixels of the model patch and of as many clean tiles round it as statistics need."""
    pixels = np.zeros(shape, bool)
    for tiles in grown(clean, tile):
        pixels = pixels_of(tiles, side_px, binning, shape)
        if np.count_nonzero(cells_in(pixels, _REACH_PX)) >= ENOUGH_CELLS:
            break
    return pixels


def moments_in(
    filtered: NDArray[np.float32],
    bank: NDArray[np.float32],
    pixels: Mask,
    shifts: tuple[int, ...] = ALL_SHIFTS,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Moments of every cell in some pixels, at several positions of the grid.

    Parameters
    ----------
    filtered : (H, W)
        Frame.
    bank : (K, 49)
        Filters.
    pixels : (H, W)
        Where cells and their windows may lie.
    shifts
        Of the grid, along either axis.

    Returns
    -------
    tuple of (N, D) and (N, 2)
        Moments, and the first pixel of each cell.
    """
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    moments = [np.empty((0, n_moments(len(bank))), np.float32)]
    corners: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    for shift in itertools.product(shifts, shifts) if len(rows) else ():
        first = np.array([rows[0] + shift[0], columns[0] + shift[1]], np.int64)
        # Windows at the edge of the part see its mirror: `cells_in` leaves them out.
        part = (slice(first[0], rows[-1] + 1), slice(first[1], columns[-1] + 1))
        image = np.ascontiguousarray(filtered[part])
        out = np.empty((*grid_shape(image.shape), n_moments(len(bank))), np.float32)
        second_moments(image, bank, moment_scratch(image.shape[1], len(bank)), out)
        inside = cells_in(pixels[part], _REACH_PX)
        moments.append(out[inside])
        corners.append(np.argwhere(inside) * BLOCK_PX + first)
    return np.concatenate(moments), np.concatenate(corners)
