"""The mean unit cell: from sums over its bins to columns, their places, width and heights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from latticewatch.detectors.lock import LatticeLock
from latticewatch.kernels.cells import CELL_BINS

_APART = 0.175  # of a period: maxima nearer than this are one column
_PEAK_WINDOW = 0.2  # of the cell: half width is a tenth of a period
_WIDTH_REACH = 0.45  # of a period: how far from a column its profile is looked at
_ORDERS = 10  # of the cell's Fourier series: a column of a tenth of a period ends at the fifth
_LOW = np.arange(-_ORDERS, _ORDERS + 1)
_TURNS = np.stack(np.meshgrid(_LOW, _LOW, indexing="ij"), -1).reshape(-1, 2).astype(np.float64)
_LEAST_COUNT = 1e-6  # of the fullest bin
_HALF_WIDTH_TO_SIGMA = 1.177  # of a Gaussian at half its height


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of the mean cell, highest first.

    Attributes
    ----------
    fraction : (S, 2)
        Position of each in the cell, 0..1.
    sigma_px
        Width of that Gaussian.
    """

    fraction: NDArray[np.float64]
    sigma_px: float


def low_pass(lock: LatticeLock, sigma_px: float, n_bins: int = CELL_BINS) -> NDArray[np.float32]:
    """Transfer function (n, n / 2 + 1) of a Gaussian blur in pixels, as `rfft2` orders it.

    Parameters
    ----------
    lock
        Whose cell it is.
    sigma_px
        Of the blur.
    n_bins
        Along each lattice vector.
    """
    along_a = np.fft.fftfreq(n_bins, 1 / n_bins)[:, None]
    along_b = np.arange(n_bins // 2 + 1.0)
    metric = lock.reciprocal_per_px @ lock.reciprocal_per_px.T
    metric *= -2 * (np.pi * sigma_px) ** 2
    exponent = (metric[0, 0] * along_a + 2 * metric[0, 1] * along_b) * along_a
    exponent += metric[1, 1] * np.square(along_b)
    transfer: NDArray[np.float32] = np.exp(exponent.astype(np.float32))
    return transfer


def mean_cell(
    total: NDArray[np.float64], count: NDArray[np.int64], transfer: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mean of each bin (128, 128), sums and counts blurred alike so that empty bins borrow."""
    both = np.stack([total, count]).astype(np.float32).reshape(2, CELL_BINS, CELL_BINS)
    blurred = fft.irfft2(fft.rfft2(both) * transfer, (CELL_BINS, CELL_BINS), overwrite_x=True)
    # Of single precision: a bin that nothing reaches holds its rounding, not zero.
    cell: NDArray[np.float32] = blurred[0] / np.maximum(blurred[1], _LEAST_COUNT * count.max())
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
    smooth = _half_grid(cell, lock, 0.5 * sigma_px)
    ground, top = _tenth(smooth), float(smooth.max())
    window = int(_PEAK_WINDOW * len(smooth)) | 1
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
    return Columns(np.array(fractions), sigma_px)


def column_heights(
    cell: NDArray[np.float32],
    lock: LatticeLock,
    fractions: NDArray[np.float64],
    sigma_px: float,
) -> NDArray[np.float64]:
    """Heights (S,) of Gaussians that, on a flat ground, come nearest to the cell; above zero.

    Parameters
    ----------
    cell : (128, 128)
        From `mean_cell`.
    lock
        Whose cell it is.
    fractions : (S, 2)
        Where they stand.
    sigma_px
        Their width.
    """
    # Least squares in Fourier space, where Gaussians are Gaussians and few orders say it all.
    half = fft.rfft2(cell)[_LOW, : _ORDERS + 1] / cell.size
    seen = np.concatenate([half[::-1, :0:-1].conj(), half], axis=1).ravel()
    area = abs(np.linalg.det(lock.basis_px_yx))
    wave = np.square(_TURNS @ lock.reciprocal_per_px).sum(axis=1)
    bell = 2 * np.pi * sigma_px**2 / area * np.exp(-2 * np.pi**2 * sigma_px**2 * wave)
    design = np.empty((len(_TURNS), 1 + len(fractions)), np.complex128)
    design[:, 0] = 0.0
    design[len(_TURNS) // 2, 0] = 1.0  # the ground: the order in the middle is zero
    # The first bin's centre lies half a bin from the corner of the cell.
    turns = _TURNS @ (fractions.T - 0.5 / CELL_BINS)
    design[:, 1:] = bell[:, None] * np.exp(-2j * np.pi * turns)
    normal = (design.conj().T @ design).real
    # Two columns all but in one place share what stands there.
    normal[np.diag_indices_from(normal)] *= 1.0 + 1e-9
    solved = np.linalg.solve(normal, (design.conj().T @ seen).real)
    heights: NDArray[np.float64] = np.maximum(solved[1:], 1e-6 * float(np.ptp(cell)))
    return heights


def nearest_distance(fractions: NDArray[np.float64], basis_px_yx: NDArray[np.float64]) -> float:
    """Distance between nearest columns of a crystal, pixels.

    Parameters
    ----------
    fractions : (S, 2)
        Columns of a cell.
    basis_px_yx : (2, 2)
        Lattice vectors, rows, Gauss reduced.
    """
    around = np.mgrid[-2:3, -2:3].reshape(2, -1).T
    steps = (fractions[:, None, None] - fractions[None, :, None] + around) @ basis_px_yx
    apart = np.linalg.norm(steps, axis=-1)
    return float(apart[apart > 1e-9].min())


def _half_grid(
    cell: NDArray[np.float32], lock: LatticeLock, sigma_px: float
) -> NDArray[np.float32]:
    """Every second bin (64, 64) of a blurred cell (128, 128), from its low orders."""
    n_bins = CELL_BINS // 2
    spectrum = fft.rfft2(cell)[:, : n_bins // 2 + 1]
    # Of rows the first and the last, which are the negative orders.
    low = np.concatenate([spectrum[: n_bins // 2], spectrum[-n_bins // 2 :]])
    low *= low_pass(lock, sigma_px, n_bins)
    half: NDArray[np.float32] = fft.irfft2(low, (n_bins, n_bins)) / 4
    return half


def _tenth(values: NDArray[np.float32]) -> float:
    """Return the 10th percentile, in a third of the time of np.percentile."""
    place = 0.1 * (values.size - 1)
    below = int(place)
    parts = np.partition(values, (below, below + 1), axis=None)
    return float(parts[below] + (place - below) * (parts[below + 1] - parts[below]))


def _column_width(cell: NDArray[np.float32], lock: LatticeLock) -> float:
    """Gaussian width in pixels whose half maximum is that of the highest column, at least 1."""
    reach = max(2, int(_WIDTH_REACH * lock.period_px))
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    top = np.array(np.unravel_index(np.argmax(cell), cell.shape))
    turns = np.tensordot(lock.reciprocal_per_px, offsets, 1)
    bins = (np.round(turns * CELL_BINS).astype(np.intp) + top[:, None, None]) % CELL_BINS
    profile = cell[bins[0], bins[1]] - _tenth(cell)
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


def _refined(smooth: NDArray[np.float32], bin_: NDArray[np.intp]) -> NDArray[np.float64]:
    """Top of the parabola through a maximum of every second bin and its neighbours, 0..1."""
    fine = np.empty(2)
    for axis in (0, 1):
        step = np.zeros(2, np.intp)
        step[axis] = 1
        before, here, after = (
            float(smooth[tuple((bin_ + sign * step) % len(smooth))]) for sign in (-1, 0, 1)
        )
        bend = before - 2 * here + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
        fine[axis] = 2 * (bin_[axis] + np.clip(shift, -1, 1))
    fraction: NDArray[np.float64] = ((fine + 0.5) / CELL_BINS) % 1
    return fraction
