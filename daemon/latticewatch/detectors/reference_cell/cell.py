"""The mean unit cell: from sums over its bins to columns, their places, width and heights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.lock import LatticeLock
from latticewatch.kernels.cells import CELL_BINS

_APART = 0.175  # of a period: maxima nearer than this are one column
_PEAK_WINDOW = 0.2  # of the cell: half width is a tenth of a period
_WIDTH_REACH = 0.45  # of a period: how far from a column its profile is looked at
_HALF_WIDTH_TO_SIGMA = 1.177  # of a Gaussian at half its height


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of the mean cell, highest first.

    Attributes
    ----------
    fraction : (S, 2)
        Position of each in the cell, 0..1.
    height : (S,)
        Intensity of each above the ground: the height of its Gaussian.
    sigma_px
        Width of that Gaussian.
    """

    fraction: NDArray[np.float64]
    height: NDArray[np.float64]
    sigma_px: float


def low_pass(lock: LatticeLock, sigma_px: float) -> NDArray[np.float64]:
    """Transfer function (128, 128) of a Gaussian blur in pixels, for the bins of a cell."""
    order = np.fft.fftfreq(CELL_BINS) * CELL_BINS
    wave = order[:, None, None] * lock.reciprocal_per_px[0]
    wave = wave + order[:, None] * lock.reciprocal_per_px[1]
    transfer: NDArray[np.float64] = np.exp(-2 * (np.pi * sigma_px) ** 2 * np.square(wave).sum(-1))
    return transfer


def mean_cell(
    total: NDArray[np.float64], count: NDArray[np.int64], transfer: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Mean of each bin (128, 128), sums and counts blurred alike so that empty bins borrow."""
    blurred = np.fft.ifft2(np.fft.fft2(_square(total) + 1j * _square(count)) * transfer)
    cell: NDArray[np.float32] = (blurred.real / np.maximum(blurred.imag, 1e-6)).astype(np.float32)
    return cell


def find_columns(
    cell: NDArray[np.float32], lock: LatticeLock, least_height: float
) -> Columns | None:
    """Columns of the mean cell, or None where it holds none.

    Parameters
    ----------
    cell : (128, 128)
        From `mean_cell`.
    lock
        Whose cell it is.
    least_height
        Of a maximum above the ground (10th percentile), as a share of the cell's range.
    """
    sigma_px = _column_width(cell, lock)
    # Half a column wide: takes the noise off the maxima and moves none.
    smooth = np.fft.ifft2(np.fft.fft2(cell) * low_pass(lock, 0.5 * sigma_px)).real
    ground, top = np.percentile(smooth, (10, 100))
    window = int(_PEAK_WINDOW * CELL_BINS) | 1
    is_top = smooth == ndimage.maximum_filter(smooth, window, mode="wrap")
    bins = np.argwhere(is_top & (smooth > ground + least_height * (top - ground)))
    bins = bins[np.argsort(-smooth[bins[:, 0], bins[:, 1]], kind="stable")]
    fractions: list[NDArray[np.float64]] = []
    for bin_ in bins:
        fraction = _refined(smooth, bin_)
        steps = [((fraction - other + 0.5) % 1 - 0.5) @ lock.basis_px_yx for other in fractions]
        if all(np.linalg.norm(step) > _APART * lock.period_px for step in steps):
            fractions.append(fraction)
    if not fractions:
        return None
    fraction = np.array(fractions)
    height = _heights(cell, lock, fraction, sigma_px)
    return Columns(fraction, np.maximum(height, 1e-6 * float(np.ptp(cell))), sigma_px)


def _square(bins: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    return bins.reshape(CELL_BINS, CELL_BINS).astype(np.float64)


def _column_width(cell: NDArray[np.float32], lock: LatticeLock) -> float:
    """Gaussian width in pixels whose half maximum is that of the highest column, at least 1."""
    reach = max(2, int(_WIDTH_REACH * lock.period_px))
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    top = np.array(np.unravel_index(np.argmax(cell), cell.shape))
    turns = np.tensordot(lock.reciprocal_per_px, offsets, 1)
    bins = (np.round(turns * CELL_BINS).astype(np.intp) + top[:, None, None]) % CELL_BINS
    profile = cell[bins[0], bins[1]] - np.percentile(cell, 10)
    radius = np.hypot(*offsets)
    ring = radius.astype(np.intp).ravel()
    count = np.bincount(ring)[:reach]
    height = (np.bincount(ring, profile.ravel())[:reach]) / count
    radius_px = (np.bincount(ring, radius.ravel())[:reach]) / count
    below = np.flatnonzero(height < 0.5 * height[0])
    if not len(below):
        return max(1.0, float(radius_px[-1]) / _HALF_WIDTH_TO_SIGMA)
    outer = int(below[0])
    inner = outer - 1
    share = (height[inner] - 0.5 * height[0]) / (height[inner] - height[outer])
    half_px = radius_px[inner] + share * (radius_px[outer] - radius_px[inner])
    return max(1.0, float(half_px) / _HALF_WIDTH_TO_SIGMA)


def _refined(smooth: NDArray[np.float64], bin_: NDArray[np.intp]) -> NDArray[np.float64]:
    """Top of the parabola through a maximum and what lies two bins from it, as a fraction."""
    fine = np.empty(2)
    for axis in (0, 1):
        step = np.zeros(2, np.intp)
        step[axis] = 2
        before, here, after = (
            float(smooth[tuple((bin_ + sign * step) % CELL_BINS)]) for sign in (-1, 0, 1)
        )
        bend = before - 2 * here + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
        fine[axis] = bin_[axis] + 2 * np.clip(shift, -1, 1)
    fraction: NDArray[np.float64] = ((fine + 0.5) / CELL_BINS) % 1
    return fraction


def _heights(
    cell: NDArray[np.float32],
    lock: LatticeLock,
    fractions: NDArray[np.float64],
    sigma_px: float,
) -> NDArray[np.float64]:
    """Heights of Gaussians at the columns that, on a flat ground, come nearest to the cell."""
    every = slice(None, None, 4)  # every fourth bin both ways says enough: 0.8 px at a period of 25
    u = (np.indices(cell.shape)[:, every, every].reshape(2, -1).T + 0.5) / CELL_BINS
    shapes = [np.ones(len(u))]
    around = np.mgrid[-2:3, -2:3].reshape(2, -1).T
    for fraction in fractions:
        shape = np.zeros(len(u))
        for whole in around:
            away = np.square((u - fraction + whole) @ lock.basis_px_yx).sum(axis=1)
            shape += np.exp(-away / (2 * sigma_px**2))
        shapes.append(shape)
    design = np.stack(shapes, axis=1)
    solved = np.linalg.lstsq(design, cell[every, every].ravel().astype(np.float64), rcond=None)[0]
    return solved[1:].astype(np.float64)
