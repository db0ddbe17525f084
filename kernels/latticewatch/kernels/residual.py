"""What a window shows beyond the mean window: the strongest bump or hole, and its counterpart."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


class Residuals(NamedTuple):
    """Strongest residual of each window; row k of every array is window k.

    Attributes
    ----------
    peak_yx : (M, 2)
        Its place, pixels of the frame.
    amplitude : (M,)
        Its value with its sign, in the unit of the frame.
    opposite_yx : (M, 2), opposite : (M,)
        Strongest residual of the other sign nearby, as a magnitude; 0 if there is none.
    expected : (M,)
        Value of the mean window at the peak.
    noise : (M,)
        Standard deviation of the residual, from the median absolute deviation.
    cut_off : (M,)
        1 where the peak lies at the border of the window: what disturbs it is outside.
    """

    peak_yx: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    opposite_yx: NDArray[np.float64]
    opposite: NDArray[np.float64]
    expected: NDArray[np.float64]
    noise: NDArray[np.float64]
    cut_off: NDArray[np.uint8]


def make_residuals(n_windows: int) -> Residuals:
    """Allocate the results of so many windows."""
    numbers = [np.empty(n_windows, np.float64) for _ in range(4)]
    return Residuals(
        peak_yx=np.empty((n_windows, 2), np.float64),
        amplitude=numbers[0],
        opposite_yx=np.empty((n_windows, 2), np.float64),
        opposite=numbers[1],
        expected=numbers[2],
        noise=numbers[3],
        cut_off=np.empty(n_windows, np.uint8),
    )


@kernel
def _shift_patch(
    patch: NDArray[np.float32], step_y: float, step_x: float, out: NDArray[np.float32]
) -> None:
    """Move a patch by at most half a pixel per axis, linear in between, edge pixels repeated."""
    size = patch.shape[0]
    by = 1 if step_y >= 0 else -1
    bx = 1 if step_x >= 0 else -1
    fy, fx = np.float32(abs(step_y)), np.float32(abs(step_x))
    one = np.float32(1.0)
    for y in range(size):
        above = min(max(y - by, 0), size - 1)
        for x in range(size):
            beside = min(max(x - bx, 0), size - 1)
            out[y, x] = (one - fy) * ((one - fx) * patch[y, x] + fx * patch[y, beside]) + fy * (
                (one - fx) * patch[above, x] + fx * patch[above, beside]
            )


@kernel
def _every_fourth(values: NDArray[np.float32], out: NDArray[np.float32]) -> int:
    """Copy every second pixel of every second row; returns how many."""
    n = 0
    for y in range(0, values.shape[0], 2):
        for x in range(0, values.shape[1], 2):
            out[n] = values[y, x]
            n += 1
    return n


@kernel
def _vertex(before: float, here: float, after: float) -> float:
    """Return the top of the parabola through three values, at most half a step away."""
    bend = 2.0 * here - before - after
    if not bend > 0:
        return 0.0
    return min(max(0.5 * (after - before) / bend, -0.5), 0.5)


@kernel
def _place_peak(
    values: NDArray[np.float32], sign: float, y: int, x: int, out: NDArray[np.float64]
) -> None:
    """Write the sub-pixel top of sign * values near (y, x); the pixel itself at the border."""
    out[0], out[1] = float(y), float(x)
    last = values.shape[0] - 1
    if y <= 0 or x <= 0 or y >= last or x >= last:
        return
    here = sign * values[y, x]
    out[0] += _vertex(sign * values[y - 1, x], here, sign * values[y + 1, x])
    out[1] += _vertex(sign * values[y, x - 1], here, sign * values[y, x + 1])


@kernel
def _find_peak(values: NDArray[np.float32]) -> tuple[int, int]:
    """Return [y, x] of the largest magnitude, the first in row-major order of equal ones."""
    best_y, best_x, best = 0, 0, np.float32(-1.0)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            if abs(values[y, x]) > best:
                best_y, best_x, best = y, x, abs(values[y, x])
    return best_y, best_x


@kernel
def _find_opposite(values: NDArray[np.float32], y: int, x: int, reach_px: float) -> tuple[int, int]:
    """Return [y, x] of the largest value of the other sign within reach, or of the peak itself."""
    sign = np.float32(-1.0) if values[y, x] > 0 else np.float32(1.0)
    reach = int(reach_px)
    best_y, best_x, best = y, x, np.float32(0.0)
    for row in range(max(y - reach, 0), min(y + reach + 1, values.shape[0])):
        for column in range(max(x - reach, 0), min(x + reach + 1, values.shape[1])):
            near = (row - y) * (row - y) + (column - x) * (column - x) <= reach_px * reach_px
            if near and sign * values[row, column] > best:
                best_y, best_x, best = row, column, sign * values[row, column]
    return best_y, best_x


@kernel
def window_residuals(
    image: NDArray[np.float32],
    places_yx: NDArray[np.float64],
    mean_patch: NDArray[np.float32],
    reach_px: float,
    out: Residuals,
) -> None:
    """Compare windows with the mean window, shifted by each site's fraction of a pixel.

    Parameters
    ----------
    image : (H, W)
        Levelled frame, finite.
    places_yx : (M, 2)
        Where windows are centred; each must lie whole in the frame. Few: about 5 us each.
    mean_patch : (S, S)
        Mean window, S odd, its mean removed.
    reach_px
        How far from the peak its counterpart may be.
    out
        Receives the results.
    """
    size = mean_patch.shape[0]
    half = size // 2
    expected = np.empty((size, size), np.float32)
    residual = np.empty((size, size), np.float32)
    sample = np.empty(((size + 1) // 2) ** 2, np.float32)
    for window in range(places_yx.shape[0]):
        top = int(np.floor(places_yx[window, 0] + 0.5)) - half
        left = int(np.floor(places_yx[window, 1] + 0.5)) - half
        step_y = places_yx[window, 0] - (top + half)
        step_x = places_yx[window, 1] - (left + half)
        _shift_patch(mean_patch, step_y, step_x, expected)
        residual[:] = image[top : top + size, left : left + size] - expected
        # The median of a quarter of the pixels: sorting all of them took half of the time.
        n_sample = _every_fourth(residual, sample)
        residual[:] -= np.float32(np.median(sample[:n_sample]))
        n_sample = _every_fourth(np.abs(residual), sample)
        out.noise[window] = 1.4826 * np.median(sample[:n_sample])
        y, x = _find_peak(residual)
        sign = 1.0 if residual[y, x] > 0 else -1.0
        _place_peak(residual, sign, y, x, out.peak_yx[window])
        other_y, other_x = _find_opposite(residual, y, x, reach_px)
        _place_peak(residual, -sign, other_y, other_x, out.opposite_yx[window])
        out.amplitude[window] = residual[y, x]
        out.opposite[window] = max(-sign * residual[other_y, other_x], 0.0)
        out.expected[window] = expected[y, x]
        out.cut_off[window] = y == 0 or x == 0 or y == size - 1 or x == size - 1
        out.peak_yx[window, 0] += top
        out.peak_yx[window, 1] += left
        out.opposite_yx[window, 0] += top
        out.opposite_yx[window, 1] += left
