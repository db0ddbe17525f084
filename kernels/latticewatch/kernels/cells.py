"""The unit cell of a frame: where in the cell each pixel lies, its mean, and the frame it predicts.

A cell has 128 x 128 bins along both lattice vectors; pixel r lies at u = frac(g.r + phase(r)).
"""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

# A power of two: the bin is the leading bits of a fraction of 2^32, and whole cells fall away by
# themselves. At 25 pixels a period a bin is 0.2 pixels.
CELL_BINS = 128
_BITS = 7
_FRACTION = 4294967296.0  # 2^32


@kernel
def _fixed(value: float) -> np.uint32:
    """Return the fraction of a number as 32 bits."""
    return np.uint32(np.int64(np.floor((value - np.floor(value)) * _FRACTION)) & 0xFFFFFFFF)


@kernel
def _fill_piece(
    start: tuple[np.uint32, np.uint32], step: tuple[np.uint32, np.uint32], out: NDArray[np.uint16]
) -> None:
    """Write the bins of consecutive pixels between which both cell coordinates grow evenly."""
    shift = np.uint32(32 - _BITS)
    for x in range(len(out)):
        along_a = np.uint32(start[0] + np.uint32(x) * step[0]) >> shift
        along_b = np.uint32(start[1] + np.uint32(x) * step[1]) >> shift
        out[x] = np.uint16((along_a << np.uint32(_BITS)) | along_b)


@kernel
def cell_index(
    reciprocal_per_px: NDArray[np.float64],
    phase: NDArray[np.float32],
    step: float,
    out: NDArray[np.uint16],
) -> None:
    """Bin of the unit cell that each pixel lies in.

    Parameters
    ----------
    reciprocal_per_px : (2, 2)
        Reciprocal vectors, rows [gy, gx], cycles per pixel.
    phase : (2, h, w)
        Slow part of both cell coordinates in turns, at the centres of blocks of `step` pixels, at
        least 2 x 2; linear between them, and beyond the outer ones.
    step
        Side of a block, pixels; of a binned frame not always whole.
    out : (H, W)
        Receives 128 times the bin along the first vector plus the bin along the second.
    """
    height, width = out.shape
    _, n_rows, n_columns = phase.shape
    if min(n_rows, n_columns) < 2:
        raise ValueError("phase must have at least 2 x 2 blocks")
    nodes = np.empty((2, n_columns), np.float64)
    for y in range(height):
        place = (y + 0.5) / step - 0.5
        above = min(max(int(place), 0), n_rows - 2)
        share = place - above
        for axis in range(2):
            for column in range(n_columns):
                # Doubles: beyond the last block a rounded difference would grow with the distance.
                upper = np.float64(phase[axis, above, column])
                lower = np.float64(phase[axis, above + 1, column])
                nodes[axis, column] = upper + share * (lower - upper)
        for node in range(n_columns - 1):
            # Where two pieces meet both give the same, so that the very pixel does not matter.
            begin = 0 if node == 0 else min(int((node + 0.5) * step), width)
            end = width if node == n_columns - 2 else min(int((node + 1.5) * step), width)
            slope_a = (nodes[0, node + 1] - nodes[0, node]) / step
            slope_b = (nodes[1, node + 1] - nodes[1, node]) / step
            ahead_px = begin + 0.5 - (node + 0.5) * step
            u_a = reciprocal_per_px[0, 0] * y + reciprocal_per_px[0, 1] * begin
            u_b = reciprocal_per_px[1, 0] * y + reciprocal_per_px[1, 1] * begin
            u_a += nodes[0, node] + slope_a * ahead_px
            u_b += nodes[1, node] + slope_b * ahead_px
            grow = (
                _fixed(reciprocal_per_px[0, 1] + slope_a),
                _fixed(reciprocal_per_px[1, 1] + slope_b),
            )
            _fill_piece((_fixed(u_a), _fixed(u_b)), grow, out[y, begin:end])


