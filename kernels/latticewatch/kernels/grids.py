"""Grids of blocks: sums over square blocks, and what is known of blocks brought to pixels."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.smooth import mirrored

N_MOMENTS = 5


@kernel
def block_moments(
    image: NDArray[np.float32],
    model: NDArray[np.float32],
    used: NDArray[np.uint8],
    step: int,
    out: NDArray[np.float32],
) -> None:
    """Add up over blocks what a local regression of frame on model needs.

    Parameters
    ----------
    image, model : (H, W)
        Finite, near zero on average, so that squares keep their digits.
    used : (H, W)
        1, or 0 for a pixel to leave out.
    step
        Side of a block, pixels.
    out : (5, H // step, W // step)
        Receives the sums of 1, model, image, model^2, model x image, divided by the pixels of a
        block.
    """
    _, n_rows, n_columns = out.shape
    width = n_columns * step
    sums = np.empty((N_MOMENTS, width), np.float32)
    scale = np.float32(1.0 / (step * step))
    for block in range(n_rows):
        sums[:] = np.float32(0.0)
        ones, models, images, squares, products = sums[0], sums[1], sums[2], sums[3], sums[4]
        for y in range(block * step, (block + 1) * step):
            row, predicted, weights = image[y], model[y], used[y]
            for x in range(width):
                weight = np.float32(weights[x])
                m = weight * predicted[x]
                ones[x] += weight
                models[x] += m
                images[x] += weight * row[x]
                squares[x] += m * predicted[x]
                products[x] += m * row[x]
        for moment in range(N_MOMENTS):
            for column in range(n_columns):
                total = np.float32(0.0)
                for x in range(column * step, (column + 1) * step):
                    total += sums[moment, x]
                out[moment, block, column] = total * scale


@kernel
def block_means(image: NDArray[np.float32], step: int, out: NDArray[np.float32]) -> None:
    """Average over square blocks.

    Parameters
    ----------
    image : (H, W)
        Finite.
    step
        Side of a block, pixels.
    out : (H // step, W // step)
        Receives the means.
    """
    n_rows, n_columns = out.shape
    sums = np.empty(n_columns * step, np.float32)
    scale = np.float32(1.0 / (step * step))
    for block in range(n_rows):
        sums[:] = np.float32(0.0)
        for r in range(step):
            row = image[block * step + r]
            for x in range(len(sums)):
                sums[x] += row[x]
        for column in range(n_columns):
            total = np.float32(0.0)
            for x in range(column * step, (column + 1) * step):
                total += sums[x]
            out[block, column] = total * scale


@kernel
def halve(image: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Average over squares of 2 x 2 pixels, a third of the time of `block_means`.

    Parameters
    ----------
    image : (H, W)
        Finite.
    out : (H // 2, W // 2)
        Receives the means.
    """
    n_rows, n_columns = out.shape
    sums = np.empty(2 * n_columns, np.float32)
    for y in range(n_rows):
        above, below, row = image[2 * y], image[2 * y + 1], out[y]
        for x in range(len(sums)):
            sums[x] = above[x] + below[x]
        for x in range(n_columns):
            row[x] = np.float32(0.25) * (sums[2 * x] + sums[2 * x + 1])


@kernel
def thin(image: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Keep a quarter of the pixels, low-passed with 1, 3, 3, 1 along both axes.

    Their variance is 0.75 square pixels; of what would fold onto slow waves a hundredth is left.

    Parameters
    ----------
    image : (H, W)
        Finite. Beyond the edge it is mirrored, edge pixel included.
    out : (H // 2, W // 2)
        Receives the low-passed image at the middle of each square of 2 x 2 pixels.
    """
    height, width = image.shape
    sums = np.empty(width, np.float32)
    three = np.float32(3.0)
    for y in range(out.shape[0]):
        above, one = image[mirrored(2 * y - 1, height)], image[2 * y]
        two, below = image[2 * y + 1], image[mirrored(2 * y + 2, height)]
        for x in range(width):
            sums[x] = above[x] + three * (one[x] + two[x]) + below[x]
        row = out[y]
        for x in range(out.shape[1]):
            left, right = sums[mirrored(2 * x - 1, width)], sums[mirrored(2 * x + 2, width)]
            inner = three * (sums[2 * x] + sums[2 * x + 1])
            row[x] = np.float32(1.0 / 64.0) * (left + inner + right)


@kernel
def _grid_row(grid: NDArray[np.float32], y: int, step: int, out: NDArray[np.float32]) -> None:
    """Row of a block grid at pixel row y: linear between block centres, flat beyond the last."""
    last = grid.shape[0] - 1
    place = min(max((y + 0.5) / step - 0.5, 0.0), np.float64(last))
    above = min(int(place), max(last - 1, 0))
    share = np.float32(place - above)
    upper, lower = grid[above], grid[min(above + 1, last)]
    for column in range(len(out)):
        out[column] = upper[column] + share * (lower[column] - upper[column])


@kernel
def _spread_row(nodes: NDArray[np.float32], step: int, out: NDArray[np.float32]) -> None:
    """Values at block centres to pixels, linear between them, flat beyond the first and last."""
    n_nodes, width = len(nodes), len(out)
    # The centre of block j lies at (j + 1/2) step - 1/2.
    for piece in range(-1, n_nodes):
        begin = 0 if piece < 0 else (2 * piece + 1) * step // 2
        end = width if piece == n_nodes - 1 else min((2 * piece + 3) * step // 2, width)
        left = nodes[max(piece, 0)]
        slope = np.float32(0.0)
        if 0 <= piece < n_nodes - 1:
            slope = (nodes[piece + 1] - left) / np.float32(step)
        start = np.float32(begin + 0.5 - (max(piece, 0) + 0.5) * step)
        part = out[begin:end]
        for x in range(len(part)):
            part[x] = left + slope * (start + np.float32(x))


@kernel
def subtract_grid(
    image: NDArray[np.float32], grid: NDArray[np.float32], step: int, out: NDArray[np.float32]
) -> None:
    """Subtract what is known at block centres, linear between them.

    Parameters
    ----------
    image, out : (H, W)
        May be the same array.
    grid : (h, w)
        Values at the centres of blocks of `step` pixels, as `block_means` gives; at least 1 x 1,
        flat beyond the outer ones.
    step
        Side of a block, pixels.
    """
    if grid.size == 0:
        raise ValueError("grid has no block: the frame must hold at least one")
    height, width = image.shape
    nodes = np.empty(grid.shape[1], np.float32)
    background = np.empty(width, np.float32)
    for y in range(height):
        _grid_row(grid, y, step, nodes)
        _spread_row(nodes, step, background)
        for x in range(width):
            out[y, x] = image[y, x] - background[x]


@kernel
def taper(
    image: NDArray[np.float32],
    grid: NDArray[np.float32],
    step: int,
    windows: tuple[NDArray[np.float32], NDArray[np.float32]],
    out: NDArray[np.float32],
) -> None:
    """Subtract a block grid as `subtract_grid` does, and fade the frame out towards its edges.

    Parameters
    ----------
    image, out : (H, W)
        May be the same array.
    grid : (h, w)
        Values at the centres of blocks of `step` pixels, at least 1 x 1.
    step
        Side of a block, pixels.
    windows : (H,), (W,)
        Factors of the rows and of the columns.
    """
    if grid.size == 0:
        raise ValueError("grid has no block: the frame must hold at least one")
    height, width = image.shape
    of_rows, of_columns = windows
    nodes = np.empty(grid.shape[1], np.float32)
    background = np.empty(width, np.float32)
    for y in range(height):
        _grid_row(grid, y, step, nodes)
        _spread_row(nodes, step, background)
        factor = of_rows[y]
        for x in range(width):
            out[y, x] = (image[y, x] - background[x]) * (factor * of_columns[x])


@kernel
def _between(
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    share: np.float32,
    out: NDArray[np.float32],
) -> None:
    for x in range(len(out)):
        out[x] = one[x] + share * (two[x] - one[x])


@kernel
def apply_gain(
    gain: NDArray[np.float32],
    offset: NDArray[np.float32],
    step: int,
    image: NDArray[np.float32],
    model: NDArray[np.float32],
    residual: NDArray[np.float32],
) -> None:
    """Bring a predicted frame to the local gain and offset, and subtract it.

    Parameters
    ----------
    gain, offset : (h, w)
        At the centres of blocks of `step` pixels, at least 1 x 1; linear between them, flat beyond
        the outer ones.
    step
        Side of a block, pixels.
    image : (H, W)
        The frame.
    model : (H, W)
        Predicted frame; receives gain * model + offset.
    residual : (H, W)
        Receives image - model.
    """
    if gain.size == 0 or offset.shape != gain.shape:
        raise ValueError("gain and offset must have one shape, and at least one block")
    height, width = image.shape
    last = gain.shape[0] - 1
    # Two rows of blocks brought to pixels, once for all rows between them: 4 times as fast.
    upper, lower = np.empty((2, width), np.float32), np.empty((2, width), np.float32)
    gains, offsets = np.empty(width, np.float32), np.empty(width, np.float32)
    spread = -1
    for y in range(height):
        place = min(max((y + 0.5) / step - 0.5, 0.0), np.float64(last))
        above = min(int(place), max(last - 1, 0))
        if above != spread:
            spread = above
            _spread_row(gain[above], step, upper[0])
            _spread_row(offset[above], step, upper[1])
            _spread_row(gain[min(above + 1, last)], step, lower[0])
            _spread_row(offset[min(above + 1, last)], step, lower[1])
        share = np.float32(place - above)
        _between(upper[0], lower[0], share, gains)
        _between(upper[1], lower[1], share, offsets)
        seen, predicted, left = image[y], model[y], residual[y]
        for x in range(width):
            value = gains[x] * predicted[x] + offsets[x]
            predicted[x] = value
            left[x] = seen[x] - value
