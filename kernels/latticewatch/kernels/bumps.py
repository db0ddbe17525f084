"""Bumps between the columns of a crystal: where a filtered residual is highest."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.cells import CELL_BINS
from latticewatch.kernels.jit import kernel


@kernel
def mark_ground(
    fractions: NDArray[np.float64],
    basis_px: NDArray[np.float64],
    reach_px: float,
    out: NDArray[np.bool_],
) -> None:
    """Tell which bins of a cell lie farther than so much from all columns.

    Parameters
    ----------
    fractions : (S, 2)
        Columns of the cell.
    basis_px : (2, 2)
        Lattice vectors, rows, Gauss reduced.
    reach_px
        Pixels.
    out : (128 * 128,)
        Receives the answer for the middle of every second bin both ways, and for the bins beside
        it: a fifth of a pixel at a period of 25.
    """
    aa = basis_px[0, 0] ** 2 + basis_px[0, 1] ** 2
    bb = basis_px[1, 0] ** 2 + basis_px[1, 1] ** 2
    ab = 2.0 * (basis_px[0, 0] * basis_px[1, 0] + basis_px[0, 1] * basis_px[1, 1])
    for row in range(0, CELL_BINS, 2):
        for column in range(0, CELL_BINS, 2):
            least = np.inf
            for k in range(len(fractions)):
                a = (row + 1.0) / CELL_BINS - fractions[k, 0]
                b = (column + 1.0) / CELL_BINS - fractions[k, 1]
                # To the nearest copy along each vector; of a reduced cell the next ones are
                # farther, or so far that it does not matter.
                a, b = a - np.floor(a + 0.5), b - np.floor(b + 0.5)
                square = aa * a * a + ab * a * b + bb * b * b
                least = min(least, square)
                for away in (-1.0, 1.0):
                    least = min(least, square + away * (2.0 * aa * a + ab * b) + aa)
                    least = min(least, square + away * (2.0 * bb * b + ab * a) + bb)
            answer = least > reach_px * reach_px
            for k in range(2):
                at = (row + k) * CELL_BINS + column
                out[at], out[at + 1] = answer, answer


@kernel
def _mark_tops(image: NDArray[np.float32], y: int, out: NDArray[np.uint8]) -> None:
    """Mark pixels of a row, but its ends, that are beyond their eight neighbours."""
    # Unsigned indices and no branch: most of what is looked for is there, one pixel in twenty.
    row, one = np.uint64(y), np.uint64(1)
    for k in range(np.uint64(max(image.shape[1] - 2, 0))):
        x = k + one
        value = image[row, x]
        rules = (value > image[row - one, k]) & (value > image[row - one, x])
        rules &= (value > image[row - one, x + one]) & (value > image[row, k])
        rules &= (value >= image[row, x + one]) & (value >= image[row + one, k])
        rules &= (value >= image[row + one, x]) & (value >= image[row + one, x + one])
        out[x] = np.uint8(rules)


@kernel
def _rules(image: NDArray[np.float32], y: int, x: int, radius_px: int) -> bool:
    """Tell whether no pixel of the window is beyond (y, x), nor equals it and comes first."""
    value = image[y, x]
    for row in range(max(y - radius_px, 0), min(y + radius_px + 1, image.shape[0])):
        for column in range(max(x - radius_px, 0), min(x + radius_px + 1, image.shape[1])):
            other = image[row, column]
            comes_first = row < y or (row == y and column < x)
            if other > value or (comes_first and other == value):
                return False
    return True


@kernel
def find_bumps(
    image: NDArray[np.float32],
    bins: NDArray[np.uint16],
    ground: NDArray[np.bool_],
    lengths_px: tuple[int, int],
    out: NDArray[np.int32],
) -> int:
    """Find pixels between columns that are higher than all others of the square round them.

    Parameters
    ----------
    image : (H, W)
        Finite.
    bins : (H, W)
        From `cells.cell_index`.
    ground : (128 * 128,)
        From `mark_ground`: bins that are looked at.
    lengths_px
        Half the side of the square, at least 1; how many rows and columns along the edge of the
        frame are compared with and not reported, at least 1.
    out : (N, 2)
        Receives [y, x] in row-major order; of equal pixels the first counts.

    Returns
    -------
    int
        How many were found, which may be more than N: then the last ones were left out.
    """
    radius_px, border_px = lengths_px
    height, width = image.shape
    tops = np.empty(width, np.uint8)
    places = np.empty(width, np.int32)
    n_found = 0
    for y in range(border_px, height - border_px):
        _mark_tops(image, y, tops)
        n_tops = 0
        for x in range(border_px, width - border_px):
            places[n_tops] = x
            n_tops += tops[x]
        for k in range(n_tops):
            x = places[k]
            if not ground[bins[y, x]]:
                continue
            if radius_px > 1 and not _rules(image, y, x, radius_px):
                continue
            if n_found < len(out):
                out[n_found, 0], out[n_found, 1] = y, x
            n_found += 1
    return n_found


@kernel
def ground_near(
    frame: tuple[NDArray[np.float32], NDArray[np.float32]],
    bins: NDArray[np.uint16],
    ground: NDArray[np.bool_],
    places: NDArray[np.float64],
    reach_px: tuple[float, float],
    out: NDArray[np.float64],
) -> None:
    """Mean residual of the ground round each place, weighted, and its error.

    Parameters
    ----------
    frame
        Residual and precision (H, W) each.
    bins : (H, W)
        Bin of the cell that each pixel lies in.
    ground : (128 * 128,)
        From `mark_ground`.
    places : (M, 2)
        [y, x], pixels.
    reach_px
        Radius of a disc round the place that is left out, and half the side of the square round it
        that is looked at.
    out : (M, 2)
        Receives mean and standard error; infinite where there is no ground.
    """
    residual, precision = frame
    inner, outer = reach_px
    height, width = residual.shape
    for k in range(len(places)):
        middle_y, middle_x = places[k, 0], places[k, 1]
        top, bottom = max(int(middle_y - outer), 0), min(int(middle_y + outer) + 1, height)
        left, right = max(int(middle_x - outer), 0), min(int(middle_x + outer) + 1, width)
        weight, total = 0.0, 0.0
        for y in range(top, bottom):
            for x in range(left, right):
                square = (y - middle_y) ** 2 + (x - middle_x) ** 2
                if ground[bins[y, x]] and square >= inner * inner:
                    weight += precision[y, x]
                    total += precision[y, x] * residual[y, x]
        out[k, 0] = total / weight if weight > 0.0 else 0.0
        out[k, 1] = 1.0 / np.sqrt(weight) if weight > 0.0 else np.inf
