"""The tile deepest inside the clean part of a frame: the weighted neighbourhood of the paper."""

import numpy as np
from numpy.typing import NDArray

_MOST_STEPS = 10  # k of the paper
_SIDES = ((-1, 0), (0, -1), (0, 1), (1, 0))
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def best_patch(clean: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Row and column of the clean tile with the most clean neighbours; None of no clean tile.

    Parameters
    ----------
    clean : (R, C)
        Any rectangle.

    Notes
    -----
    W = sum over i of N_i 8^(1 - i) / i!, with N_i the tiles exactly i steps away (Dennler et al.).
    One neighbour of order i outweighs all later orders together, so the largest W is the
    lexicographic maximum of (N_1, N_2, ...) (methods/symmetry.md 2.4). Steps go over sides; where
    no tile has such a neighbour, over corners too. Of equals the first in row-major order wins.

    Examples
    --------
    >>> best_patch(np.array([[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 1]], bool))
    (1, 1)
    """
    if not clean.any():
        return None
    counts = _neighbours(clean, _SIDES)
    if not any(any(each) for each in counts.values()):
        counts = _neighbours(clean, _SIDES + _CORNERS)
    # max() keeps the first of equals, and tiles were entered row by row.
    return max(counts, key=lambda tile: counts[tile])


def _neighbours(
    clean: NDArray[np.bool_], steps: tuple[tuple[int, int], ...]
) -> dict[tuple[int, int], list[int]]:
    """Tiles at distance 1, 2, ..., 10 from each clean tile."""
    tiles = [(int(row), int(column)) for row, column in np.argwhere(clean)]
    return {tile: _shells(tile, set(tiles), steps) for tile in tiles}


def _shells(
    start: tuple[int, int], tiles: set[tuple[int, int]], steps: tuple[tuple[int, int], ...]
) -> list[int]:
    seen, shell, counts = {start}, {start}, []
    for _ in range(_MOST_STEPS):
        shell = {(row + dy, column + dx) for row, column in shell for dy, dx in steps}
        shell = (shell & tiles) - seen
        seen |= shell
        counts.append(len(shell))
    return counts
