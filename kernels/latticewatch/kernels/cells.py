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
# 1.5 * 2^20: of a double between 2^20 and 2^21 the last 32 bits are the fraction in units of 2^-32.
_LAST_BITS = 1572864.0


@kernel
def _fixed(value: float) -> np.uint32:
    """Return the fraction of a number as 32 bits."""
    # Read off the bits: 3 times as fast as a product and a conversion.
    bits = np.float64(value - np.floor(value) + _LAST_BITS).view(np.int64)
    return np.uint32(bits & np.int64(0xFFFFFFFF))


@kernel
def _fill_piece(start: np.uint32, step: np.uint32, out: NDArray[np.uint32]) -> None:
    """Write a coordinate that grows evenly."""
    for x in range(len(out)):
        out[x] = np.uint32(start + np.uint32(x) * step)


@kernel
def _start_blocks(
    reciprocal: tuple[float, float],
    phase: NDArray[np.float32],
    step: float,
    y: int,
    above: int,
    lines: NDArray[np.uint32],
) -> None:
    """Fill a cell coordinate along row y, and by how much it grows to the next row.

    Between two rows of blocks phase is linear along y at each pixel, so that whole rows of
    pixels follow by sums of whole numbers.
    """
    n_columns, width = phase.shape[1], lines.shape[1]
    share = (y + 0.5) / step - 0.5 - above
    upper, lower = phase[above], phase[above + 1]
    for node in range(n_columns - 1):
        # Where two pieces meet both give the same, so that the very pixel does not matter.
        begin = 0 if node == 0 else min(int((node + 0.5) * step), width)
        end = width if node == n_columns - 2 else min(int((node + 1.5) * step), width)
        # Doubles: beyond the last block a rounded difference would grow with the distance.
        left, right = np.float64(upper[node]), np.float64(upper[node + 1])
        down, down_right = np.float64(lower[node]) - left, np.float64(lower[node + 1]) - right
        slope = (right - left) / step
        bend = (down_right - down) / step
        ahead_px = begin + 0.5 - (node + 0.5) * step
        at = reciprocal[0] * y + reciprocal[1] * begin
        at += left + slope * ahead_px + share * (down + bend * ahead_px)
        grow = reciprocal[0] + (down + bend * ahead_px) / step
        step_x = reciprocal[1] + slope + share * bend
        _fill_piece(_fixed(at), _fixed(step_x), lines[0, begin:end])
        _fill_piece(_fixed(grow), _fixed(bend / step), lines[1, begin:end])


@kernel
def _bins_of_row(
    along_a: NDArray[np.uint32],
    grow_a: NDArray[np.uint32],
    along_b: NDArray[np.uint32],
    grow_b: NDArray[np.uint32],
    out: NDArray[np.uint16],
) -> None:
    """Write the bins of a row, and go on to the next one."""
    shift, bits = np.uint32(32 - _BITS), np.uint32(_BITS)
    for x in range(len(out)):
        a, b = along_a[x], along_b[x]
        out[x] = np.uint16(((a >> shift) << bits) | (b >> shift))
        along_a[x] = np.uint32(a + grow_a[x])
        along_b[x] = np.uint32(b + grow_b[x])


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
    lines = np.empty((4, width), np.uint32)
    y = 0
    for above in range(n_rows - 1):
        is_last = above == n_rows - 2
        end = height if is_last else min(int(np.ceil((above + 1.5) * step - 0.5)), height)
        if y >= end:
            continue
        for axis in range(2):
            wave = reciprocal_per_px[axis, 0], reciprocal_per_px[axis, 1]
            _start_blocks(wave, phase[axis], step, y, above, lines[2 * axis : 2 * axis + 2])
        while y < end:
            _bins_of_row(lines[0], lines[1], lines[2], lines[3], out[y])
            y += 1


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
def leave_out(
    image: NDArray[np.float32],
    index: NDArray[np.uint16],
    used: NDArray[np.uint8],
    boxes: NDArray[np.int64],
    total: NDArray[np.float64],
    count: NDArray[np.int64],
) -> int:
    """Leave rectangles out of a frame, and their pixels out of its cell.

    Parameters
    ----------
    image, index : (H, W)
        As in `add_to_cell`.
    used : (H, W)
        Receives 0 in the rectangles.
    boxes : (N, 4)
        First row and the one behind the last, the same of columns; cut off at the edge.
    total, count : (128 * 128,)
        As `add_to_cell` left them for these pixels, which are taken away from them.

    Returns
    -------
    int
        How many pixels were left out that were not before.
    """
    height, width = image.shape
    n_left_out = 0
    for k in range(len(boxes)):
        for y in range(max(boxes[k, 0], 0), min(boxes[k, 1], height)):
            for x in range(max(boxes[k, 2], 0), min(boxes[k, 3], width)):
                if used[y, x] == 0:
                    continue
                bin_ = index[y, x]
                total[bin_] -= np.float64(image[y, x])
                count[bin_] -= 1
                used[y, x] = 0
                n_left_out += 1
    return n_left_out


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
def place_cell(
    wanted: tuple[float, float],
    basis_px: NDArray[np.float64],
    phase: NDArray[np.float32],
    step: float,
) -> tuple[float, float]:
    """Find where one cell coordinate lies; parameters as in `place_cells`."""
    _, n_rows, n_columns = phase.shape
    u_a, u_b = wanted
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
    return y, x


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
        one = wanted[site, 0], wanted[site, 1]
        out[site, 0], out[site, 1] = place_cell(one, basis_px, phase, step)
