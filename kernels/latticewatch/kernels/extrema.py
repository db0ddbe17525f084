"""Places where a frame is brighter, or darker, than all around them."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _is_beaten(
    row: NDArray[np.float32], value: np.float32, sign: np.float32, comes_first: bool
) -> bool:
    """Tell whether a pixel of this stretch is beyond the value, or equals it and comes first."""
    # Counted to the end, since a loop that leaves early is not compiled to eight at once.
    n_better = np.int32(0)
    n_equal = np.int32(0)
    for x in range(len(row)):
        n_better += np.int32(sign * row[x] > value)
        n_equal += np.int32(sign * row[x] == value)
    return bool(n_better > 0 or (comes_first and n_equal > 0))


@kernel
def _rules_window(
    image: NDArray[np.float32], y: int, x: int, radius_px: int, sign: np.float32
) -> bool:
    """Tell whether no pixel of the window is beyond (y, x), nor equals it and comes first."""
    height, width = image.shape
    value = sign * image[y, x]
    left, right = max(x - radius_px, 0), min(x + radius_px + 1, width)
    # The row of the pixel, cut at it, before the others: most pixels fail beside themselves.
    if _is_beaten(image[y, left:x], value, sign, True):
        return False
    if _is_beaten(image[y, x + 1 : right], value, sign, False):
        return False
    for distance in range(1, radius_px + 1):
        if y >= distance and _is_beaten(image[y - distance, left:right], value, sign, True):
            return False
        below = y + distance
        if below < height and _is_beaten(image[below, left:right], value, sign, False):
            return False
    return True


@kernel
def _tops_row(
    image: NDArray[np.float32], y: int, x: int, sign: np.float32, lowest: np.float32
) -> bool:
    """Tell whether a pixel is above the floor and beyond the two beside it."""
    value = sign * image[y, x]
    if not value > lowest:
        return False
    if x > 0 and sign * image[y, x - 1] >= value:
        return False
    return not (x + 1 < image.shape[1] and sign * image[y, x + 1] > value)


@kernel
def _count_ridges(
    image: NDArray[np.float32],
    y: int,
    columns: tuple[int, int],
    sign: np.float32,
    lowest: np.float32,
) -> int:
    """Count pixels of a stretch of row y that are above the floor and rule their four neighbours.

    Without a branch per pixel, so that eight are tested at once.
    """
    first, end = columns
    above = image[y - 1, first:end]
    left = image[y, first - 1 : end - 1]
    middle = image[y, first:end]
    right = image[y, first + 1 : end + 1]
    below = image[y + 1, first:end]
    n_ridges = np.int32(0)
    for x in range(end - first):
        value = sign * middle[x]
        # Each is written so that a NaN beside a peak does not hide it.
        beaten = (sign * above[x] >= value) | (sign * left[x] >= value)
        beaten |= (sign * below[x] > value) | (sign * right[x] > value)
        n_ridges += np.int32((value > lowest) & (not beaten))
    return int(n_ridges)


@kernel
def strict_extrema(
    image: NDArray[np.float32],
    floor: float,
    radius_px: int,
    polarity: int,
    border_px: int,
    out: NDArray[np.int32],
) -> int:
    """Find pixels beyond all others in the square window around them.

    Parameters
    ----------
    image : (H, W)
        NaN is never an extremum and hides none beside it.
    floor
        `polarity` times the value must be above this.
    radius_px
        Half the side of the window: (2 r + 1)^2 pixels, cut off at the edge of the frame. At
        least 1.
    polarity
        +1 for bright places, -1 for dark ones.
    border_px
        This many rows and columns along the edge are compared with, but never reported.
    out : (N, 2)
        Receives [y, x] in row-major order. The caller owns it: a frame allocates nothing.

    Returns
    -------
    int
        How many were found, which may be more than N: then the last ones were left out.

    Notes
    -----
    Of equal pixels the first in row-major order wins, so a flat top gives one place within any
    window, or none.
    """
    height, width = image.shape
    sign = np.float32(polarity)
    lowest = np.float32(floor)
    first, stop = border_px, width - border_px
    n_found = 0
    for y in range(border_px, height - border_px):
        x = first
        while x < stop:
            # Nine of ten such stretches of a smoothed frame hold no candidate and are left after
            # one look: 5.2 ms at 1024x1024, now 1.2. Stretches of 64 and 128 pixels were slower.
            end = min(x + 32, stop)
            inner = 0 < y < height - 1 and 0 < x < end < width
            if inner and _count_ridges(image, y, (x, end), sign, lowest) == 0:
                x = end
                continue
            for column in range(x, end):
                if _tops_row(image, y, column, sign, lowest) and _rules_window(
                    image, y, column, radius_px, sign
                ):
                    if n_found < len(out):
                        out[n_found, 0] = y
                        out[n_found, 1] = column
                    n_found += 1
            x = end
    return n_found
