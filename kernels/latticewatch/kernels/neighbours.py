"""Which place lies one lattice vector away from which, by buckets instead of a search tree."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

# Marks in the table of links; a place never has these numbers.
NOBODY = -1
OUTSIDE = -2


@kernel
def fill_buckets(
    places_yx: NDArray[np.float64],
    bucket_px: float,
    heads: NDArray[np.int32],
    following: NDArray[np.int32],
) -> None:
    """Sort places into square buckets: a chained list in each, last place first.

    Parameters
    ----------
    places_yx : (N, 2)
        Positions inside the frame, pixels.
    bucket_px
        Edge of a bucket; `heads` must cover the frame with them.
    heads : (R, C)
        Receives the first place of each bucket, -1 where it is empty.
    following : (N,)
        Receives the next place of the same bucket, -1 at the end.
    """
    rows, columns = heads.shape
    heads[:] = -1
    for place in range(places_yx.shape[0]):
        row = min(max(int(places_yx[place, 0] / bucket_px), 0), rows - 1)
        column = min(max(int(places_yx[place, 1] / bucket_px), 0), columns - 1)
        following[place] = heads[row, column]
        heads[row, column] = place


@kernel
def nearest_place(
    target_y: float,
    target_x: float,
    places_yx: NDArray[np.float64],
    reach_px: float,
    bucket_px: float,
    heads: NDArray[np.int32],
    following: NDArray[np.int32],
) -> int:
    """Nearest place strictly within `reach_px` (at most one bucket) of a target, or -1."""
    rows, columns = heads.shape
    row, column = int(target_y / bucket_px), int(target_x / bucket_px)
    best, best_square = -1, reach_px * reach_px
    for r in range(max(row - 1, 0), min(row + 2, rows)):
        for c in range(max(column - 1, 0), min(column + 2, columns)):
            place = heads[r, c]
            while place >= 0:
                dy = places_yx[place, 0] - target_y
                dx = places_yx[place, 1] - target_x
                if dy * dy + dx * dx < best_square:
                    best, best_square = place, dy * dy + dx * dx
                place = following[place]
    return best


@kernel
def link_places(
    places_yx: NDArray[np.float64],
    vectors_yx: NDArray[np.float64],
    reach_px: float,
    frame_yx: tuple[int, int],
    bucket_px: float,
    heads: NDArray[np.int32],
    following: NDArray[np.int32],
    links: NDArray[np.int32],
) -> None:
    """For every place and every lattice vector: who sits at place + vector?

    Parameters
    ----------
    places_yx, bucket_px, heads, following
        As `fill_buckets` left them.
    vectors_yx : (V, 2)
        Lattice vectors, pixels.
    reach_px
        Farthest that a neighbour may be from the predicted point; at most `bucket_px`.
    frame_yx
        Rows and columns; a point closer than one pixel to the edge counts as outside.
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
            links[place, vector] = nearest_place(
                y, x, places_yx, reach_px, bucket_px, heads, following
            )


@kernel
def group_points(points_yx: NDArray[np.float64], reach_px: float, groups: NDArray[np.int32]) -> int:
    """Gather points around the first of each group: greedy, in the order given.

    Parameters
    ----------
    points_yx : (N, 2)
        Pixels. Cost grows with the square of N: meant for hundreds.
    reach_px
        Farthest from the running mean of a group that a point may join it.
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
    n_groups = 0
    for point in range(n_points):
        y, x = points_yx[point, 0], points_yx[point, 1]
        best, best_square = -1, reach_px * reach_px
        for group in range(n_groups):
            dy, dx = centre[group, 0] - y, centre[group, 1] - x
            if dy * dy + dx * dx < best_square:
                best, best_square = group, dy * dy + dx * dx
        if best < 0:
            best = n_groups
            n_groups += 1
            centre[best, 0], centre[best, 1] = y, x
            members[best] = 1
        else:
            members[best] += 1
            centre[best, 0] += (y - centre[best, 0]) / members[best]
            centre[best, 1] += (x - centre[best, 1]) / members[best]
        groups[point] = best
    return n_groups
