"""Lines along which amplitudes dip: each place compared with what lies on both sides of it."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _corner(place: float, n: int) -> tuple[int, np.float32]:
    """Lower neighbour of a place on a grid of n, and the share of the upper one; clamped."""
    inside = min(max(place, 0.0), n - 1.0)
    lower = min(int(inside), max(n - 2, 0))
    return lower, np.float32(inside - lower)


@kernel
def _between(
    field: NDArray[np.float32], y: int, x: int, down: np.float32, right: np.float32
) -> np.float32:
    """Interpolate between four neighbours; at the last row or column its share is zero or one."""
    y1, x1 = min(y + 1, field.shape[0] - 1), min(x + 1, field.shape[1] - 1)
    one = np.float32(1.0)
    upper = field[y, x] * (one - right) + field[y, x1] * right
    lower = field[y1, x] * (one - right) + field[y1, x1] * right
    return np.float32(upper * (one - down) + lower * down)


@kernel
def dips_across(
    amplitude: NDArray[np.float32],
    least: NDArray[np.float32],
    offset: tuple[float, float],
    second: NDArray[np.float32],
    lowest: NDArray[np.float32],
) -> None:
    """Compare amplitudes with those on both sides, in one direction.

    The dip of a reflection is 1 - a / min(a on one side, a on the other); zero where that
    minimum is too small to tell.

    Parameters
    ----------
    amplitude : (R, H, W)
        Finite, not negative.
    least : (R,)
        Smallest amplitude beside a dip.
    offset
        [y, x] from a place to one of its sides, in places of the grid; the other lies opposite.
        Beyond the grid its last places go on.
    second : (H, W)
        Receives the second largest dip of all reflections; that of a single one means nothing.
    lowest : (H, W)
        Receives the smallest dip.
    """
    n_reflections, height, width = amplitude.shape
    for y in range(height):
        above, down_above = _corner(y - offset[0], height)
        below, down_below = _corner(y + offset[0], height)
        for x in range(width):
            left, right_left = _corner(x - offset[1], width)
            right, right_right = _corner(x + offset[1], width)
            largest, runner_up = np.float32(-np.inf), np.float32(-np.inf)
            smallest = np.float32(np.inf)
            for reflection in range(n_reflections):
                field = amplitude[reflection]
                one = _between(field, above, left, down_above, right_left)
                other = _between(field, below, right, down_below, right_right)
                side = min(one, other)
                dip = np.float32(0.0)
                if side > least[reflection]:
                    dip = np.float32(1.0) - field[y, x] / side
                smallest = min(smallest, dip)
                if dip > largest:
                    largest, runner_up = dip, largest
                elif dip > runner_up:
                    runner_up = dip
            second[y, x] = runner_up
            lowest[y, x] = smallest
