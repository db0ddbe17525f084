"""Atomic columns as Gaussians: matched filters at known places."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

N_MATCHES = 6
# Lines of a column are linear between 257 places of it over a pixel: 2e-6 of its height where it
# is a pixel wide.
_N_PHASES = 256


@kernel
def _bells(
    first: float, sigma_px: float, bells: NDArray[np.float32], slants: NDArray[np.float32]
) -> None:
    """Fill a Gaussian, and it times the distance in widths."""
    # Gaussian at k + 1 from that at k by two multiplications: e^x for each took half the time.
    distance = first / sigma_px
    step = 1.0 / sigma_px
    bell = np.exp(-0.5 * distance * distance)
    ratio = np.exp(-distance * step - 0.5 * step * step)
    shrink = np.exp(-step * step)
    for k in range(len(bells)):
        bells[k], slants[k] = bell, bell * distance
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
def _half_window(sigma_px: float) -> int:
    return int(3.0 * sigma_px) + 1


@kernel
def line_size(sigma_px: float) -> int:
    """Length of a line of `column_lines`, pixels: all of the window, and zeros behind it."""
    # Whole groups of eight, so that no pixel of a row is left over and goes by itself.
    return 8 * ((2 * _half_window(sigma_px) + 8) // 8)


@kernel
def column_lines(sigma_px: float) -> NDArray[np.float32]:
    """Columns along one axis, from half a pixel before a pixel to half behind it.

    Parameters
    ----------
    sigma_px
        Width of a column, at least a pixel.

    Returns
    -------
    (257, 2 S)
        For each place a Gaussian, and it times the distance in widths; S from `line_size`, the
        first value at `int(3 sigma) + 1` pixels before the pixel.
    """
    size, n_px = line_size(sigma_px), 2 * _half_window(sigma_px) + 1
    lines = np.zeros((_N_PHASES + 1, 2 * size), np.float32)
    for phase in range(_N_PHASES + 1):
        first = 0.5 - phase / _N_PHASES - n_px // 2
        _bells(first, sigma_px, lines[phase, :n_px], lines[phase, size : size + n_px])
    return lines


@kernel
def _line_at(
    lines: NDArray[np.float32], centre: float, axis: int, scratch: NDArray[np.float32]
) -> None:
    """Fill a line of a column at any place, and its squares behind it."""
    phase = (centre - np.floor(centre + 0.5) + 0.5) * _N_PHASES
    node = np.uint64(min(int(phase), _N_PHASES - 1))
    share = np.float32(phase - np.float64(node))
    size = np.uint64(lines.shape[1])
    out = scratch[axis]
    for k in range(size):
        before = lines[node, k]
        out[k] = before + share * (lines[node + np.uint64(1), k] - before)
    for k in range(size):
        out[size + k] = out[k] * out[k]


@kernel
def _window_at(
    shape: tuple[int, int],
    place: tuple[float, float],
    sigma_px: float,
    lines: NDArray[np.float32],
    scratch: NDArray[np.float32],
) -> tuple[int, int, int, int]:
    """Fill the lines of a place along y, then x; return top, bottom, left, right of its window."""
    half = _half_window(sigma_px)
    top, bottom = cut(place[0], half, 2 * half + 1, shape[0])
    # Of a row as many pixels as a line has; those behind the window count nothing.
    left, right = cut(place[1], half, lines.shape[1] // 2, shape[1])
    if bottom <= top or right <= left:
        return 0, 0, 0, 0
    _line_at(lines, place[0], 0, scratch)
    _line_at(lines, place[1], 1, scratch)
    return top, bottom, left, right


@kernel
def _add_rows(
    image: NDArray[np.float32],
    window: tuple[int, int, int, int],
    one: int,
    two: int,
    scratch: NDArray[np.float32],
) -> None:
    """Add up the rows of a window, weighted in two ways at once.

    Weights begin at scratch[0, one] and scratch[0, two]; the sums are left in scratch[2] and [3].
    """
    # Unsigned, since a signed index is looked at once more, and two rows at a time, without a
    # view of any: rows are short, and a view costs as much as its pixels. Half the time.
    n_y, n_x = np.uint64(window[1] - window[0]), np.uint64(window[3] - window[2])
    top, left = np.uint64(window[0]), np.uint64(window[2])
    first, second = np.uint64(one), np.uint64(two)
    sums, more = scratch[2], scratch[3]
    for x in range(n_x):
        sums[x] = np.float32(0.0)
        more[x] = np.float32(0.0)
    next_ = np.uint64(1)
    for pair in range(n_y // np.uint64(2)):
        r = np.uint64(2) * pair
        y = top + r
        a, b = scratch[0, first + r], scratch[0, first + r + next_]
        c, d = scratch[0, second + r], scratch[0, second + r + next_]
        for x in range(n_x):
            upper, lower = image[y, left + x], image[y + next_, left + x]
            sums[x] += a * upper + b * lower
            more[x] += c * upper + d * lower
    if n_y % np.uint64(2) == next_:
        r = n_y - next_
        y = top + r
        a, c = scratch[0, first + r], scratch[0, second + r]
        for x in range(n_x):
            sums[x] += a * image[y, left + x]
            more[x] += c * image[y, left + x]


@kernel
def _correlate(
    image: NDArray[np.float32],
    window: tuple[int, int, int, int],
    begin: tuple[int, int],
    at: int,
    scratch: NDArray[np.float32],
    found: NDArray[np.float64],
) -> None:
    """Correlate with two lines along y and two along x: both first, second and first, reverse.

    Lines begin at scratch[:, at], those of the window so many pixels behind them.
    """
    size = scratch.shape[1] // 4
    # Down the columns, whole rows at a time; along x the sums wait for the end.
    _add_rows(image, window, at + begin[0], at + size + begin[0], scratch)
    bell, slant = np.uint64(at + begin[1]), np.uint64(at + size + begin[1])
    n_x, one = np.uint64(window[3] - window[2]), np.uint64(1)
    # Two sums of each, since an addition waits for the one before it; an odd pixel is left.
    both, down, over = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    both_2, down_2, over_2 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for pair in range(n_x // np.uint64(2)):
        x = np.uint64(2) * pair
        both += scratch[1, bell + x] * scratch[2, x]
        down += scratch[1, bell + x] * scratch[3, x]
        over += scratch[1, slant + x] * scratch[2, x]
        both_2 += scratch[1, bell + x + one] * scratch[2, x + one]
        down_2 += scratch[1, bell + x + one] * scratch[3, x + one]
        over_2 += scratch[1, slant + x + one] * scratch[2, x + one]
    if n_x % np.uint64(2) == one:
        x = n_x - one
        both += scratch[1, bell + x] * scratch[2, x]
        down += scratch[1, bell + x] * scratch[3, x]
        over += scratch[1, slant + x] * scratch[2, x]
    found[0], found[1] = np.float64(both + both_2), np.float64(down + down_2)
    found[2] = np.float64(over + over_2)


@kernel
def _begin(
    window: tuple[int, int, int, int], place: tuple[float, float], sigma_px: float
) -> tuple[int, int]:
    """How many pixels of the lines lie before the frame."""
    if window[1] <= window[0]:
        return 0, 0
    half = _half_window(sigma_px)
    return (
        window[0] - int(np.floor(place[0] + 0.5)) + half,
        window[2] - int(np.floor(place[1] + 0.5)) + half,
    )


@kernel
def correlate_column(
    weighted: NDArray[np.float32],
    place: tuple[float, float],
    sigma_px: float,
    lines: NDArray[np.float32],
    scratch: NDArray[np.float32],
    found: NDArray[np.float64],
) -> None:
    """Correlate at one place as `correlate_columns` does.

    Parameters
    ----------
    lines : (257, 2 S)
        From `column_lines`.
    scratch : (4, 4 S)
        Its content does not matter.
    found : (6,)
        Receives three correlations in front.
    """
    window = _window_at(weighted.shape, place, sigma_px, lines, scratch)
    _correlate(weighted, window, _begin(window, place, sigma_px), 0, scratch, found)


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
    lines = column_lines(sigma_px)
    scratch = np.empty((4, 2 * lines.shape[1]), np.float32)
    squares = lines.shape[1]
    for k in range(len(places)):
        place = places[k, 0], places[k, 1]
        window = _window_at(weighted.shape, place, sigma_px, lines, scratch)
        begin = _begin(window, place, sigma_px)
        _correlate(weighted, window, begin, 0, scratch, out[k])
        _correlate(precision, window, begin, squares, scratch, out[k, 3:])


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
    lines = column_lines(sigma_px)
    scratch = np.empty((4, 2 * lines.shape[1]), np.float32)
    for k in range(len(places)):
        place = places[k, 0], places[k, 1]
        correlate_column(weighted, place, sigma_px, lines, scratch, out[k])
