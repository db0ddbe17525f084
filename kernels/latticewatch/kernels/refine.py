"""Columns between the pixels: positions to a fraction of a pixel, and their intensity."""

import math

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _stationary_step(
    image: NDArray[np.float32], y: int, x: int, limit_px: float
) -> tuple[float, float]:
    """Return the step from (y, x) to the flat point of the quadratic through its 3x3 pixels."""
    # float64 by name: numba leaves float32 as it is in float(), and then the step of a frame
    # and of its mirror image differ in the fifth decimal.
    window = image[y - 1 : y + 2, x - 1 : x + 2]
    upper = np.float64(window[0, 0]), np.float64(window[0, 1]), np.float64(window[0, 2])
    middle = np.float64(window[1, 0]), np.float64(window[1, 1]), np.float64(window[1, 2])
    lower = np.float64(window[2, 0]), np.float64(window[2, 1]), np.float64(window[2, 2])
    sum_upper = upper[0] + upper[1] + upper[2]
    sum_lower = lower[0] + lower[1] + lower[2]
    sum_left = upper[0] + middle[0] + lower[0]
    sum_right = upper[2] + middle[2] + lower[2]
    total = sum_upper + sum_lower + middle[0] + middle[1] + middle[2]
    # Least squares of a + b y + c x + d y^2 + e y x + f x^2 over nine points, solved by hand.
    slope_y = (sum_lower - sum_upper) / 6.0
    slope_x = (sum_right - sum_left) / 6.0
    bend_y = sum_upper + sum_lower - 2.0 * total / 3.0
    bend_x = sum_left + sum_right - 2.0 * total / 3.0
    twist = (upper[0] + lower[2] - upper[2] - lower[0]) / 4.0
    determinant = bend_y * bend_x - twist * twist
    # A saddle, a plane and NaN have no extremum to step to; written so that NaN fails.
    if not determinant > 0.0:
        return 0.0, 0.0
    step_y = (twist * slope_x - bend_x * slope_y) / determinant
    step_x = (twist * slope_y - bend_y * slope_x) / determinant
    if not (abs(step_y) < np.inf and abs(step_x) < np.inf):
        return 0.0, 0.0
    return min(max(step_y, -limit_px), limit_px), min(max(step_x, -limit_px), limit_px)


@kernel
def refine_quadratic(
    image: NDArray[np.float32], places: NDArray[np.int32], out: NDArray[np.float64]
) -> None:
    """Move extrema to the flat point of the quadratic fitted to their 3x3 pixels.

    Parameters
    ----------
    image : (H, W)
        Smoothed frame.
    places : (N, 2)
        Whole pixels [y, x]. One on the edge, or outside, is copied as it is.
    out : (N, 2)
        Receives [y, x] in pixels. Each step is at most 0.75: a longer one says that the extremum
        is not at this pixel. Where the fit has no extremum, or met NaN, the step is 0.
    """
    height, width = image.shape
    for place in range(len(places)):
        y = int(places[place, 0])
        x = int(places[place, 1])
        step_y = step_x = 0.0
        if 1 <= y < height - 1 and 1 <= x < width - 1:
            step_y, step_x = _stationary_step(image, y, x, 0.75)
        out[place, 0] = y + step_y
        out[place, 1] = x + step_x


@kernel
def _strongest_near(
    image: NDArray[np.float32], y: int, x: int, reach_px: int, polarity: int
) -> tuple[int, int]:
    """Return the strongest pixel of a disc, the first of equal ones; the pixels exist."""
    best_y, best_x = y, x
    best = polarity * image[y, x]
    for down in range(-reach_px, reach_px + 1):
        row = image[y + down]
        for right in range(-reach_px, reach_px + 1):
            value = polarity * row[x + right]
            if value > best and down * down + right * right <= reach_px * reach_px:
                best, best_y, best_x = value, y + down, x + right
    return best_y, best_x


@kernel
def _rules_neighbours(image: NDArray[np.float32], y: int, x: int, polarity: int) -> bool:
    """Tell whether no pixel of the 3x3 is beyond its centre; NaN rules nothing."""
    value = polarity * image[y, x]
    for down in range(-1, 2):
        for right in range(-1, 2):
            if not polarity * image[y + down, x + right] <= value:
                return False
    return True


