"""Places where a frame is brighter, or darker, than all around them."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _rules_window(
    image: NDArray[np.float32], y: int, x: int, radius_px: int, sign: np.float32
) -> bool:
    """Tell whether no pixel of the window beats (y, x), nor equals it and comes first."""
    height, width = image.shape
    value = sign * image[y, x]
    for row in range(max(y - radius_px, 0), min(y + radius_px + 1, height)):
        for column in range(max(x - radius_px, 0), min(x + radius_px + 1, width)):
            other = sign * image[row, column]
            if other > value:
                return False
            if other == value and (row < y or (row == y and column < x)):
                return False
    return True


@kernel
def _count_ridges(
    image: NDArray[np.float32], y: int, columns: tuple[int, int], sign: np.float32, floor: float
) -> int:
    """Count pixels of a stretch of row y that are above the floor and rule their four neighbours.

    Without a branch per pixel, so that eight are tested at once.
    """
    lowest = np.float32(floor)
    n_ridges = np.int32(0)
    for x in range(columns[0], columns[1]):
        value = sign * image[y, x]
        # Each is written so that a NaN beside a peak does not hide it.
        beaten = (sign * image[y - 1, x] >= value) | (sign * image[y, x - 1] >= value)
        beaten |= (sign * image[y + 1, x] > value) | (sign * image[y, x + 1] > value)
        n_ridges += np.int32((value > lowest) & (not beaten))
    return n_ridges


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
        Half the side of the window: (2 r + 1)^2 pixels, cut off at the edge of the frame.
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
            # Of 64 pixels of a smoothed frame one in eight stretches holds a candidate.
            end = min(x + 64, stop)
            inner = 0 < y and y < height - 1 and 0 < x and end < width
            if inner and _count_ridges(image, y, (x, end), sign, floor) == 0:
                x = end
                continue
            for column in range(x, end):
                if sign * image[y, column] > lowest and _rules_window(
                    image, y, column, radius_px, sign
                ):
                    if n_found < len(out):
                        out[n_found, 0] = y
                        out[n_found, 1] = column
                    n_found += 1
            x = end
    return n_found
