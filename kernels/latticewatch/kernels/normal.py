"""What is normal for the statistics of columns: of each kind, and of those round each column."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.smooth import gaussian

N_NORMAL = 7
_FEW = 12  # numbers that are sorted rather than parted
_MAD_TO_SIGMA = 1.4826022185056018  # of a normal law
_CLIP = 2.5
_CLIPPED_DEVIATION = 0.9546  # of standard normal numbers within so many deviations
# A deviation learnt from n numbers has an error, which far out makes a normal law Student's: its
# quantile is larger by (z * z + 1) / (4 n), here at z = 3.7, with nine numbers in ten that count
# (Fisher and Cornish, Technometrics 2, 209, 1960).
_STUDENT = 4.1
# Where fewer columns than this share of the most speak, they are believed in part only.
_LEAST_WEIGHT = 0.02


@kernel
def _part(values: NDArray[np.float64], first: int, end: int, bound: float, with_equal: bool) -> int:
    """Bring those below a bound, or at it, to the front of a stretch; return where they end."""
    # Every pair is exchanged and the border moved by zero or one: nothing to guess wrong.
    border = first
    for k in range(first, end):
        value = values[k]
        values[k] = values[border]
        values[border] = value
        border += int(value <= bound) if with_equal else int(value < bound)
    return border


@kernel
def _sort(values: NDArray[np.float64], first: int, end: int) -> None:
    for k in range(first + 1, end):
        value = values[k]
        place = k
        while place > first and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@kernel
def _select(values: NDArray[np.float64], rank: int) -> float:
    """Bring the number of a rank to its place, smaller ones before it; Hoare's quickselect."""
    first, end = 0, len(values)
    while end - first > _FEW:
        one, two, three = values[first], values[(first + end) // 2], values[end - 1]
        bound = max(min(one, two), min(max(one, two), three))
        border = _part(values, first, end, bound, False)
        if rank < border:
            end = border
            continue
        if border == first:  # the bound is the least: its like go first
            border = _part(values, first, end, bound, True)
            if rank < border or border == first:  # the latter of NaN only
                return np.float64(bound)
        first = border
    _sort(values, first, end)
    return np.float64(values[rank])


@kernel
def median(values: NDArray[np.float64]) -> float:
    """Median of at least one number, in no time to speak of; brings them out of order.

    Parameters
    ----------
    values : (N,)
        Without NaN. Of an even count the mean of the middle two.
    """
    half = len(values) // 2
    upper = _select(values, half)
    if len(values) % 2 == 1:
        return upper
    lower = np.float64(values[0])
    for k in range(half):
        lower = max(lower, np.float64(values[k]))
    return 0.5 * (lower + upper)


@kernel
def _centre_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median, and the standard deviation of what is normal; brings the values out of order.

    The deviation is that of what lies within 2.5 deviations as the median distance puts it: that by
    itself takes every defect for a part of the noise, and is known half as well.
    """
    centre = median(values)
    for k in range(len(values)):
        values[k] = abs(values[k] - centre)
    reach = _CLIP * _MAD_TO_SIGMA * median(values)
    total, n_near = 0.0, 0
    for k in range(len(values)):
        if values[k] <= reach:
            total += values[k] * values[k]
            n_near += 1
    return centre, float(np.sqrt(total / n_near)) / _CLIPPED_DEVIATION


@kernel
def _width(own: float, usual: float, n_values: int) -> float:
    """Width of a kind of column, where that of all of them together is known better.

    The larger of two estimates is too large by chance: what is above the usual width counts as much
    as its square does beside the square of its error.
    """
    excess = max(own - usual, 0.0)
    error = own / np.sqrt(2.0 * n_values)
    certain = excess * excess / max(excess * excess + error * error, 1e-30)
    return float((usual + certain * excess) * (1.0 + _STUDENT / n_values))


@kernel
def _gather(
    raw: NDArray[np.float64],
    near_edge: NDArray[np.bool_],
    wanted: bool,
    out: NDArray[np.float64],
) -> int:
    """Copy the values of sites at the edge, or of the others; return how many."""
    n_found = 0
    for k in range(len(raw)):
        out[n_found] = raw[k]
        n_found += int(near_edge[k] == wanted)
    return n_found


@kernel
def column_statistics(sums: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Fill three statistics (3, N), in units of the noise, of what `match_columns` found (N, 6)."""
    for part in range(3):
        for k in range(len(sums)):
            out[part, k] = sums[k, part] / np.sqrt(max(sums[k, 3 + part], 1e-30))


@kernel
def learn_normal(
    raw: NDArray[np.float64],
    ends: NDArray[np.int64],
    near_edge: NDArray[np.bool_],
    edge: tuple[int, float],
    scale: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> None:
    """Learn the centre and the width of the statistics of each kind of column.

    Nothing is believed to be quieter than all sites together, nor the edge than the inside.

    Parameters
    ----------
    raw : (3, N)
        Statistics of sites, N > 0, one sublattice after the other. Without NaN.
    ends : (S,)
        Where the rows of each sublattice end.
    near_edge : (N,)
        Sites with a law of their own.
    edge
        The fewest of one sublattice that have one, and a factor of their width.
    scale : (3,)
        Receives the robust standard deviations over all sites.
    normal : (N, 7)
        Receives three centres and three widths of the like of each site in front.
    """
    fewest, tail = edge
    scratch = np.empty(raw.shape[1])
    for part in range(3):
        scratch[:] = raw[part]
        scale[part] = max(_centre_and_spread(scratch)[1], 1e-12)
        first = 0
        for end in ends:
            values, at_edge = raw[part, first:end], near_edge[first:end]
            n_inside = _gather(values, at_edge, False, scratch)
            n_edge = len(values) - n_inside
            if n_inside == 0:
                scratch[: len(values)] = values
            centre, width = 0.0, scale[part]
            if len(values) > 0:
                centre, spread = _centre_and_spread(scratch[: n_inside if n_inside else n_edge])
                width = _width(spread, width, n_inside if n_inside else n_edge)
            edge_centre, edge_width = centre, width
            if n_edge >= fewest:
                _gather(values, at_edge, True, scratch)
                edge_centre, spread = _centre_and_spread(scratch[:n_edge])
                edge_width = max(width, tail * spread)
            for k in range(first, end):
                normal[k, part] = edge_centre if near_edge[k] else centre
                normal[k, 3 + part] = edge_width if near_edge[k] else width
            first = end


@kernel
def _between_blocks(place: tuple[float, float], grid: NDArray[np.float32]) -> float:
    """Value of a grid at a place, bilinear between the middles of its blocks."""
    last_row, last_column = grid.shape[0] - 1, grid.shape[1] - 1
    y = min(max(place[0] - 0.5, 0.0), np.float64(last_row))
    x = min(max(place[1] - 0.5, 0.0), np.float64(last_column))
    row, column = int(y), int(x)
    below, right = min(row + 1, last_row), min(column + 1, last_column)
    dy, dx = y - row, x - column
    upper = (1.0 - dx) * grid[row, column] + dx * grid[row, right]
    lower = (1.0 - dx) * grid[below, column] + dx * grid[below, right]
    return float((1.0 - dy) * upper + dy * lower)


@kernel
def share_normal(
    away: NDArray[np.float64],
    strength: NDArray[np.float64],
    is_ordinary: NDArray[np.bool_],
    blocks: NDArray[np.float64],
    weights: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    """Part of the statistics of each site that the ordinary columns round it share.

    The lattice is locked, and gain is fitted, in windows of a few cells. Where a line of columns is
    displaced, or a patch is brighter, the window follows half-way: strange columns lose a part of
    what they show, and ordinary ones beside them seem displaced the other way. What these share is
    not theirs, and says how much the strange ones lost. It is fitted by least squares in a Gaussian
    window: the same change moves the statistic of a strong column more than that of a weak one.

    Parameters
    ----------
    away : (3, N)
        Statistics of sites, N > 0, less the centre of their like.
    strength : (3, N)
        By how much each answers to the same change, any unit.
    is_ordinary : (N,)
        Columns that have a say.
    blocks : (N, 2)
        Places in the frame, not below zero, in blocks: whole numbers are their borders.
    weights : (W,)
        Of the Gaussian window, from `gaussian_weights`, blocks.
    out : (3, N)
        Receives what is shared.
    """
    height, width = 1 + int(blocks[:, 0].max()), 1 + int(blocks[:, 1].max())
    sums = np.empty((2, height, width), np.float32)
    blurred = np.empty_like(sums)
    scratch = np.empty(width + len(weights) - 1, np.float32)
    for part in range(3):
        sums[:] = np.float32(0.0)
        for k in range(len(is_ordinary)):
            if is_ordinary[k]:
                answer = strength[part, k]
                row, column = int(blocks[k, 0]), int(blocks[k, 1])
                sums[0, row, column] += np.float32(answer * away[part, k])
                sums[1, row, column] += np.float32(answer * answer)
        gaussian(sums[0], weights, scratch, blurred[0])
        gaussian(sums[1], weights, scratch, blurred[1])
        least = max(_LEAST_WEIGHT * np.float64(blurred[1].max()), 1e-30)
        for k in range(len(is_ordinary)):
            place = blocks[k, 0], blocks[k, 1]
            weight = max(_between_blocks(place, blurred[1]), least)
            out[part, k] = strength[part, k] * _between_blocks(place, blurred[0]) / weight


@kernel
def column_strangeness(
    raw: NDArray[np.float64], normal: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Fill the sum of three squared statistics of sites (N,), in units of what is normal.

    Parameters
    ----------
    raw : (3, N)
        From `column_statistics`.
    normal : (N, 7)
        From `learn_normal`.
    """
    for k in range(len(out)):
        total = 0.0
        for part in range(3):
            away = (raw[part, k] - normal[k, part]) / normal[k, 3 + part]
            total += away * away
        out[k] = total
