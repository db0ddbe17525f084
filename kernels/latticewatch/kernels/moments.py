"""Second moments of filter responses in boxes of 16 px on a grid of 8 px.

The responses of a whole frame are never written: they live for one tile of 8 rows.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.smooth import mirrored

BLOCK_PX = 8
"""Side of a block, and the step of the grid. A box is two by two blocks."""
WINDOW_PX = 7
"""Side of the window that a filter looks at."""

# A tile is one block high. Its rows lie one after the other, so that one loop runs over all of
# them, and at a distance known to the compiler: all pixels of a window are then constant offsets
# from one address. The last 8 responses of a row are of windows across two rows, and unused.
_TILE_PX = 128
_ROW = _TILE_PX + 8
_RESPONSES = BLOCK_PX * _ROW
_WINDOWED = _RESPONSES + (WINDOW_PX - 1) * (_ROW + 1)
_REACH_PX = WINDOW_PX // 2
_TAPS = WINDOW_PX * WINDOW_PX

# Unsigned: numba looks at the sign of others at each pixel, and the loop stays scalar.
_0, _1, _2, _3, _4, _5, _6, _7 = (np.uint64(step) for step in range(8))
_BLOCK, _N_PIXELS, _N_RESPONSES = np.uint64(BLOCK_PX), np.uint64(_TILE_PX), np.uint64(_RESPONSES)
_R0, _R1, _R2, _R3, _R4, _R5, _R6, _R7, _R8, _R9 = (np.uint64(_ROW * row) for row in range(10))
_W0, _W1, _W2, _W3, _W4, _W5, _W6 = (np.uint64(WINDOW_PX * row) for row in range(WINDOW_PX))

Index: TypeAlias = int | np.uint64
Seven: TypeAlias = tuple[
    np.float32, np.float32, np.float32, np.float32, np.float32, np.float32, np.float32
]


class MomentScratch(NamedTuple):
    """What `second_moments` works in; 0.7 MB at 1024 px and 10 filters.

    Attributes
    ----------
    tile : (n,) float32
        Pixels of a tile and what its windows reach, row after row.
    responses : (K, m) float32
        Of each filter, at each pixel of the tile.
    products : (K (K + 1) / 2, 128) float32
        Of responses, summed over the rows of the tile.
    blocks : (2, K (K + 1) / 2, W / 8) float32
        Of responses, summed over the blocks of two rows of blocks.
    """

    tile: NDArray[np.float32]
    responses: NDArray[np.float32]
    products: NDArray[np.float32]
    blocks: NDArray[np.float32]


def n_moments(n_filters: int) -> int:
    """Count the products of two of these filters, squares included.

    >>> n_moments(10)
    55
    """
    return n_filters * (n_filters + 1) // 2


def grid_shape(shape_yx: tuple[int, int]) -> tuple[int, int]:
    """Count the cells of a frame of this shape, down and across.

    >>> grid_shape((1024, 1030))
    (127, 127)
    """
    height, width = shape_yx
    return max(height // BLOCK_PX - 1, 0), max(width // BLOCK_PX - 1, 0)


def moment_scratch(width_px: int, n_filters: int) -> MomentScratch:
    """Allocate what `second_moments` needs for frames of this width."""
    n_pairs = n_moments(n_filters)
    return MomentScratch(
        np.zeros(_WINDOWED, np.float32),
        np.empty((n_filters, _RESPONSES), np.float32),
        np.empty((n_pairs, _TILE_PX), np.float32),
        np.empty((2, n_pairs, width_px // BLOCK_PX), np.float32),
    )


@kernel
def _copy_row(source: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for x in range(len(out)):
        out[x] = source[x]


@kernel
def _copy_tile(image: NDArray[np.float32], top: int, left: int, tile: NDArray[np.float32]) -> None:
    """Copy a tile and 3 px round it; beyond the edges the frame is mirrored."""
    height, width = image.shape
    n_columns = _TILE_PX + WINDOW_PX - 1
    first = left - _REACH_PX
    for row in range(BLOCK_PX + WINDOW_PX - 1):
        source = image[mirrored(top + row - _REACH_PX, height)]
        target = tile[row * _ROW : row * _ROW + n_columns]
        if first >= 0 and first + n_columns <= width:
            _copy_row(source[first : first + n_columns], target)
        else:
            for column in range(n_columns):
                target[column] = source[mirrored(first + column, width)]


@kernel
def _sum_of_seven(weights: Seven, pixels: Seven) -> np.float32:
    a, b, c, d, e, f, g = weights
    t, u, v, w, x, y, z = pixels
    return a * t + b * u + c * v + d * w + e * x + f * y + g * z


@kernel
def _columns_of_windows(
    filter_: NDArray[np.float32], tile: NDArray[np.float32], x: Index, column: Index
) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Weigh one column of four windows, each a row below the last."""
    at = x + column
    weights = (
        filter_[column],
        filter_[column + _W1],
        filter_[column + _W2],
        filter_[column + _W3],
        filter_[column + _W4],
        filter_[column + _W5],
        filter_[column + _W6],
    )
    p, q, r, s, t = tile[at], tile[at + _R1], tile[at + _R2], tile[at + _R3], tile[at + _R4]
    u, v, w = tile[at + _R5], tile[at + _R6], tile[at + _R7]
    y, z = tile[at + _R8], tile[at + _R9]
    return (
        _sum_of_seven(weights, (p, q, r, s, t, u, v)),
        _sum_of_seven(weights, (q, r, s, t, u, v, w)),
        _sum_of_seven(weights, (r, s, t, u, v, w, y)),
        _sum_of_seven(weights, (s, t, u, v, w, y, z)),
    )


