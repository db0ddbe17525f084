"""What latticewatch.kernels.extrema computes, spelled out."""

import numpy as np
from numpy.typing import NDArray


def strict_extrema(
    image: NDArray[np.float32], floor: float, radius_px: int, polarity: int, border_px: int
) -> list[tuple[int, int]]:
    """Pixels beyond all others in their window; of equal ones the first."""
    signed = polarity * image.astype(np.float64)
    height, width = image.shape
    found = []
    for y in range(border_px, height - border_px):
        for x in range(border_px, width - border_px):
            window = [
                (row, column)
                for row in range(max(y - radius_px, 0), min(y + radius_px + 1, height))
                for column in range(max(x - radius_px, 0), min(x + radius_px + 1, width))
            ]
            beaten = any(
                signed[other] > signed[y, x] or (signed[other] == signed[y, x] and other < (y, x))
                for other in window
            )
            if signed[y, x] > floor and not beaten:
                found.append((y, x))
    return found