@kernel
def add_to_cell(
    image: NDArray[np.float32],
    index: NDArray[np.uint16],
    used: NDArray[np.uint8],
    total: NDArray[np.float64],
    count: NDArray[np.int64],
) -> None:
    """Add the pixels of a frame to the bins of its cell.

    Parameters
    ----------
    image : (H, W)
        Finite.
    index : (H, W)
        From `cell_index`.
    used : (H, W)
        1, or 0 for a pixel to leave out.
    total, count : (128 * 128,)
        Receive sum and number of the pixels of each bin, added to what is there.
    """
    height, width = image.shape
    for y in range(height):
        for x in range(width):
            bin_ = index[y, x]
            weight = used[y, x]
            total[bin_] += np.float64(weight * image[y, x])
            count[bin_] += weight


@kernel
def predict(index: NDArray[np.uint16], cell: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Write the value of each pixel's bin.

    Parameters
    ----------
    index : (H, W)
        From `cell_index`.
    cell : (128 * 128,)
        Mean cell.
    out : (H, W)
        Receives the frame that the cell predicts.
    """
    height, width = index.shape
    for y in range(height):
        for x in range(width):
            out[y, x] = cell[index[y, x]]


@kernel
def _node_share(at_px: float, step: float, n_nodes: int) -> tuple[int, float]:
    """Node before a place and the share of the next; as far beyond the outer ones as the frame."""
    # Behind the last whole block up to a block of pixels is left: one and a half steps. The bound
    # comes first, for of max(NaN, bound) NaN is left, which is no index.
    place = min(max(-1.5, (at_px + 0.5) / step - 0.5), n_nodes + 0.5)
    node = min(max(int(np.floor(place)), 0), n_nodes - 2)
    return node, place - node


@kernel
def place_cells(
    wanted: NDArray[np.float64],
    basis_px: NDArray[np.float64],
    phase: NDArray[np.float32],
    step: float,
    out: NDArray[np.float64],
) -> None:
    """Find where cell coordinates lie in the frame: solves g.r + phase(r) = u for r.

    Parameters
    ----------
    wanted : (N, 2)
        Cell coordinates u, whole and fractional part.
    basis_px : (2, 2)
        Lattice vectors, rows, pixels.
    phase : (2, h, w)
        As in `cell_index`.
    step
        Side of a block, pixels.
    out : (N, 2)
        Receives [y, x] in pixels. At most four steps of fixed-point iteration, until one moves a
        place by less than 1e-5 pixels: where the phase changes by 1 % of a turn per lattice vector,
        each leaves a hundredth of the one before.
    """
    _, n_rows, n_columns = phase.shape
    if min(n_rows, n_columns) < 2:
        raise ValueError("phase must have at least 2 x 2 blocks")
    for site in range(len(wanted)):
        u_a, u_b = wanted[site, 0], wanted[site, 1]
        y = u_a * basis_px[0, 0] + u_b * basis_px[1, 0]
        x = u_a * basis_px[0, 1] + u_b * basis_px[1, 1]
        for _ in range(4):
            row, share_y = _node_share(y, step, n_rows)
            column, share_x = _node_share(x, step, n_columns)
            left_a, left_b = u_a, u_b
            for k in range(4):
                to_y, to_x = k // 2, k % 2
                weight = share_y if to_y == 1 else 1.0 - share_y
                weight *= share_x if to_x == 1 else 1.0 - share_x
                left_a -= weight * phase[0, row + to_y, column + to_x]
                left_b -= weight * phase[1, row + to_y, column + to_x]
            before_y, before_x = y, x
            y = left_a * basis_px[0, 0] + left_b * basis_px[1, 0]
            x = left_a * basis_px[0, 1] + left_b * basis_px[1, 1]
            # Each step leaves a hundredth, at most, of the one before.
            if abs(y - before_y) + abs(x - before_x) < 1e-5:
                break
        out[site, 0], out[site, 1] = y, x