@kernel
def _respond(
    filter_: NDArray[np.float32], tile: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Correlate four rows of a tile with one filter."""
    # Four rows side by side: a weight is fetched once for four products and a pixel once for up
    # to four. One row at a time is bound by fetching (35 ms a frame, now 16), and so is what BLAS
    # makes of the matrix of all windows (30 ms, and the matrix on top).
    for x in range(_N_PIXELS):
        a, b, c, d = _columns_of_windows(filter_, tile, x, _0)
        for column in (_1, _2, _3, _4, _5, _6):
            p, q, r, s = _columns_of_windows(filter_, tile, x, column)
            a, b, c, d = a + p, b + q, c + r, d + s
        out[x], out[x + _R1], out[x + _R2], out[x + _R3] = a, b, c, d


@kernel
def _products(one: NDArray[np.float32], two: NDArray[np.float32], x: Index) -> np.float32:
    upper = one[x] * two[x] + one[x + _R1] * two[x + _R1]
    upper += one[x + _R2] * two[x + _R2] + one[x + _R3] * two[x + _R3]
    lower = one[x + _R4] * two[x + _R4] + one[x + _R5] * two[x + _R5]
    lower += one[x + _R6] * two[x + _R6] + one[x + _R7] * two[x + _R7]
    return np.float32(upper + lower)


@kernel
def _multiply(one: NDArray[np.float32], two: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Add up the products of two responses over the rows of a tile."""
    for x in range(_N_PIXELS):
        out[x] = _products(one, two, x)


@kernel
def _add_columns(products: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Add up eight columns of products at a time: blocks."""
    for block in range(np.uint64(len(out))):
        x = _BLOCK * block
        left = (products[x] + products[x + _1]) + (products[x + _2] + products[x + _3])
        right = (products[x + _4] + products[x + _5]) + (products[x + _6] + products[x + _7])
        out[block] = left + right


@kernel
def _fill_blocks(
    image: NDArray[np.float32],
    top: int,
    bank: NDArray[np.float32],
    scratch: MomentScratch,
    out: NDArray[np.float32],
) -> None:
    """Sum the products of responses over each block of a row of blocks."""
    n_blocks = out.shape[1]
    tile_blocks = _TILE_PX // BLOCK_PX
    for first in range(0, n_blocks, tile_blocks):
        _copy_tile(image, top, first * BLOCK_PX, scratch.tile)
        for index in range(len(bank)):
            response = scratch.responses[index]
            _respond(bank[index], scratch.tile, response)
            _respond(bank[index], scratch.tile[4 * _ROW :], response[4 * _ROW :])
        pair = 0
        for index in range(len(bank)):
            for other in range(index, len(bank)):
                line = scratch.products[pair]
                _multiply(scratch.responses[index], scratch.responses[other], line)
                _add_columns(line, out[pair, first : min(first + tile_blocks, n_blocks)])
                pair += 1


@kernel
def _add_blocks(
    upper: NDArray[np.float32], lower: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Add up two by two blocks to a row of cells."""
    for cell in range(len(out)):
        for pair in range(len(upper)):
            above = upper[pair, cell] + upper[pair, cell + 1]
            out[cell, pair] = above + (lower[pair, cell] + lower[pair, cell + 1])


@kernel
def second_moments(
    image: NDArray[np.float32],
    bank: NDArray[np.float32],
    scratch: MomentScratch,
    out: NDArray[np.float32],
) -> None:
    """Sum the products of each two filter responses over boxes of 16 x 16 px, every 8 px.

    S_ij = sum of r_i r_j, where r_i is the correlation of filter i with the window of 7 x 7 px
    centred on a pixel (methods/symmetry.md, 3.2). Cell (r, c) adds up the pixels 8 r to 8 r + 15
    and 8 c to 8 c + 15: its centre is (8 r + 7.5, 8 c + 7.5).

    Parameters
    ----------
    image : (H, W)
        Usually a difference of Gaussians. A NaN spoils the cells that hold it, and those within
        3 px of it, and no others. Beyond its edges the frame is mirrored, edge pixel included:
        the outermost cells hold up to 3 px of such windows, and the caller leaves them out.
    bank : (K, 49)
        Filters, row by row.
    scratch
        From `moment_scratch`; its content does not matter.
    out : (H / 8 - 1, W / 8 - 1, K (K + 1) / 2)
        Receives the sums: the upper triangle, row by row. Fewer than 8 last rows and columns
        are not looked at.
    """
    height, width = image.shape
    n_filters = len(bank)
    n_pairs = n_filters * (n_filters + 1) // 2
    n_rows, n_columns = height // BLOCK_PX, width // BLOCK_PX
    fits = out.shape == (max(n_rows - 1, 0), max(n_columns - 1, 0), n_pairs)
    if bank.shape[1] != _TAPS or not fits:
        raise ValueError("bank must be (K, 49), and out (H / 8 - 1, W / 8 - 1, K (K + 1) / 2)")
    if scratch.blocks.shape != (2, n_pairs, n_columns):
        raise ValueError("scratch must be made for this width and this number of filters")
    if out.size == 0:
        return
    for row in range(n_rows):
        new = scratch.blocks[row % 2]
        _fill_blocks(image, row * BLOCK_PX, bank, scratch, new)
        if row > 0:
            _add_blocks(scratch.blocks[(row - 1) % 2], new, out[row - 1])
