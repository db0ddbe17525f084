"""Where in its cell a residual is strongest, and what opposes it there."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _extremes(
    residual: NDArray[np.float32], corner: tuple[int, int], mask: NDArray[np.bool_]
) -> tuple[bool, tuple[float, int, int], tuple[float, int, int]]:
    """Whether all pixels of a cell are finite; its highest and its lowest one, with y and x."""
    high, low = (-np.inf, 0, 0), (np.inf, 0, 0)
    for row in range(len(mask)):
        for column in range(mask.shape[1]):
            if not mask[row, column]:
                continue
            y, x = corner[0] + row, corner[1] + column
            value = np.float64(residual[y, x])
            if not np.isfinite(value):
                return False, high, low
            if value > high[0]:
                high = (value, y, x)
            if value < low[0]:
                low = (value, y, x)
    return True, high, low


@kernel
def _centroid(
    residual: NDArray[np.float32], peak: tuple[float, int, int], reach_px: float
) -> tuple[float, float]:
    """Weighted middle of what is above half a peak, of its sign, and near it."""
    sign = 1.0 if peak[0] > 0 else -1.0
    total, down, right = 0.0, 0.0, 0.0
    # A frame is smaller than any reach that would overflow here.
    reach = int(min(reach_px, float(max(residual.shape))))
    # Also beyond the cell: at its border half a lobe would be cut off.
    for y in range(max(peak[1] - reach, 0), min(peak[1] + reach + 1, residual.shape[0])):
        for x in range(max(peak[2] - reach, 0), min(peak[2] + reach + 1, residual.shape[1])):
            if (y - peak[1]) ** 2 + (x - peak[2]) ** 2 > reach_px**2:
                continue
            value = sign * np.float64(residual[y, x])
            # Written so that NaN fails; beyond the cell a pixel may be infinite.
            if 0.5 * sign * peak[0] <= value < np.inf:
                total += value
                down += value * (y - peak[1])
                right += value * (x - peak[2])
    # The peak itself is among them. Where all of the cell is zero, what is beyond is not its own.
    if peak[0] == 0 or not total > 0:
        return np.float64(peak[1]), np.float64(peak[2])
    return peak[1] + down / total, peak[2] + right / total


@kernel
def find_lobes(
    residual: NDArray[np.float32],
    places: NDArray[np.float64],
    mask: NDArray[np.bool_],
    reach_px: float,
    out: NDArray[np.float64],
) -> None:
    """Find the strongest residual in the cell of each site, and the strongest one of other sign.

    Parameters
    ----------
    residual : (H, W)
        NaN where there is none.
    places : (N, 2)
        [y, x] in pixels; the cell is centred on the nearest pixel (halves go up).
    mask : (K, K)
        From `local_energy.cell_mask`; K is odd.
    reach_px
        A lobe is no wider than this, either way from its strongest pixel; it may leave the cell.
    out : (N, 6)
        Receives value, y, x of the strongest lobe, then of the one against it: the value is that of
        its strongest pixel, with its sign; the place the centroid of its pixels above half of that.
        Where nothing has the other sign its value is 0 and its place that of the first. All NaN
        where `local_energy.site_statistics` gives NaN for the residual.
    """
    size = len(mask)
    if size % 2 == 0 or mask.shape[1] != size:
        raise ValueError("the mask must be square, and odd")
    height, width = residual.shape
    half = size // 2
    for site in range(len(places)):
        out[site] = np.nan
        y_px = np.floor(places[site, 0] + 0.5)
        x_px = np.floor(places[site, 1] + 0.5)
        # Decided before the conversion to integers, and so that NaN fails.
        if not (half <= y_px <= height - 1 - half and half <= x_px <= width - 1 - half):
            continue
        corner = (int(y_px) - half, int(x_px) - half)
        finite, strong, weak = _extremes(residual, corner, mask)
        if not finite:
            continue
        if -weak[0] > strong[0]:
            strong, weak = weak, strong
        y, x = _centroid(residual, strong, reach_px)
        out[site, 0], out[site, 1], out[site, 2] = strong[0], y, x
        out[site, 3], out[site, 4], out[site, 5] = 0.0, y, x
        if weak[0] * strong[0] < 0:
            y, x = _centroid(residual, weak, reach_px)
            out[site, 3], out[site, 4], out[site, 5] = weak[0], y, x
