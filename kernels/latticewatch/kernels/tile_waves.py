"""Difference of Gaussians of one small tile, whose rows are too short to be blurred one by one.

A call costs as much as some hundred pixels. So the tile gets its mirrored border first, and several
rows with theirs are then one long row: 0.10 ms for 128x128 px, 0.18 by
`difference_of_gaussians`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.smooth import mirrored

# What is blurred down and then across stays in the nearest cache.
_STRIP_PX = 16


class TileScratch(NamedTuple):
    """What `tile_waves` works in.

    Attributes
    ----------
    framed : (H + 2 r, W + 2 r) float32
        The tile with r mirrored pixels round it.
    down, across : (16 (W + 2 r),) float32
        Rows blurred along y, and then along x.
    """

    framed: NDArray[np.float32]
    down: NDArray[np.float32]
    across: NDArray[np.float32]


def tile_scratch(shape_yx: tuple[int, int], wide: NDArray[np.float32]) -> TileScratch:
    """Allocate what `tile_waves` needs for tiles of this shape."""
    height, width = (side + len(wide) - 1 for side in shape_yx)
    strip = np.empty((2, _STRIP_PX * width), np.float32)
    return TileScratch(np.empty((height, width), np.float32), strip[0], strip[1])


@kernel
def _frame(tile: NDArray[np.float32], border: int, framed: NDArray[np.float32]) -> None:
    """Copy a tile and mirror it at its edges."""
    height, width = tile.shape
    for y in range(len(framed)):
        source, target = tile[mirrored(y - border, height)], framed[y]
        target[border : border + width] = source
        for x in range(border):
            target[border - 1 - x] = source[mirrored(-1 - x, width)]
            target[border + width + x] = source[mirrored(width + x, width)]


@kernel
def _add_pair(
    weight: np.float32, one: NDArray[np.float32], two: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    for x in range(len(out)):
        out[x] += weight * (one[x] + two[x])


@kernel
def _add_three_pairs(
    weights: NDArray[np.float32],
    inner: tuple[NDArray[np.float32], NDArray[np.float32]],
    middle: tuple[NDArray[np.float32], NDArray[np.float32]],
    outer: tuple[NDArray[np.float32], NDArray[np.float32]],
    out: NDArray[np.float32],
) -> None:
    near, further, far = weights[0], weights[1], weights[2]
    (a, b), (c, d), (e, f) = inner, middle, outer
    for x in range(len(out)):
        out[x] += near * (a[x] + b[x]) + further * (c[x] + d[x]) + far * (e[x] + f[x])


@kernel
def _add_blur(
    source: NDArray[np.float32], step: int, weights: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Add what lies `step` apart in the source, weighed; the first weight is of out's own place."""
    radius, n = len(weights) // 2, len(out)
    middle = source[radius * step : radius * step + n]
    # Half of the weight twice: one function less.
    _add_pair(np.float32(0.5) * weights[radius], middle, middle, out)
    tap = 1
    while tap + 2 <= radius:
        left, right = (radius - tap) * step, (radius + tap) * step
        one, two = source[left : left + n], source[right : right + n]
        left, right = left - step, right + step
        three, four = source[left : left + n], source[right : right + n]
        left, right = left - step, right + step
        five, six = source[left : left + n], source[right : right + n]
        _add_three_pairs(weights[radius + tap :], (one, two), (three, four), (five, six), out)
        tap += 3
    while tap <= radius:
        left, right = (radius - tap) * step, (radius + tap) * step
        _add_pair(weights[radius + tap], source[left : left + n], source[right : right + n], out)
        tap += 1


@kernel
def _clear(out: NDArray[np.float32]) -> None:
    for x in range(len(out)):
        out[x] = np.float32(0.0)


@kernel
def tile_waves(
    tile: NDArray[np.float32],
    narrow: NDArray[np.float32],
    wide: NDArray[np.float32],
    scratch: TileScratch,
    out: NDArray[np.float32],
) -> None:
    """Blur a tile twice and subtract the wider blur, as `difference_of_gaussians` does a frame.

    Parameters
    ----------
    tile : (H, W)
        Finite pixels: a NaN spreads over a square of the size of the wider weights, and along its
        rows into the next ones.
    narrow, wide : (2 r + 1,)
        Symmetric, which is not checked; the first is not longer than the second.
    scratch
        From `tile_scratch`; its content does not matter.
    out : (H, W)
        Receives the difference; must not overlap `tile`.
    """
    height, width = tile.shape
    radius, inner = len(wide) // 2, len(narrow) // 2
    row = width + 2 * radius
    _frame(tile, radius, scratch.framed)
    framed = scratch.framed.reshape(-1)
    less = -wide
    for top in range(0, height, _STRIP_PX):
        n_rows = min(_STRIP_PX, height - top)
        down = scratch.down[: n_rows * row]
        # The last pixels would be blurred with those beyond the strip: they are border.
        across = scratch.across[: n_rows * row - 2 * radius]
        _clear(across)
        _clear(down)
        _add_blur(framed[top * row :], row, less, down)
        _add_blur(down, 1, wide, across)
        _clear(down)
        _add_blur(framed[(top + radius - inner) * row :], row, narrow, down)
        _add_blur(down[radius - inner :], 1, narrow, across)
        for y in range(n_rows):
            out[top + y] = across[y * row : y * row + width]