@kernel
def refine_near(
    image: NDArray[np.float32],
    expected: NDArray[np.float64],
    reach_px: int,
    polarity: int,
    out: NDArray[np.float64],
    found: NDArray[np.bool_],
) -> None:
    """Find the extremum beside each place where a site is expected, to a fraction of a pixel.

    Parameters
    ----------
    image : (H, W)
        Smoothed frame. A NaN beside an extremum hides it.
    expected : (N, 2)
        [y, x] in pixels.
    reach_px
        Radius of the disc, about the nearest pixel, in which the strongest pixel is looked for.
    polarity
        +1 for bright sites, -1 for dark ones.
    out : (N, 2)
        Receives the flat point of the quadratic through the 3x3 pixels of the extremum, as
        `refine_quadratic` finds it; or what was expected, where there is none.
    found : (N,)
        Receives whether there is one: the strongest pixel of the disc rules its own neighbours.
        False where the disc and a pixel around it do not lie in the frame.
    """
    height, width = image.shape
    margin = reach_px + 1
    for place in range(len(expected)):
        out[place, 0], out[place, 1] = expected[place, 0], expected[place, 1]
        found[place] = False
        y_px = np.floor(expected[place, 0] + 0.5)
        x_px = np.floor(expected[place, 1] + 0.5)
        # Written so that NaN fails, and before the conversion to integers.
        if not (margin <= y_px < height - margin and margin <= x_px < width - margin):
            continue
        y, x = _strongest_near(image, int(y_px), int(x_px), reach_px, polarity)
        if _rules_neighbours(image, y, x, polarity):
            step_y, step_x = _stationary_step(image, y, x, 0.75)
            out[place, 0], out[place, 1] = y + step_y, x + step_x
            found[place] = True


@kernel
def site_contrast(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    around_px: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Level at each place less the mean of the levels at some steps from it.

    Parameters
    ----------
    image : (H, W)
        Smoothed frame.
    places : (N, 2)
        [y, x] in pixels, rounded to the nearest; what lies outside is moved to the edge.
    around_px : (V, 2)
        The steps, pixels; half lattice vectors lead to where no site is.
    out : (N,)
        Receives the difference, in units of the image; NaN for a place that is NaN.
    """
    height, width = image.shape
    for place in range(len(places)):
        y_px, x_px = places[place, 0], places[place, 1]
        total = 0.0
        for step in range(-1, len(around_px)):
            to_y = y_px + around_px[step, 0] if step >= 0 else y_px
            to_x = x_px + around_px[step, 1] if step >= 0 else x_px
            if not (abs(to_y) < 1e9 and abs(to_x) < 1e9):
                total = np.nan
                continue
            y = min(max(int(np.floor(to_y + 0.5)), 0), height - 1)
            x = min(max(int(np.floor(to_x + 0.5)), 0), width - 1)
            total += image[y, x] if step < 0 else -image[y, x] / len(around_px)
        out[place] = total


@kernel
def column_intensity(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    radius_px: float,
    out: NDArray[np.float32],
) -> None:
    """Average the pixels whose centres lie within a disc around each place.

    Parameters
    ----------
    image : (H, W)
        A NaN in the disc makes its mean NaN.
    places : (N, 2)
        [y, x] in pixels; the disc is not snapped to them.
    radius_px
        Pixels at exactly this distance count.
    out : (N,)
        Receives the mean, in units of the image, over the part of the disc inside the frame;
        NaN where there is none, and for a place that is not finite.
    """
    height, width = image.shape
    for place in range(len(places)):
        y_px = places[place, 0]
        x_px = places[place, 1]
        # Far outside is as good as NaN, and its row numbers would not fit an integer.
        near_y = -radius_px <= y_px <= height + radius_px
        near_x = -radius_px <= x_px <= width + radius_px
        total = 0.0
        n_pixels = 0
        if near_y and near_x:
            for y in range(
                max(math.ceil(y_px - radius_px), 0),
                min(math.floor(y_px + radius_px) + 1, height),
            ):
                for x in range(
                    max(math.ceil(x_px - radius_px), 0),
                    min(math.floor(x_px + radius_px) + 1, width),
                ):
                    if (y - y_px) ** 2 + (x - x_px) ** 2 <= radius_px**2:
                        total += image[y, x]
                        n_pixels += 1
        out[place] = total / n_pixels if n_pixels > 0 else np.nan
