"""Columns drawn as Gaussians of equal height."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def draw_columns(
    places: NDArray[np.float64], sigma_px: float, reach_px: int, out: NDArray[np.float32]
) -> None:
    """Draw a Gaussian of height one at each place, added where they overlap.

    Parameters
    ----------
    places : (N, 2)
        [y, x] in pixels. One that is not finite is not drawn.
    sigma_px
        Their standard deviation.
    reach_px
        Half the side of the square that is drawn of each.
    out : (H, W)
        Receives the picture; what it held is lost.

    Notes
    -----
    Takes a row of 2 `reach_px` + 1 numbers, once per call.
    """
    height, width = out.shape
    profile = np.empty(2 * reach_px + 1, np.float32)
    for y in range(height):
        for x in range(width):
            out[y, x] = np.float32(0.0)
    rate = -0.5 / (sigma_px * sigma_px)
    for place in range(len(places)):
        y_px, x_px = places[place, 0], places[place, 1]
        # Written so that NaN fails, and before the conversion to integers.
        near_y = -reach_px - 1 <= y_px <= height + reach_px
        near_x = -reach_px - 1 <= x_px <= width + reach_px
        if not (near_y and near_x):
            continue
        top, left = int(np.floor(y_px + 0.5)) - reach_px, int(np.floor(x_px + 0.5)) - reach_px
        first_x, end_x = max(left, 0), min(left + 2 * reach_px + 1, width)
        if end_x <= first_x:
            continue
        row = profile[: end_x - first_x]
        for x in range(len(row)):
            gap = first_x + x - x_px
            row[x] = np.exp(rate * gap * gap)
        for y in range(max(top, 0), min(top + 2 * reach_px + 1, height)):
            gap = y - y_px
            weight = np.float32(np.exp(rate * gap * gap))
            target = out[y, first_x:end_x]
            for x in range(len(row)):
                target[x] += weight * row[x]
