"""What latticewatch.kernels.neighbours computes, spelled out."""

import numpy as np
from numpy.typing import NDArray

NOBODY, OUTSIDE = -1, -2
Points = NDArray[np.float64]


def link_places(
    places_yx: Points, vectors_yx: Points, reach_px: float, frame_yx: tuple[int, int]
) -> list[list[set[int]]]:
    """For every place and vector all the nearest places, or the mark that there is none."""
    height, width = frame_yx
    return [
        [
            _nearest(place + vector, places_yx, reach_px)
            if np.all(place + vector >= 1) and np.all(place + vector <= (height - 2, width - 2))
            else {OUTSIDE}
            for vector in vectors_yx
        ]
        for place in places_yx
    ]


def _nearest(target: Points, places_yx: Points, reach_px: float) -> set[int]:
    squares = np.square(places_yx - target).sum(axis=1)
    if not squares.min() < reach_px**2:
        return {NOBODY}
    return set(np.flatnonzero(squares == squares.min()).tolist())


def group_points(points_yx: Points, reach_px: float) -> list[int]:
    """Number of the group of each point: the nearest mean within reach, or a new group."""
    members: list[list[int]] = []
    for point in range(len(points_yx)):
        means = [points_yx[group].mean(axis=0) for group in members]
        squares = [float(np.square(mean - points_yx[point]).sum()) for mean in means]
        near = [n for n, square in enumerate(squares) if square < reach_px**2]
        if near:
            members[min(near, key=lambda n: squares[n])].append(point)
        else:
            members.append([point])
    number = {point: n for n, group in enumerate(members) for point in group}
    return [number[point] for point in range(len(points_yx))]
