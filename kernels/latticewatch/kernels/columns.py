"""Atomic columns as Gaussians: matched filters at known places."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

N_MATCHES = 6


@kernel
def _bells(first: float, sigma_px: float, out: NDArray[np.float32]) -> None:
    """Fill a Gaussian, it times the distance in widths, and the squares of both."""
    # Gaussian at k + 1 from that at k by two multiplications: e^x for each took half the time.
    distance = first / sigma_px
    step = 1.0 / sigma_px
    bell = np.exp(-0.5 * distance * distance)
    ratio = np.exp(-distance * step - 0.5 * step * step)
    shrink = np.exp(-step * step)
    for k in range(out.shape[1]):
        slant = bell * distance
        out[0, k], out[1, k] = bell, slant
        out[2, k], out[3, k] = bell * bell, slant * slant
        bell *= ratio
        ratio *= shrink
        distance += step


@kernel
def cut(centre: float, half: int, size: int, length: int) -> tuple[int, int]:
    """First pixel and end of the window round a place, inside the frame."""
    # Written so that NaN fails; what lies far outside would not fit into a whole number.
    if not -size <= centre <= length + size:
        return 0, 0
    first = int(np.floor(centre + 0.5)) - half
    return min(max(first, 0), length), max(min(first + size, length), 0)


@kernel
def _product(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    total = np.float32(0.0)
    for k in range(len(one)):
        total += one[k] * two[k]
    return np.float64(total)


@kernel
def _add_rows(
    image: NDArray[np.float32],
    window: tuple[int, int, int, int],
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    sums: NDArray[np.float32],
    more: NDArray[np.float32],
) -> None:
    """Add up the rows of a window, weighted in two ways at once."""
    sums[:] = np.float32(0.0)
    more[:] = np.float32(0.0)
    top, bottom, left, right = window
    for r in range(bottom - top):
        # Cut out of the frame row by row: of a window that is cut out whole numba does not know
        # that neighbours in a row are neighbours in memory, and goes one by one (5 times slower).
        row = image[top + r, left:right]
        first, second = one[r], two[r]
        for x in range(len(row)):
            sums[x] += first * row[x]
            more[x] += second * row[x]


@kernel
def match_size(sigma_px: float) -> int:
    """Side of the window of `match_column`, pixels."""
    # Whole groups of eight, so that no pixel of a row is left over and goes by itself.
    return 8 * ((2 * (int(3.0 * sigma_px) + 1) + 8) // 8)


@kernel
def _lines(
    shape: tuple[int, int],
    place: tuple[float, float],
    sigma_px: float,
    scratch: NDArray[np.float32],
) -> tuple[int, int, int, int]:
    """Fill the Gaussians of a place along y, then x; return top, bottom, left, right of it."""
    half = int(3.0 * sigma_px) + 1
    size = scratch.shape[1]
    top, bottom = cut(place[0], half, size, shape[0])
    left, right = cut(place[1], half, size, shape[1])
    bottom, right = max(bottom, top), max(right, left)
    _bells(top - place[0], sigma_px, scratch[:4, : bottom - top])
    _bells(left - place[1], sigma_px, scratch[4:8, : right - left])
    return top, bottom, left, right


@kernel
def _correlate(
    weighted: NDArray[np.float32],
    window: tuple[int, int, int, int],
    scratch: NDArray[np.float32],
    found: NDArray[np.float64],
) -> None:
    """Correlate with a Gaussian and its two derivatives, lines from `_lines`."""
    # Down the columns, whole rows at a time; along x the sums wait for the end.
    n_x = window[3] - window[2]
    sums, more = scratch[8, :n_x], scratch[9, :n_x]
    _add_rows(weighted, window, scratch[0], scratch[1], sums, more)
    found[0] = _product(scratch[4, :n_x], sums)
    found[1] = _product(scratch[4, :n_x], more)
    found[2] = _product(scratch[5, :n_x], sums)


@kernel
def match_column(
    weighted: NDArray[np.float32],
    precision: NDArray[np.float32],
    place: tuple[float, float],
    sigma_px: float,
    scratch: NDArray[np.float32],
    found: NDArray[np.float64],
) -> None:
    """Correlate at one place; parameters as in `match_columns`.

    Parameters
    ----------
    scratch : (10, S)
        S from `match_size`.
    found : (6,)
        Receives three correlations and three squared norms.
    """
    window = _lines(weighted.shape, place, sigma_px, scratch)
    _correlate(weighted, window, scratch, found)
    n_x = window[3] - window[2]
    sums, more = scratch[8, :n_x], scratch[9, :n_x]
    _add_rows(precision, window, scratch[2], scratch[3], sums, more)
    found[3] = _product(scratch[6, :n_x], sums)
    found[4] = _product(scratch[6, :n_x], more)
    found[5] = _product(scratch[7, :n_x], sums)


@kernel
def match_columns(
    weighted: NDArray[np.float32],
    precision: NDArray[np.float32],
    places: NDArray[np.float64],
    sigma_px: float,
    out: NDArray[np.float64],
) -> None:
    """Correlate the weighted residual with a column at each place, and with its two derivatives.

    The statistics are out[:, k] / sqrt(out[:, 3 + k]) for k = 0 (more or less intensity), 1 and 2
    (displacement along y and x): matched filters for noise of known, unequal variance.

    Parameters
    ----------
    weighted, precision : (H, W)
        residual / variance and 1 / variance, from `unshift_rows`.
    places : (N, 2)
        [y, x], pixels. Windows are cut off at the edge of the frame.
    sigma_px
        Width of a column.
    out : (N, 6)
        Receives three correlations and three squared norms.
    """
    scratch = np.empty((10, match_size(sigma_px)), np.float32)
    for k in range(len(places)):
        place = places[k, 0], places[k, 1]
        match_column(weighted, precision, place, sigma_px, scratch, out[k])


@kernel
def correlate_columns(
    weighted: NDArray[np.float32],
    places: NDArray[np.float64],
    sigma_px: float,
    out: NDArray[np.float64],
) -> None:
    """Correlate as `match_columns` does, and leave the norms as they are: half the time.

    Parameters
    ----------
    weighted : (H, W)
        residual / variance.
    places, sigma_px
        As in `match_columns`.
    out : (N, 6)
        Receives three correlations in front.
    """
    scratch = np.empty((10, match_size(sigma_px)), np.float32)
    for k in range(len(places)):
        window = _lines(weighted.shape, (places[k, 0], places[k, 1]), sigma_px, scratch)
        _correlate(weighted, window, scratch, out[k])
