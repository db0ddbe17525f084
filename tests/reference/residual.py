"""What latticewatch.kernels.residual computes, spelled out in double precision."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Window = NDArray[np.float64]
Place = tuple[int, int]


class Residual(NamedTuple):
    """One window's row of the results; the whole residual beside it."""

    peak_yx: NDArray[np.float64]
    amplitude: float
    opposite_yx: NDArray[np.float64]
    opposite: float
    expected: float
    noise: float
    cut_off: bool
    values: Window


def shift(patch: NDArray[np.float32], step_yx: tuple[float, float]) -> Window:
    """Bilinear shift: what stood at p stands at p + step; edge pixels are repeated outwards."""
    size = patch.shape[0]
    y, x = (np.arange(size) - step for step in step_yx)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    share_y, share_x = (y - top)[:, None], (x - left)[None, :]

    def pixels(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Window:
        rows, columns = np.clip(rows, 0, size - 1), np.clip(columns, 0, size - 1)
        return patch[np.ix_(rows, columns)].astype(np.float64)

    upper = (1 - share_x) * pixels(top, left) + share_x * pixels(top, left + 1)
    lower = (1 - share_x) * pixels(top + 1, left) + share_x * pixels(top + 1, left + 1)
    shifted: Window = (1 - share_y) * upper + share_y * lower
    return shifted


def vertex(before: float, here: float, after: float) -> float:
    """Where the parabola through (-1, before), (0, here), (1, after) is highest, within a half."""
    curvature, slope, _ = np.linalg.solve([[1, -1, 1], [0, 0, 1], [1, 1, 1]], [before, here, after])
    if not curvature < 0:
        return 0.0
    return float(np.clip(-slope / (2 * curvature), -0.5, 0.5))


def top_near(values: Window, place: Place) -> NDArray[np.float64]:
    """Sub-pixel top near a pixel; the pixel itself at the border."""
    (y, x), last = place, values.shape[0] - 1
    if y in (0, last) or x in (0, last):
        return np.array(place, float)
    step_y = vertex(*values[y - 1 : y + 2, x])
    step_x = vertex(*values[y, x - 1 : x + 2])
    return np.array([y + step_y, x + step_x])


def window_residual(
    image: NDArray[np.float32],
    place_yx: tuple[float, float],
    mean_patch: NDArray[np.float32],
    reach_px: float,
) -> Residual | None:
    """Residual of one window, or None where it leaves the frame."""
    size = mean_patch.shape[0]
    if not all(math.isfinite(value) for value in place_yx):
        return None
    centre = [math.floor(value + 0.5) for value in place_yx]
    top, left = (value - size // 2 for value in centre)
    if top < 0 or left < 0 or top + size > image.shape[0] or left + size > image.shape[1]:
        return None
    expected = shift(mean_patch, (place_yx[0] - centre[0], place_yx[1] - centre[1]))
    values = image[top : top + size, left : left + size] - expected
    values -= np.median(values[::2, ::2])
    noise = 1.4826 * float(np.median(np.abs(values[::2, ::2])))
    y, x = (int(k) for k in np.unravel_index(np.abs(values).argmax(), values.shape))
    sign = 1.0 if values[y, x] > 0 else -1.0
    other = strongest_within(-sign * values, (y, x), reach_px)
    return Residual(
        peak_yx=np.add((top, left), top_near(sign * values, (y, x))),
        amplitude=float(values[y, x]),
        opposite_yx=np.add((top, left), top_near(-sign * values, other)),
        opposite=max(-sign * float(values[other]), 0.0),
        expected=float(expected[y, x]),
        noise=noise,
        cut_off=y in (0, size - 1) or x in (0, size - 1),
        values=values,
    )


def strongest_within(values: Window, centre: Place, reach_px: float) -> Place:
    """First pixel of the largest value above 0 in the disc about the centre, or the centre."""
    y, x = np.indices(values.shape)
    # A negative reach reaches nothing.
    disc = np.hypot(y - centre[0], x - centre[1]) <= reach_px
    allowed = np.where(disc & (values > 0), values, 0.0)
    if not allowed.any():
        return centre
    place = np.unravel_index(allowed.argmax(), allowed.shape)
    return int(place[0]), int(place[1])
