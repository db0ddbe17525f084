"""What is normal: the law of a frame's noise, shifts of its rows, scatter of its statistics."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.reference_cell.sites import Sites
from latticewatch.detectors.reference_cell.surroundings import shared_statistics
from latticewatch.kernels.residue import row_moments, spread_by_level

_LEVELS = 256  # fine bins of predicted brightness, gathered into groups of equal size
_LEVEL_GROUPS = 32
_LEAST_VARIANCE = 0.25  # of the median: the line may not reach zero
_STIFF_ROWS = 0.02  # of the mean curvature: rows without structure stay where they are
_FEWEST_AT_EDGE = 20
# Statistics at the edge have a heavier tail than a normal law: the error of phase and gain grows
# towards the corners.
_EDGE_TAIL = 1.3
# Sum of the three squared statistics above which a column has no say on what is normal round it:
# one ordinary column in 340.
_ORDINARY = 14.0
# A deviation learnt from n values has an error; far out it makes a normal law Student's, whose
# quantile is larger by (z * z + 1) / (4 n): here at z = 3.7 (Fisher and Cornish, Technometrics 2,
# 209, 1960), and nine values in ten count.
_STUDENT = 4.1
_CLIP = 2.5
_CLIPPED_DEVIATION = 0.9546  # of a standard normal number within so many deviations
Law = tuple[float, float, float]
"""Slope and intercept of the variance of a pixel over predicted brightness, and its least value."""


def noise_law(
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
    used: NDArray[np.uint8],
    row_step: int,
) -> Law:
    """Fit the variance as a line over predicted brightness: gain of the counts, readout.

    Parameters
    ----------
    model, residual : (H, W)
        Predicted frame, and the frame less that.
    used : (H, W)
        1, or 0 for a pixel to leave out.
    row_step
        One row in so many is looked at.
    """
    low, high = float(model.min()), float(model.max())
    sums = np.empty((3, _LEVELS))
    rows = slice(None, None, row_step)
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


def statistics(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three statistics (3, N) of what `match_columns` found (N, 6), in units of the noise."""
    raw: NDArray[np.float64] = (sums[:, :3] / np.sqrt(np.maximum(sums[:, 3:], 1e-30))).T
    return np.ascontiguousarray(raw)


def how_strange(sums: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the three squared statistics of sites (N,), in units of what is normal.

    Parameters
    ----------
    sums : (N, 6)
        From `match_columns`.
    normal : (N, 6)
        From `normal_law`.
    """
    raw = statistics(sums)
    distance = np.zeros(len(sums))
    for part in range(3):
        distance += np.square((raw[part] - normal[:, part]) / normal[:, 3 + part])
    return distance


def normal_law(
    sums: NDArray[np.float64],
    sites: Sites,
    height: NDArray[np.float64],
    window: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Learn the standard deviations (3,) of the statistics, and what is normal for sites (N, 6).

    Normal are the centre and the width of a site's like: its sublattice, at the edge or inside;
    and what the ordinary columns round it share. The edge is never believed to be quieter than
    the inside, nor a sublattice than all sites together.

    Parameters
    ----------
    sums : (N, 6)
        From `match_columns`.
    sites
        That they were found at.
    height : (S,)
        Of the columns of the cell, any unit.
    window
        In which columns are said to be round a site: lattice period, pixels, and standard
        deviation, periods.
    """
    raw = statistics(sums)
    normal = np.empty((len(sites.label), 6))
    _learn(raw, sites, normal)
    off = raw - normal[:, :3].T
    is_ordinary = np.square(off / normal[:, 3:].T).sum(axis=0) < _ORDINARY
    strength = height[sites.label] * np.sqrt(np.maximum(sums[:, 3:], 1e-30)).T
    shared = shared_statistics(off, strength, is_ordinary, sites.places_yx, *window)
    scale = _learn(raw - shared, sites, normal)
    normal[:, :3] += shared.T
    return scale, normal


def _learn(
    raw: NDArray[np.float64], sites: Sites, normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill centre and width (N, 6) of statistics (3, N); the deviations (3,) over all sites."""
    scale = np.array([max(_centre_and_spread(part)[1], 1e-12) for part in raw])
    for same in _sublattices(sites):
        edge = sites.near_edge[same]
        at_edge = np.count_nonzero(edge) >= _FEWEST_AT_EDGE
        inside = ~edge if not edge.all() else edge
        n_inside = np.count_nonzero(inside)
        for part, least in enumerate(scale):
            values, out = raw[part, same], normal[same]
            centre, width = _centre_and_spread(values[inside])
            width = _not_by_chance(width, float(least), n_inside)
            width *= 1.0 + _STUDENT / max(n_inside, 1)
            out[:, part], out[:, 3 + part] = centre, width
            if at_edge:
                centre, spread = _centre_and_spread(values[edge])
                out[edge, part] = centre
                out[edge, 3 + part] = max(width, _EDGE_TAIL * spread)
    return scale


def _not_by_chance(width: float, usual: float, n_values: int) -> float:
    """Width of a few values, where that of many more is known: as far above it as is certain.

    The larger of two estimates is too large by chance. What is above the usual width counts as
    much as its square does beside the square of its error.
    """
    excess = max(width - usual, 0.0)
    error2 = width * width / (2.0 * max(n_values, 1))
    return usual + excess * excess * excess / max(excess * excess + error2, 1e-30)


def _sublattices(sites: Sites) -> list[slice]:
    """Rows of each sublattice that has sites: they stand one after the other."""
    ends = np.flatnonzero(np.diff(sites.label)) + 1
    return [
        slice(int(first), int(end))
        for first, end in zip((0, *ends), (*ends, len(sites.label)), strict=True)
        if end > first
    ]


def _centre_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Centre of some values, and the standard deviation of those of them that are normal.

    Mean and deviation of what lies within 2.5 deviations of the median, as the median of distances
    puts it: that by itself takes each defect for a part of the noise, and knows it half as well.
    """
    centre = _median(values)
    reach = _CLIP * MAD_TO_SIGMA * _median(np.abs(values - centre))
    near = values[np.abs(values - centre) <= reach]
    return float(near.mean()), float(near.std()) / _CLIPPED_DEVIATION


def _median(values: NDArray[np.float64]) -> float:
    # np.median looks for NaN and for axes: three times as long on a thousand numbers.
    half = len(values) // 2
    parts = np.partition(values, (max(half - 1, 0), half))
    return float(parts[half] if len(values) % 2 else 0.5 * (parts[half - 1] + parts[half]))
