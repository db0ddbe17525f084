"""What latticewatch.kernels.bumps computes, spelled out pixel by pixel."""

import numpy as np
from numpy.typing import NDArray

N_BINS = 128


def ground(
    fractions: NDArray[np.float64], basis_px: NDArray[np.float64], reach_px: float
) -> NDArray[np.bool_]:
    """Bins (128, 128) of which the middle of their square of four is far from all columns."""
    at = (2 * (np.arange(N_BINS) // 2) + 1.0) / N_BINS
    bins = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1)
    cells = np.stack(np.meshgrid([-2, -1, 0, 1, 2], [-2, -1, 0, 1, 2]), axis=-1).reshape(-1, 2)
    least = np.full((N_BINS, N_BINS), np.inf)
    for fraction in fractions:
        for cell in cells:
            steps = (bins - fraction - cell) @ basis_px
            least = np.minimum(least, np.square(steps).sum(axis=-1))
    return least > reach_px**2


def bumps(
    image: NDArray[np.float32], looked_at: NDArray[np.bool_], radius_px: int, border_px: int
) -> list[tuple[int, int]]:
    """Pixels above all others of their window, the first of equal ones, in row-major order."""
    height, width = image.shape
    found = []
    for y in range(border_px, height - border_px):
        for x in range(border_px, width - border_px):
            top, left = max(y - radius_px, 0), max(x - radius_px, 0)
            window = image[top : y + radius_px + 1, left : x + radius_px + 1]
            row, column = divmod(int(np.argmax(window)), window.shape[1])
            if looked_at[y, x] and (row + top, column + left) == (y, x):
                found.append((y, x))
    return found


def ground_near(
    residual: NDArray[np.float32],
    precision: NDArray[np.float32],
    looked_at: NDArray[np.bool_],
    places: NDArray[np.float64],
    reach_px: tuple[float, float],
) -> NDArray[np.float64]:
    """Weighted mean and its error (M, 2) round each place."""
    y, x = np.indices(residual.shape)
    found = np.empty((len(places), 2))
    for k, place in enumerate(places):
        square = (y - place[0]) ** 2 + (x - place[1]) ** 2
        near = looked_at & (square >= reach_px[0] ** 2)
        for axis, middle in zip((y, x), place, strict=True):
            # Whole pixels, cut off as by int().
            near &= (axis >= int(middle - reach_px[1])) & (axis <= int(middle + reach_px[1]))
        weight = precision[near].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (weight * residual[near]).sum() / weight.sum()
            found[k] = (mean if weight.sum() > 0 else 0.0), 1 / np.sqrt(weight.sum())
    return found
