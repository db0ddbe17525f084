"""What is normal for the statistics of columns: median and robust width of each kind."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

_FEW = 12  # numbers that are sorted rather than parted
_MAD_TO_SIGMA = 1.4826022185056018  # of a normal law


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
    """Median and robust standard deviation about it; brings the values out of order."""
    centre = median(values)
    for k in range(len(values)):
        values[k] = abs(values[k] - centre)
    return centre, _MAD_TO_SIGMA * median(values)


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
    """Learn the median and the width of the statistics of each kind of column.

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
    normal : (N, 6)
        Receives three medians and three widths of the like of each site.
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
                width = max(spread, width)
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
def column_strangeness(
    raw: NDArray[np.float64], normal: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Fill the sum of three squared statistics of sites (N,), in units of what is normal.

    Parameters
    ----------
    raw : (3, N)
        From `column_statistics`.
    normal : (N, 6)
        From `learn_normal`.
    """
    for k in range(len(out)):
        total = 0.0
        for part in range(3):
            away = (raw[part, k] - normal[k, part]) / normal[k, 3 + part]
            total += away * away
        out[k] = total
