"""What latticewatch.kernels.patches computes, spelled out."""

import math

import numpy as np
from numpy.typing import NDArray


def gather_patch(
    image: NDArray[np.float32], place: tuple[float, float], size: int
) -> NDArray[np.float64] | None:
    """The window around the nearest pixel less its mean, or None where it leaves the frame."""
    if not all(math.isfinite(value) for value in place):
        return None
    top, left = (math.floor(value + 0.5) - size // 2 for value in place)
    if top < 0 or left < 0 or top + size > image.shape[0] or left + size > image.shape[1]:
        return None
    window = image[top : top + size, left : left + size].astype(np.float64)
    patch: NDArray[np.float64] = window - window.mean()
    return patch


def gather_thinned(
    image: NDArray[np.float32], place: tuple[float, float], size: int, step: int
) -> NDArray[np.float64] | None:
    """Every `step`-th pixel of the window from its centre, less their mean."""
    window = gather_patch(image, place, size)
    if window is None:
        return None
    first = (size // 2) % step
    thinned = window[first::step, first::step]
    patch: NDArray[np.float64] = thinned - thinned.mean()
    return patch


def add_windows(
    image: NDArray[np.float32], places: list[tuple[float, float]], size: int
) -> tuple[NDArray[np.float64], int]:
    """Sum of the windows that lie in the frame, their means left in, and how many there are."""
    total, n_added = np.zeros((size, size)), 0
    for place in places:
        if gather_patch(image, place, size) is None:
            continue
        top, left = (math.floor(value + 0.5) - size // 2 for value in place)
        total += image[top : top + size, left : left + size]
        n_added += 1
    return total, n_added
