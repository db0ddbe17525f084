"""What latticewatch.kernels.peaks computes, spelled out in double precision."""

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]


def group_medians(values: NDArray[np.float32], groups: list[list[int]]) -> list[float]:
    """Middle value of each group in order of size, the lower of two; zero of none."""
    ordered = [sorted(float(values[member]) for member in group) for group in groups]
    return [group[(len(group) - 1) // 2] if group else 0.0 for group in ordered]


def whole_plane(power: NDArray[np.float32]) -> dict[tuple[int, int], float]:
    """Power at every bin (gy, gx) of both halves: the spectrum of a real frame is symmetric."""
    middle = power.shape[0] // 2
    plane: dict[tuple[int, int], float] = {}
    for y, x in np.ndindex(power.shape):
        plane[y - middle, x] = float(power[y, x])
    for y, x in np.ndindex(power.shape):
        if x > 0:
            plane[middle - y, -x] = float(power[y, x])
    return plane


def band_peaks(power: NDArray[np.float32], floor: float, reach: int) -> list[list[float]]:
    """Bins above a floor that are highest of their square, first of equals, with centroids."""
    plane = whole_plane(power)
    found = []
    for (gy, gx), value in sorted(plane.items()):
        if gx < 0 or (gx == 0 and gy <= 0) or not value > floor:
            continue
        around = [
            (gy + dy, gx + dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)
        ]
        higher = [other for other in around if plane.get(other, 0.0) > value]
        before = [o for o in around if plane.get(o, 0.0) == value and o < (gy, gx)]
        if higher or before:
            continue
        box = [(gy + dy, gx + dx) for dy in range(-2, 3) for dx in range(-2, 3)]
        share = np.array([plane.get(bin_, 0.0) for bin_ in box])
        centroid = share @ np.array(box, np.float64) / share.sum()
        found.append([float(centroid[0]), float(centroid[1]), value])
    return found


def indexed_weight(
    basis: Wide, peaks: Wide, weight: Wide, tolerance: float, highest_index: int
) -> float:
    """Weight of the peaks that lie within a tolerance of the node nearest in indices."""
    total = 0.0
    for peak, mass in zip(peaks, weight, strict=True):
        whole = np.floor(peak @ np.linalg.inv(basis) + 0.5)
        near = np.linalg.norm(peak - whole @ basis) < tolerance
        if near and np.abs(whole).max() <= highest_index:
            total += float(mass)
    return total
