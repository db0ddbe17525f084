"""What latticewatch.kernels.local_energy and lobes compute, spelled out."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]


def cell_mask(basis_px_yx: NDArray[np.float64], reach: int) -> NDArray[np.bool_]:
    """Pixels no farther from (0, 0) than from any of the lattice points around."""
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = np.ones(y.shape, bool)
    for i in range(-2, 3):
        for j in range(-2, 3):
            other = i * basis_px_yx[0] + j * basis_px_yx[1]
            away = (y - other[0]) ** 2 + (x - other[1]) ** 2
            inside &= y**2 + x**2 <= away + 1e-6
    return inside


def energy_of(residual: Image, weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squares, blurred along y and x, mirrored at the edges."""
    squares = np.square(residual.astype(np.float64))
    along_y = ndimage.correlate1d(squares, weights.astype(np.float64), axis=0, mode="reflect")
    blurred: NDArray[np.float64] = ndimage.correlate1d(
        along_y, weights.astype(np.float64), axis=1, mode="reflect"
    )
    return blurred


def cell_at(
    shape: tuple[int, ...], place: tuple[float, float], mask: NDArray[np.bool_]
) -> NDArray[np.bool_] | None:
    """Pixels of a frame in the cell at a place; None where its square leaves the frame."""
    half = len(mask) // 2
    if not np.isfinite(place).all():
        return None
    y, x = (int(np.floor(one + 0.5)) for one in place)
    if not (half <= y <= shape[0] - 1 - half and half <= x <= shape[1] - 1 - half):
        return None
    cell = np.zeros(shape, bool)
    cell[y - half : y + half + 1, x - half : x + half + 1] = mask
    return cell


def site_statistics(
    residual: Image,
    energy: NDArray[np.float64],
    step: int,
    place: tuple[float, float],
    mask: NDArray[np.bool_],
) -> tuple[float, float]:
    """Largest magnitude in the cell, and largest energy of its rows that `step` divides."""
    cell = cell_at(residual.shape, place, mask)
    if cell is None or not np.isfinite(residual[cell]).all():
        return np.nan, np.nan
    rows = np.arange(len(residual))[:, None] % step == 0
    most = energy[cell & rows]
    if not np.isfinite(most).all():
        return np.nan, np.nan
    return float(np.abs(residual[cell]).max()), float(most.max(initial=0.0))


def window_statistics(
    residual: Image, mask: NDArray[np.bool_], weights: NDArray[np.float32], step: int
) -> tuple[float, float]:
    """Of one window: largest magnitude in the mask, and energy in every `step`-th of its rows."""
    energy = energy_of(residual, weights)
    first = int(np.flatnonzero(mask.any(axis=1))[0])
    rows = (np.arange(len(mask))[:, None] - first) % step == 0
    most = energy[mask & rows]
    if not (np.isfinite(residual[mask]).all() and np.isfinite(most).all()):
        return np.nan, np.nan
    return float(np.abs(residual[mask]).max()), float(most.max(initial=0.0))


def find_lobes(
    residual: Image, place: tuple[float, float], mask: NDArray[np.bool_], reach_px: float
) -> list[float]:
    """Value and centroid of the strongest pixel of a cell and of the strongest against it."""
    cell = cell_at(residual.shape, place, mask)
    if cell is None or not np.isfinite(residual[cell]).all():
        return [np.nan] * 6
    values = np.where(np.isfinite(residual), residual.astype(np.float64), 0.0)
    places = np.argwhere(cell)
    ordered = residual[cell].astype(np.float64)
    high, low = places[np.argmax(ordered)], places[np.argmin(ordered)]
    pair = [(ordered.max(), high), (ordered.min(), low)]
    if -pair[1][0] > pair[0][0]:
        pair.reverse()
    found: list[float] = []
    for value, peak in pair:
        if found and not value * found[0] < 0:
            return [*found, 0.0, *found[1:]]
        square = np.square(np.indices(cell.shape).T - peak).sum(-1).T
        near = np.isfinite(residual) & (square <= reach_px**2)
        lobe = near & (values * np.sign(value) >= abs(value) / 2)
        weight = np.where(lobe, np.abs(values), 0.0)
        if value == 0:
            found += [float(value), *map(float, peak)]
            continue
        y, x = np.indices(cell.shape)
        found += [float(value)]
        found += [float((weight * one).sum() / weight.sum()) for one in (y, x)]
    return found
