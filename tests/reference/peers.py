"""What latticewatch.kernels.peers computes, spelled out with graphs and plain loops."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

Wide = NDArray[np.float64]


def groups(places: Wide, reach_px: float) -> list[int]:
    """Group of each place, numbered in the order of their first places."""
    if not len(places):
        return []
    labels = connected_components(cdist(places, places) <= reach_px, directed=False)[1]
    order: dict[int, int] = {}
    return [order.setdefault(int(label), len(order)) for label in labels]


def kept(places: Wide, scores: Wide, is_moved: NDArray[np.bool_], rings: Wide) -> list[bool]:
    """Which stay beside the stronger ones that stay."""
    stays: list[bool] = []
    for later in range(len(places)):
        apart = np.linalg.norm(places[:later] - places[later], axis=1)
        stands = True
        for earlier in np.flatnonzero(stays):
            inside = np.flatnonzero(apart[earlier] <= rings[:, 0])
            if len(inside):
                kind = 1 + int(is_moved[later]) + int(is_moved[later] and is_moved[earlier])
                stands &= bool(scores[later] >= rings[inside[0], kind] * scores[earlier])
        stays.append(stands)
    return stays
