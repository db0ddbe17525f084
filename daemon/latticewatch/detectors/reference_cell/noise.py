"""What is normal: the law of a frame's noise, shifts of its rows, scatter of its statistics."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_cell.sites import Sites
from latticewatch.kernels.normal import column_statistics, column_strangeness, learn_normal
from latticewatch.kernels.residue import row_moments, spread_by_level

_LEVELS = 256  # fine bins of predicted brightness, gathered into groups of equal size
_LEVEL_GROUPS = 32
_LEAST_VARIANCE = 0.25  # of the median: the line may not reach zero
_STIFF_ROWS = 0.02  # of the mean curvature: rows without structure stay where they are
_FEWEST_AT_EDGE = 20
# Statistics at the edge have a heavier tail than a normal law: the error of phase and gain grows
# towards the corners.
_EDGE_TAIL = 1.3
Law = tuple[float, float, float]
"""Slope and intercept of the variance of a pixel over predicted brightness, and its least value."""


def noise_law(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    used: NDArray[np.uint8],
    n_pixels: int,
) -> Law:
    """Fit the variance as a line over predicted brightness: gain of the counts, readout.

    Parameters
    ----------
    model, residual : (H, W)
        Predicted frame, and the frame less that.
    used : (H, W)
        1, or 0 for a pixel to leave out.
    n_pixels
        As many are enough: of a larger frame one row in several is looked at.
    """
    low, high = float(model.min()), float(model.max())
    sums = np.empty((3, _LEVELS))
    rows = slice(None, None, max(1, model.size // n_pixels))
    spread_by_level(model[rows], residual[rows], used[rows], (low, high), sums)
    groups = _equal_groups(sums, _LEVEL_GROUPS)
    if not groups.size:
        return 0.0, 1e-12, 1e-12
    count, level, square = groups[0], groups[1] / groups[0], groups[2] / groups[0]
    typical = max(float(np.median(square)), 1e-12)
    if len(count) < 3 or not np.ptp(level) > 0:
        return 0.0, typical, _LEAST_VARIANCE * typical
    weight = count / np.square(np.maximum(square, 1e-3 * typical))
    weight /= weight.sum()
    middle, height = float(weight @ level), float(weight @ square)
    off = level - middle
    slope = float((weight * off) @ square) / max(float((weight * off) @ off), 1e-30)
    return slope, height - slope * middle, _LEAST_VARIANCE * typical


def row_shifts(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    used: NDArray[np.uint8],
    law: Law,
) -> NDArray[np.float32]:
    """Displacement (H, 2) of each row by least squares, y and x, pixels.

    Parameters
    ----------
    model, residual, used : (H, W)
        As in `noise_law`.
    law
        Of the noise.
    """
    moments = np.empty((model.shape[0], 5))
    row_moments(model, residual, used, law, moments)
    yy, yx, xx, y, x = moments.T
    yy = yy + _STIFF_ROWS * max(float(yy.mean()), 1e-30)
    xx = xx + _STIFF_ROWS * max(float(xx.mean()), 1e-30)
    determinant = yy * xx - yx * yx
    shift = np.stack([(xx * y - yx * x) / determinant, (yy * x - yx * y) / determinant], axis=1)
    return shift.astype(np.float32)


def _equal_groups(sums: NDArray[np.float64], n_groups: int) -> NDArray[np.float64]:
    """Gather fine bins, rows of sums over bins, into groups of about equal count; none is empty."""
    running = np.cumsum(sums[0])
    middle = (running - 0.5 * sums[0]) / max(float(running[-1]), 1.0)
    group = np.minimum((n_groups * middle).astype(np.intp), n_groups - 1)
    gathered = np.stack([np.bincount(group, row, n_groups) for row in sums])
    return gathered[:, gathered[0] > 0].astype(np.float64)


def normal_law(
    sums: NDArray[np.float64], sites: Sites
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Learn what is normal for the statistics of sites, and how far from it each one is.

    Normal are the median and the width of a site's like: its sublattice, at the edge or inside.
    Nothing is believed to be quieter than all sites together, nor the edge than the inside.

    Parameters
    ----------
    sums : (N, 6)
        From `match_columns`.
    sites
        That they were found at.

    Returns
    -------
    (3,), (N, 6), (N,)
        Standard deviations of the three statistics over all sites; three medians and three widths
        of each site's like; the sum of its three squared statistics, in these units.
    """
    n_sites = len(sites.label)
    raw, scale = np.empty((3, n_sites)), np.empty(3)
    normal, distance = np.empty((n_sites, 6)), np.empty(n_sites)
    column_statistics(sums, raw)
    ends = np.append(np.flatnonzero(np.diff(sites.label)) + 1, n_sites)
    learn_normal(raw, ends, sites.near_edge, (_FEWEST_AT_EDGE, _EDGE_TAIL), scale, normal)
    column_strangeness(raw, normal, distance)
    return scale, normal, distance
