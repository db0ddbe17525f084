"""How strange a residual is round each site: its largest value, and its largest local energy."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.smooth import SampledRows, mirrored


def cell_mask(basis_px_yx: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels that are nearer to a site than to any other site of its lattice.

    Parameters
    ----------
    basis_px_yx : (2, 2)
        Reduced lattice vectors, rows, pixels.

    Returns
    -------
    (K, K)
        K is odd, the site is in the middle: the Wigner-Seitz cell (Phys. Rev. 43, 804, 1933), as
        the smallest square holds it. Of pixels as near to another site, both have them.

    Examples
    --------
    >>> cell_mask(np.array([[3.0, 0.0], [0.0, 5.0]])).sum(axis=1).tolist()
    [0, 5, 5, 5, 0]
    """
    first, second = basis_px_yx
    around = np.array([first, second, first + second, first - second])
    reach = int(np.abs(around).max())
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = np.ones(y.shape, bool)
    for step in around:
        # |d| <= |d - v| and |d| <= |d + v|.
        inside &= np.abs(y * step[0] + x * step[1]) <= (step @ step) / 2 + 1e-9
    used = int(np.abs(np.argwhere(inside) - reach).max())
    middle = slice(reach - used, reach + used + 1)
    return np.ascontiguousarray(inside[middle, middle])


