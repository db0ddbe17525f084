"""What latticewatch.kernels.contours traces: where the edges of a grid pass through zero."""

import numpy as np
from numpy.typing import NDArray

Place = tuple[float, float]


def crossings(level: NDArray[np.float64]) -> set[Place]:
    """Places [y, x], rounded, on the edges of all cells without a NaN."""
    places = set()
    height, width = level.shape
    for y in range(height - 1):
        for x in range(width - 1):
            if not np.isfinite(level[y : y + 2, x : x + 2]).all():
                continue
            edges = [((y, x), (y, x + 1)), ((y + 1, x), (y + 1, x + 1))]
            edges += [((y, x), (y + 1, x)), ((y, x + 1), (y + 1, x + 1))]
            for one, two in edges:
                here, there = level[one], level[two]
                if (here > 0) != (there > 0):
                    share = here / (here - there)
                    place = np.array(one) + share * (np.array(two) - np.array(one))
                    places.add((round(float(place[0]), 9), round(float(place[1]), 9)))
    return places
