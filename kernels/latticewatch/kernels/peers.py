"""Places near each other: which belong together, and which are but another's surroundings."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _root(parents: NDArray[np.int64], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


@kernel
def group_near(places: NDArray[np.float64], reach_px: float, groups: NDArray[np.int64]) -> int:
    """Put places into groups that are linked by steps of no more than so much.

    All pairs are looked at: meant for hundreds of places, two milliseconds at two thousand.

    Parameters
    ----------
    places : (N, 2)
        [y, x], pixels. One that is NaN is a group of its own.
    reach_px
        Pixels.
    groups : (N,)
        Receives the group of each place, numbered from 0 in the order of their first places.

    Returns
    -------
    int
        How many groups there are.
    """
    n_places = len(places)
    parents = np.empty(n_places, np.int64)
    square = reach_px * reach_px
    for place in range(n_places):
        parents[place] = place
        for other in range(place):
            y = places[place, 0] - places[other, 0]
            x = places[place, 1] - places[other, 1]
            if y * y + x * x <= square:
                one, two = _root(parents, place), _root(parents, other)
                # The first place of a group is its root.
                parents[max(one, two)] = min(one, two)
    n_groups = 0
    for place in range(n_places):
        root = _root(parents, place)
        if root == place:
            groups[place] = n_groups
            n_groups += 1
        else:
            groups[place] = groups[root]
    return n_groups


@kernel
def keep_peers(
    places: NDArray[np.float64],
    scores: NDArray[np.float64],
    is_moved: NDArray[np.bool_],
    rings: NDArray[np.float64],
    kept: NDArray[np.bool_],
) -> None:
    """Drop what is too weak beside something stronger.

    Parameters
    ----------
    places : (N, 2)
        [y, x], strongest first.
    scores : (N,)
        How strong each is.
    is_moved : (N,)
        Of two kinds, which.
    rings : (R, 4)
        Outer radius of rings round a place, smallest first, same unit as places; share of its score
        that another one in the ring must have: one that has not moved, one that has beside one that
        has not, and both moved.
    kept : (N,)
        Receives which stay. One that is dropped drops no other.
    """
    most = rings[len(rings) - 1, 0]
    for later in range(len(places)):
        kept[later] = True
        for earlier in range(later):
            if not kept[earlier]:
                continue
            apart = np.hypot(
                places[later, 0] - places[earlier, 0], places[later, 1] - places[earlier, 1]
            )
            if not apart <= most:
                continue
            ring = 0
            while apart > rings[ring, 0]:
                ring += 1
            column = 1
            if is_moved[later]:
                column = 3 if is_moved[earlier] else 2
            if not scores[later] >= rings[ring, column] * scores[earlier]:
                kept[later] = False
                break