@kernel
def _bits_of(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """All bits but the sign where the mask is true."""
    bits = np.zeros(mask.shape, np.int32)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                bits[y, x] = np.int32(0x7FFFFFFF)
    return bits


@kernel
def _largest(
    bits: NDArray[np.int32],
    begin: tuple[int, int],
    mask: NDArray[np.int32],
    rows: tuple[int, int, int],
    line: NDArray[np.int32],
) -> np.float32:
    """Largest magnitude where a mask lets it, NaN if one is not finite.

    Row `rows[0]` of the mask lies on pixels that begin at `begin`; then every `rows[2]`-th row of
    the mask before `rows[1]` lies on the next row of pixels.
    """
    # 1. Without its sign, a float as an integer has the order of its magnitude, NaN above all; the
    #    largest of integers is the same in any order, so the loop is vectorised.
    # 2. Unsigned, since a signed index is looked at once more, and two rows at a time, without a
    #    view of any: a view costs as much as its pixels.
    y, left, one = np.uint64(begin[0]), np.uint64(begin[1]), np.uint64(1)
    row, beyond, step = np.uint64(rows[0]), np.uint64(rows[1]), np.uint64(rows[2])
    columns = np.uint64(len(line))
    for x in range(columns):
        line[x] = 0
    while row + step < beyond:
        for x in range(columns):
            upper = bits[y, left + x] & mask[row, x]
            lower = bits[y + one, left + x] & mask[row + step, x]
            line[x] = max(line[x], max(upper, lower))
        y += one + one
        row += step + step
    if row < beyond:
        for x in range(columns):
            line[x] = max(line[x], bits[y, left + x] & mask[row, x])
    best = np.int32(0)
    for x in range(columns):
        best = max(best, line[x])
    if best > np.int32(0x7F7FFFFF):
        return np.float32(np.nan)
    return np.int32(best).view(np.float32)


@kernel
def site_statistics(
    residual: NDArray[np.float32],
    energy: SampledRows,
    places: NDArray[np.float64],
    mask: NDArray[np.bool_],
    out: NDArray[np.float64],
) -> None:
    """Find the largest residual and the largest local energy in the cell of each site.

    Parameters
    ----------
    residual : (H, W)
        NaN where there is none.
    energy
        Blurred squares of the residual, of every so many rows, from `smooth.gaussian_rows`: a blur
        of 3 px says with every second row where its largest value is, within 3 %.
    places : (N, 2)
        [y, x] in pixels; the cell is centred on the nearest pixel (halves go up).
    mask : (K, K)
        From `cell_mask`; K is odd.
    out : (N, 2)
        Receives abs(residual) and energy. Both are NaN where the square of the mask leaves the
        frame, where a pixel of the cell is not finite, and at a place that is NaN.

    Notes
    -----
    Takes K lines of integers, once per call.
    """
    size = len(mask)
    if size % 2 == 0 or mask.shape[1] != size:
        raise ValueError("the mask must be square, and odd")
    height, width = residual.shape
    half = size // 2
    allowed = _bits_of(mask)
    line = np.empty(size, np.int32)
    bits, energy_bits = residual.view(np.int32), energy.rows.view(np.int32)
    step = energy.step
    for site in range(len(places)):
        out[site, 0] = out[site, 1] = np.nan
        y_px = np.floor(places[site, 0] + 0.5)
        x_px = np.floor(places[site, 1] + 0.5)
        # Decided before the conversion to integers, and so that NaN fails.
        if not (half <= y_px <= height - 1 - half and half <= x_px <= width - 1 - half):
            continue
        top, left = int(y_px) - half, int(x_px) - half
        largest = _largest(bits, (top, left), allowed, (0, size, 1), line)
        row = (step - top % step) % step
        begin = ((top + row) // step, left)
        most = _largest(energy_bits, begin, allowed, (row, size, step), line)
        if np.isfinite(largest) and np.isfinite(most):
            out[site, 0], out[site, 1] = np.float64(largest), np.float64(most)


@kernel
def _span(used: NDArray[np.bool_]) -> tuple[int, int]:
    """First true element, and the one after the last; none: 0, 0."""
    first, beyond = 0, 0
    for index in range(len(used)):
        if used[index]:
            if beyond == 0:
                first = index
            beyond = index + 1
    return first, beyond


@kernel
def _add_pairs(
    line: NDArray[np.float32],
    weights: NDArray[np.float32],
    stride: int,
    out: NDArray[np.float32],
) -> None:
    """Blur along what lies `stride` numbers apart; `out` begins a radius before and behind."""
    # A block is one line in memory, and a shift by a row or a column is a shift along it: one long
    # loop for all rows, where a loop for each spent its time on beginning (8 ms, now 3).
    radius, n = len(weights) // 2, len(out)
    middle = line[radius * stride : radius * stride + n]
    weight = weights[radius]
    for x in range(n):
        out[x] = weight * middle[x]
    # Two pairs a pass: fewer stores.
    for tap in range(1, radius, 2):
        first, last = (radius - tap) * stride, (radius + tap) * stride
        one, two = line[first : first + n], line[last : last + n]
        three = line[first - stride : first - stride + n]
        four = line[last + stride : last + stride + n]
        weight, further = weights[radius + tap], weights[radius + tap + 1]
        for x in range(n):
            out[x] += weight * (one[x] + two[x]) + further * (three[x] + four[x])
    if radius % 2 == 1:
        one, two = line[:n], line[2 * radius * stride : 2 * radius * stride + n]
        weight = weights[2 * radius]
        for x in range(n):
            out[x] += weight * (one[x] + two[x])


@kernel
def _energy_of(
    residual: NDArray[np.float32],
    window: tuple[int, int, int, int],
    weights: NDArray[np.float32],
    step: int,
    scratch: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """Blur the squares of a window; every `step`-th row of the result goes into scratch[0]."""
    top, _, left, right = window
    size, radius = len(residual), len(weights) // 2
    wide = right - left + 2 * radius
    blurred, high, broad = scratch
    squares, down = high.reshape(-1, wide), broad.reshape(-1, wide)
    for y in range(len(squares)):
        source = residual[mirrored(top - radius + y, size)]
        target = squares[y]
        inner_first, inner_last = max(left - radius, 0), min(right + radius, size)
        offset = inner_first - (left - radius)
        part, inner = source[inner_first:inner_last], target[offset:]
        for x in range(len(part)):
            inner[x] = part[x] * part[x]
        for x in range(offset):
            value = source[mirrored(left - radius + x, size)]
            target[x] = value * value
        for x in range(offset + len(part), wide):
            value = source[mirrored(left - radius + x, size)]
            target[x] = value * value
    _add_pairs(high, weights, wide, broad)
    n_rows = len(blurred) // wide
    for row in range(n_rows):
        # Those that are wanted move together, into what is no longer needed.
        source, target = down[row * step], squares[row]
        for x in range(wide):
            target[x] = source[x]
    n = n_rows * wide - 2 * radius
    _add_pairs(high[: n_rows * wide], weights, 1, blurred[:n])


@kernel
def window_statistics(
    residuals: NDArray[np.float32],
    mask: NDArray[np.bool_],
    weights: NDArray[np.float32],
    step: int,
    out: NDArray[np.float64],
) -> None:
    """Find the largest residual and the largest local energy inside a mask, window by window.

    Parameters
    ----------
    residuals : (N, C, C)
        What a model leaves of each window.
    mask : (C, C)
        Where to look.
    weights : (2 r + 1,)
        From `smooth.gaussian_weights`, of the blur that makes energy of squares; the window is
        mirrored at its edges.
    step
        Every so many rows of the mask, from its first one on, have an energy; at least 1.
    out : (N, 2)
        Receives abs(residual) and energy; both NaN where a pixel of the mask is not finite, or one
        that the blur carries there.

    Notes
    -----
    Takes a few windows of scratch, once per call.
    """
    size, radius = residuals.shape[1], len(weights) // 2
    if residuals.shape[2] != size or mask.shape[0] != size or mask.shape[1] != size:
        raise ValueError("windows and mask must be square, and of one size")
    rows, columns = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for y in range(size):
        for x in range(size):
            if mask[y, x]:
                rows[y] = columns[x] = True
    top, bottom = _span(rows)
    left, right = _span(columns)
    if bottom == top:
        raise ValueError("the mask is empty")
    height, wide, n_rows = bottom - top, right - left + 2 * radius, -(-(bottom - top) // step)
    allowed = _bits_of(mask[top:bottom, left:right])
    line = np.empty(right - left, np.int32)
    blurred = np.zeros(n_rows * wide, np.float32)
    scratch = (
        blurred,
        np.empty((height + 2 * radius) * wide, np.float32),
        np.empty(height * wide, np.float32),
    )
    energy_bits = blurred.reshape(n_rows, wide).view(np.int32)
    for window in range(len(residuals)):
        residual = residuals[window]
        _energy_of(residual, (top, bottom, left, right), weights, step, scratch)
        bits = residual.view(np.int32)
        largest = _largest(bits, (top, left), allowed, (0, height, 1), line)
        most = _largest(energy_bits, (0, 0), allowed, (0, height, step), line)
        spoilt = np.isnan(largest) or np.isnan(most)
        out[window, 0] = np.nan if spoilt else np.float64(largest)
        out[window, 1] = np.nan if spoilt else np.float64(most)
