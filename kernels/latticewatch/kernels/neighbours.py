"""Which place lies one lattice vector away from which, by buckets instead of a search tree."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

# Marks in the table of links; a place never has these numbers.
NOBODY = -1
OUTSIDE = -2


class Buckets(NamedTuple):
    """Squares that cover a frame, each with a chained list of the places in it.

    Attributes
    ----------
    edge_px
        Edge of a square.
    heads : (R, C)
        First place of each square, -1 where it is empty.
    following : (N,)
        Next place of the same square, -1 at the end.
    """

    edge_px: float
    heads: NDArray[np.int32]
    following: NDArray[np.int32]


def make_buckets(frame_yx: tuple[int, int], edge_px: float, most_places: int) -> Buckets:
    """Allocate the squares of a frame, to be filled again and again."""
    rows, columns = (int(side / edge_px) + 1 for side in frame_yx)
    heads = np.empty((rows, columns), np.int32)
    return Buckets(edge_px, heads, np.empty(most_places, np.int32))


@kernel
def _square_of(y: float, x: float, buckets: Buckets) -> tuple[int, int]:
    rows, columns = buckets.heads.shape
    row = min(max(int(y / buckets.edge_px), 0), rows - 1)
    column = min(max(int(x / buckets.edge_px), 0), columns - 1)
    return row, column


@kernel
def _put(place: int, row: int, column: int, buckets: Buckets) -> None:
    buckets.following[place] = buckets.heads[row, column]
    buckets.heads[row, column] = place


@kernel
def _take(place: int, row: int, column: int, buckets: Buckets) -> None:
    if buckets.heads[row, column] == place:
        buckets.heads[row, column] = buckets.following[place]
        return
    before = buckets.heads[row, column]
    while buckets.following[before] != place:
        before = buckets.following[before]
    buckets.following[before] = buckets.following[place]


@kernel
def fill_buckets(places_yx: NDArray[np.float64], buckets: Buckets) -> None:
    """Sort places into the squares; the last place comes first in each.

    Parameters
    ----------
    places_yx : (N, 2)
        Positions inside the frame, pixels; N at most the length of `following`.
    buckets
        Overwritten.
    """
    buckets.heads[:] = -1
    for place in range(places_yx.shape[0]):
        row, column = _square_of(places_yx[place, 0], places_yx[place, 1], buckets)
        _put(place, row, column, buckets)


@kernel
def nearest_place(
    target_y: float,
    target_x: float,
    places_yx: NDArray[np.float64],
    reach_px: float,
    buckets: Buckets,
) -> int:
    """Return the nearest place strictly within `reach_px` (at most an edge) of a target, or -1."""
    rows, columns = buckets.heads.shape
    row, column = int(target_y / buckets.edge_px), int(target_x / buckets.edge_px)
    best, best_square = -1, reach_px * reach_px
    for r in range(max(row - 1, 0), min(row + 2, rows)):
        for c in range(max(column - 1, 0), min(column + 2, columns)):
            place = buckets.heads[r, c]
            while place >= 0:
                dy = places_yx[place, 0] - target_y
                dx = places_yx[place, 1] - target_x
                if dy * dy + dx * dx < best_square:
                    best, best_square = place, dy * dy + dx * dx
                place = buckets.following[place]
    return best


@kernel
def link_places(
    places_yx: NDArray[np.float64],
    vectors_yx: NDArray[np.float64],
    reach_px: float,
    frame_yx: tuple[int, int],
    buckets: Buckets,
    links: NDArray[np.int32],
) -> None:
    """Find who sits one lattice vector away from each place.

    Parameters
    ----------
    places_yx : (N, 2)
        As they were put into `buckets`.
    vectors_yx : (V, 2)
        Lattice vectors, pixels.
    reach_px
        Farthest that a neighbour may be from the predicted point; at most the edge of a bucket.
    frame_yx
        Rows and columns; a point closer than one pixel to the edge counts as outside.
    buckets
        Filled with these places.
    links : (N, V)
        Receives the neighbour's number, `NOBODY` (-1), or `OUTSIDE` (-2) the frame.
    """
    height, width = frame_yx
    for place in range(places_yx.shape[0]):
        for vector in range(vectors_yx.shape[0]):
            y = places_yx[place, 0] + vectors_yx[vector, 0]
            x = places_yx[place, 1] + vectors_yx[vector, 1]
            if not (y >= 1 and x >= 1 and y <= height - 2 and x <= width - 2):
                links[place, vector] = -2
                continue
            links[place, vector] = nearest_place(y, x, places_yx, reach_px, buckets)


@kernel
def group_points(
    points_yx: NDArray[np.float64], reach_px: float, buckets: Buckets, groups: NDArray[np.int32]
) -> int:
    """Gather points around the first of each group: greedy, in the order given.

    Parameters
    ----------
    points_yx : (N, 2)
        Pixels, inside the frame of the buckets.
    reach_px
        A point joins the group with the nearest running mean, if that is nearer than this.
    buckets
        Scratch for N places, overwritten; their edge is `reach_px` or more. A search through all
        groups took 210 ms for the 24,000 points of a torn crystal in 4096 x 4096 px, this takes 2.
    groups : (N,)
        Receives the number of each point's group.

    Returns
    -------
    int
        How many groups there are.
    """
    n_points = points_yx.shape[0]
    centre = np.empty((n_points, 2), np.float64)
    members = np.zeros(n_points, np.int32)
    buckets.heads[:] = -1
    n_groups = 0
    for point in range(n_points):
        y, x = points_yx[point, 0], points_yx[point, 1]
        best = nearest_place(y, x, centre, reach_px, buckets)
        if best < 0:
            best = n_groups
            n_groups += 1
            centre[best, 0], centre[best, 1] = y, x
            row, column = _square_of(y, x, buckets)
            _put(best, row, column, buckets)
        else:
            # The mean may leave its square, so the group is put in anew.
            row, column = _square_of(centre[best, 0], centre[best, 1], buckets)
            _take(best, row, column, buckets)
            centre[best, 0] += (y - centre[best, 0]) / (members[best] + 1)
            centre[best, 1] += (x - centre[best, 1]) / (members[best] + 1)
            row, column = _square_of(centre[best, 0], centre[best, 1], buckets)
            _put(best, row, column, buckets)
        members[best] += 1
        groups[point] = best
    return n_groups
