"""Lines along which a grid passes through zero."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _link(links: NDArray[np.int32], one: int, two: int) -> None:
    """Note that two crossings follow each other on a line."""
    links[one, 0 if links[one, 0] < 0 else 1] = two
    links[two, 0 if links[two, 0] < 0 else 1] = one


@kernel
def _link_cell(level: NDArray[np.float64], y: int, x: int, links: NDArray[np.int32]) -> None:
    """Link the crossings on the four edges of a cell: none, two or four."""
    height, width = level.shape
    corners = (level[y, x], level[y, x + 1], level[y + 1, x + 1], level[y + 1, x])
    # Written so that a NaN fails: a cell with one holds no line.
    if not abs(corners[0] + corners[1] + corners[2] + corners[3]) < np.inf:
        return
    # Edges top, right, bottom, left; horizontal ones are numbered first.
    vertical = height * width
    edges = (
        y * width + x,
        vertical + y * width + x + 1,
        (y + 1) * width + x,
        vertical + y * width + x,
    )
    crossed = np.zeros(4, np.bool_)
    n_crossed = 0
    for side in range(4):
        crossed[side] = (corners[side] > 0.0) != (corners[(side + 1) % 4] > 0.0)
        n_crossed += crossed[side]
    if n_crossed == 2:
        first = -1
        for side in range(4):
            if crossed[side] and first < 0:
                first = side
            elif crossed[side]:
                _link(links, edges[first], edges[side])
    elif n_crossed == 4:
        # A saddle: the middle of the cell belongs with two opposite corners.
        middle = corners[0] + corners[1] + corners[2] + corners[3]
        if (middle > 0.0) == (corners[0] > 0.0):
            _link(links, edges[0], edges[1])
            _link(links, edges[2], edges[3])
        else:
            _link(links, edges[3], edges[0])
            _link(links, edges[1], edges[2])


@kernel
def _crossing(level: NDArray[np.float64], edge: int, out: NDArray[np.float64]) -> None:
    """Place [y, x] where an edge passes through zero, linear between its ends."""
    height, width = level.shape
    is_vertical = edge >= height * width
    corner = edge - height * width if is_vertical else edge
    y, x = corner // width, corner % width
    here = level[y, x]
    there = level[y + 1, x] if is_vertical else level[y, x + 1]
    share = here / (here - there)
    out[0] = y + share if is_vertical else y
    out[1] = x if is_vertical else x + share


@kernel
def _walk(
    level: NDArray[np.float64],
    links: NDArray[np.int32],
    start: int,
    taken: NDArray[np.bool_],
    points: NDArray[np.float64],
) -> int:
    """Follow a line from one of its crossings; return how many it has."""
    n_points = 0
    previous, edge = -1, start
    while edge >= 0 and not taken[edge]:
        taken[edge] = True
        _crossing(level, edge, points[n_points])
        n_points += 1
        following = links[edge, 0] if links[edge, 0] != previous else links[edge, 1]
        previous, edge = edge, following
    return n_points


@kernel
def zero_lines(
    level: NDArray[np.float64],
    links: NDArray[np.int32],
    points: NDArray[np.float64],
    ends: NDArray[np.int32],
) -> int:
    """Trace the lines along which a grid passes through zero (marching squares).

    Parameters
    ----------
    level : (H, W)
        NaN where nothing is known: no line passes beside it. Infinities count as that, too.
    links : (2 H W, 2)
        Scratch.
    points : (2 H W, 2)
        Receives the places [y, x] of all lines, one line after the other, in places of the grid.
        Places follow each other along the line; those of a closed line do not repeat the first.
    ends : (2 H W,)
        Receives the end of each line in `points`; negative for a closed line.

    Returns
    -------
    int
        Number of lines.
    """
    height, width = level.shape
    links[:] = -1
    for y in range(height - 1):
        for x in range(width - 1):
            _link_cell(level, y, x, links)
    taken = np.zeros(len(links), np.bool_)
    n_points, n_lines = 0, 0
    # Open lines first, each from an end; what is left are closed ones.
    for closed in range(2):
        for edge in range(len(links)):
            n_links = int(links[edge, 0] >= 0) + int(links[edge, 1] >= 0)
            if taken[edge] or n_links == 0 or (n_links == 2 and closed == 0):
                continue
            n_points += _walk(level, links, edge, taken, points[n_points:])
            ends[n_lines] = -n_points if closed else n_points
            n_lines += 1
    return n_lines
