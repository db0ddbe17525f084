"""Windows round sites at sub-pixel places and any step, and their difference from a usual one."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _blend_rows(
    image: NDArray[np.float32],
    begin: tuple[int, int],
    used: int,
    share: float,
    line: NDArray[np.float32],
) -> None:
    """Blend a piece of a row with what lies below it."""
    # Unsigned, or the sign of each index is looked at; and no slices, since rows are short and a
    # slice costs as much as its pixels (4.2 ms, now 3.7).
    rest, part = np.float32(1.0 - share), np.float32(share)
    row, first = np.uint64(begin[0]), np.uint64(begin[1])
    below = row + np.uint64(1)
    for x in range(np.uint64(used)):
        line[x] = rest * image[row, first + x] + part * image[below, first + x]


@kernel
def _blend_columns(
    line: NDArray[np.float32],
    column: NDArray[np.uint64],
    share: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    one = np.uint64(1)
    for at in range(len(out)):
        value = line[column[at]]
        out[at] = value + share[at] * (line[column[at] + one] - value)


@kernel
def sample_windows(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    step_px: float,
    out: NDArray[np.float32],
    inside: NDArray[np.bool_],
) -> None:
    """Sample a square grid of points round each place, linear between pixels.

    Parameters
    ----------
    image : (H, W)
        Usually the blurred and levelled frame. A NaN spoils the points beside it.
    places : (N, 2)
        [y, x] in pixels; the middle of the grid lies there.
    step_px
        Between neighbouring points, pixels; more than 0.
    out : (N, S, S)
        Receives the values. A window that reaches over the edge of the frame is zero.
    inside : (N,)
        Receives whether all points lie between pixels of the frame; false for a NaN place.

    Notes
    -----
    Takes two lines of S numbers and one of a window's width, once per call.
    """
    size = out.shape[1]
    if out.shape[2] != size or not step_px > 0.0:
        raise ValueError("out must be (N, S, S), and the step more than 0")
    height, width = image.shape
    reach = (size - 1) / 2.0 * step_px
    column, share = np.empty(size, np.uint64), np.empty(size, np.float32)
    line = np.empty(int(2.0 * reach) + 3, np.float32)
    for place in range(len(places)):
        top, left = places[place, 0] - reach, places[place, 1] - reach
        # Decided before the conversion to integers, and so that NaN fails.
        fits = top >= 0.0 and top + 2.0 * reach <= height - 1
        fits = fits and left >= 0.0 and left + 2.0 * reach <= width - 1
        inside[place] = fits
        if not fits:
            out[place] = np.float32(0.0)
            continue
        first_x = min(int(left), width - 2)
        pixel = first_x
        for point in range(size):
            x = left + point * step_px
            # The last point may lie on the last pixel, which has none beside it.
            pixel = min(int(x), width - 2)
            column[point] = np.uint64(pixel - first_x)
            share[point] = np.float32(x - pixel)
        used = pixel - first_x + 2
        for point in range(size):
            y = top + point * step_px
            row = min(int(y), height - 2)
            # Down first, which runs along the row; only then along x, point by point.
            _blend_rows(image, (row, first_x), used, y - row, line)
            _blend_columns(line, column, share, out[place, point])


@kernel
def compare_windows(
    windows: NDArray[np.float32],
    usual: NDArray[np.float32],
    weights: NDArray[np.float32],
    scale: float,
) -> None:
    """Turn windows into what they differ by from a usual one, levelled by their surroundings.

    (window - usual - level) / scale, where level is the mean of window - usual by these weights.

    Parameters
    ----------
    windows : (N, S, S)
        Changed in place.
    usual : (S, S)
        On the scale of the windows.
    weights : (S, S)
        Sum 1; zero where a defect of the middle column may not move the level.
    scale
        More than 0.
    """
    size = len(usual)
    if windows.shape[1] != size or windows.shape[2] != size or not scale > 0.0:
        raise ValueError("windows must be (N, S, S) as the usual one, and the scale more than 0")
    sums = np.empty(size, np.float32)
    factor = np.float32(1.0 / scale)
    for window in range(len(windows)):
        sums[:] = np.float32(0.0)
        for row in range(size):
            line, expected, weight = windows[window, row], usual[row], weights[row]
            for column in range(size):
                line[column] -= expected[column]
                # Rows are added to rows: along a row each addition would wait for the last one.
                sums[column] += weight[column] * line[column]
        total = 0.0
        for column in range(size):
            total += np.float64(sums[column])
        level = np.float32(total)
        for row in range(size):
            line = windows[window, row]
            for column in range(size):
                line[column] = (line[column] - level) * factor


@kernel
def paste_windows(
    windows: NDArray[np.float32],
    places: NDArray[np.float64],
    step_px: float,
    picture: NDArray[np.float32],
    weight: NDArray[np.float32],
) -> None:
    """Lay windows back onto a frame, each with most weight in its middle.

    The inverse of `sample_windows`, for pictures: where windows overlap their mean is shown,
    weighted by the distance to their edges.

    Parameters
    ----------
    windows : (N, S, S)
        Values at points `step_px` apart.
    places : (N, 2)
        [y, x] in pixels of their middles; one that is NaN is left out.
    step_px
        More than 0.
    picture, weight : (H, W)
        Receive the mean, NaN where no window reaches, and the sum of the weights.
    """
    size = windows.shape[1]
    height, width = picture.shape
    reach = (size - 1) / 2.0 * step_px
    picture[:] = np.float32(0.0)
    weight[:] = np.float32(0.0)
    for window in range(len(windows)):
        top, left = places[window, 0] - reach, places[window, 1] - reach
        if not (np.isfinite(top) and np.isfinite(left)):
            continue
        first_y, last_y = max(np.ceil(top), 0.0), min(np.floor(top + 2 * reach), height - 1.0)
        first_x, last_x = max(np.ceil(left), 0.0), min(np.floor(left + 2 * reach), width - 1.0)
        if last_y < first_y or last_x < first_x:
            continue
        for y in range(int(first_y), int(last_y) + 1):
            v = (y - top) / step_px
            i = min(int(v), size - 2)
            down = v - i
            near_y = reach - abs(y - places[window, 0])
            for x in range(int(first_x), int(last_x) + 1):
                u = (x - left) / step_px
                j = min(int(u), size - 2)
                right = u - j
                upper = (1 - right) * windows[window, i, j] + right * windows[window, i, j + 1]
                lower = (1 - right) * windows[window, i + 1, j]
                lower += right * windows[window, i + 1, j + 1]
                near = min(near_y, reach - abs(x - places[window, 1])) + 1e-3
                picture[y, x] += np.float32(near * ((1 - down) * upper + down * lower))
                weight[y, x] += np.float32(near)
    for y in range(height):
        for x in range(width):
            if weight[y, x] > 0:
                picture[y, x] /= weight[y, x]
            else:
                picture[y, x] = np.float32(np.nan)
