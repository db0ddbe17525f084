"""What is normal: the law of a frame's noise, shifts of its rows, scatter of its statistics."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.cell_sites import Sites
from latticewatch.kernels.normal import (
    N_NORMAL,
    column_statistics,
    column_strangeness,
    learn_normal,
    share_normal,
)
from latticewatch.kernels.residue import row_moments, spread_by_level
from latticewatch.kernels.smooth import gaussian_weights

_LEVELS = 256  # fine bins of predicted brightness, gathered into groups of equal size
_LEVEL_GROUPS = 32
_LEAST_VARIANCE = 0.25  # of the median: the line may not reach zero
_STIFF_ROWS = 0.02  # of the mean curvature: rows without structure stay where they are
_FEWEST_AT_EDGE = 20
# Statistics at the edge have a heavier tail than a normal law: the error of phase and gain grows
# towards the corners. On 480 perfect frames chances of 1e-3 came as often as they should at 1.1.
_EDGE_TAIL = 1.15
# Sum of the three squared statistics above which a column has no say on what is normal round it:
# one ordinary column in 340.
_ORDINARY = 14.0
Law = tuple[float, float, float]
"""Slope and intercept of the variance of a pixel over predicted brightness, and its least value."""


def noise_law(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    used: NDArray[np.uint8],
    n_pixels: int,
) -> tuple[Law, float]:
    """Fit the variance as a line over predicted brightness: gain of the counts, readout.

    Parameters
    ----------
    model, residual : (H, W)
        Predicted frame, and the frame less that.
    used : (H, W)
        1, or 0 for a pixel to leave out.
    n_pixels
        As many are enough: of a larger frame one row in several is looked at.

    Returns
    -------
    Law, float
        And the third central moment over the variance: of counts their gain, of readout noise
        zero; never more than the slope of the law.
    """
    low, high = float(model.min()), float(model.max())
    sums = np.empty((4, _LEVELS))
    rows = slice(None, None, max(1, model.size // n_pixels))
    spread_by_level(model[rows], residual[rows], used[rows], (low, high), sums)
    groups = _equal_groups(sums, _LEVEL_GROUPS)
    if not groups.size:
        return (0.0, 1e-12, 1e-12), 0.0
    count, level, square = groups[0], groups[1] / groups[0], groups[2] / groups[0]
    typical = max(float(np.median(square)), 1e-12)
    if len(count) < 3 or not np.ptp(level) > 0:
        return (0.0, typical, _LEAST_VARIANCE * typical), 0.0
    weight = count / np.square(np.maximum(square, 1e-3 * typical))
    weight /= weight.sum()
    middle, height = float(weight @ level), float(weight @ square)
    off = level - middle
    slope = float((weight * off) @ square) / max(float((weight * off) @ off), 1e-30)
    third = min(float(groups[3].sum()) / max(float(groups[2].sum()), 1e-30), slope)
    return (slope, height - slope * middle, _LEAST_VARIANCE * typical), max(third, 0.0)


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


@dataclass(frozen=True, slots=True)
class Normal:
    """What is normal for the statistics of sites, and how far from it each one is.

    Attributes
    ----------
    scale : (3,)
        Standard deviations of the three statistics over all sites.
    law : (N, 7)
        Three centres and three widths for each site, and the skewness of its intensity statistic.
    strangeness : (N,)
        Sum of each site's three squared statistics, in these units.
    scatter : (N, 2)
        Widths of both displacement statistics with what neighbours share still in them: that is
        the error of the lattice.
    """

    scale: NDArray[np.float64]
    law: NDArray[np.float64]
    strangeness: NDArray[np.float64]
    scatter: NDArray[np.float64]


def normal_law(
    sums: NDArray[np.float64],
    sites: Sites,
    height: NDArray[np.float64],
    skewness: NDArray[np.float64],
    window: tuple[float, float],
) -> Normal:
    """Learn what is normal for the statistics of sites.

    Normal are the centre and the width of a site's like, its sublattice, at the edge or inside; and
    what the ordinary columns round it share. Nothing is believed to be quieter than all sites
    together, nor the edge than the inside.

    Parameters
    ----------
    sums : (N, 6)
        From `match_columns`.
    sites
        That they were found at.
    height : (S,)
        Of the columns of the cell, any unit.
    skewness : (N,)
        From `intensity_skewness`.
    window
        In which columns are round a site: lattice period, pixels, and standard deviation, periods.
    """
    n_sites = len(sites.label)
    raw, scale, shared = np.empty((3, n_sites)), np.empty(3), np.empty((3, n_sites))
    law, strangeness = np.empty((n_sites, N_NORMAL)), np.empty(n_sites)
    law[:, 6] = skewness
    column_statistics(sums, raw)
    ends = np.append(np.flatnonzero(np.diff(sites.label)) + 1, n_sites)
    edge = _FEWEST_AT_EDGE, _EDGE_TAIL
    learn_normal(raw, ends, sites.near_edge, edge, scale, law)
    column_strangeness(raw, law, strangeness)
    share_normal(
        raw - law[:, :3].T,
        height[sites.label] * np.sqrt(np.maximum(sums[:, 3:], 1e-30)).T,
        strangeness < _ORDINARY,
        sites.places_yx / window[0],
        gaussian_weights(window[1]),
        shared,
    )
    scatter = law[:, 4:6].copy()
    raw -= shared
    learn_normal(raw, ends, sites.near_edge, edge, scale, law)
    column_strangeness(raw, law, strangeness)
    law[:, :3] += shared.T
    return Normal(scale, law, strangeness, scatter)


def intensity_skewness(
    sums: NDArray[np.float64], third: float, sigma_px: float
) -> NDArray[np.float64]:
    """Skewness (N,) of the intensity statistic.

    Third moments add up as variances do, each with the cube of its weight: for a Gaussian G and an
    even variance v, third * sum(G^3) / v^2 over (sum(G^2) / v)^1.5, and 1 / v from the norm.

    Parameters
    ----------
    sums : (N, 6)
        From `match_columns`.
    third
        From `noise_law`.
    sigma_px
        Width of a column.
    """
    area_px2 = np.pi * sigma_px * sigma_px
    skewness: NDArray[np.float64] = np.sqrt(np.maximum(sums[:, 3], 0.0))
    skewness *= 2.0 * third / (3.0 * area_px2)
    return skewness
