"""What latticewatch.kernels.zernike computes, spelled out."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special


def zernike(order: int, repetition: int, y: float, x: float) -> float:
    """Zernike function of mean square 1 at a point of the plane, by Jacobi polynomials."""
    m, rho, theta = abs(repetition), float(np.hypot(y, x)), float(np.arctan2(y, x))
    if rho > 1:
        return 0.0
    k = (order - m) // 2
    radial = (-1) ** k * rho**m * float(special.eval_jacobi(k, m, 0, 1 - 2 * rho * rho))
    wave = float(np.sin(m * theta)) if repetition < 0 else float(np.cos(m * theta))
    norm = float(np.sqrt(order + 1 if m == 0 else 2 * (order + 1)))
    return float(norm * radial * wave)


def package_square(side: int, order: int, repetition: int) -> NDArray[np.float64]:
    """Function at the points of a grid from -1 to 1, ends included, over pi side^2 / 4."""
    at = np.linspace(-1, 1, side)
    values = [[zernike(order, repetition, float(y), float(x)) for x in at] for y in at]
    return np.array(values) / (np.pi * side * side / 4)


def area_square(
    side: int, order: int, repetition: int, radius_px: float, subsamples: int
) -> NDArray[np.float64]:
    """Mean of a function over the square of each pixel, over pi side^2 / 4."""
    square = np.zeros((side, side))
    steps = (np.arange(subsamples) + 0.5) / subsamples - 0.5
    for row in range(side):
        for column in range(side):
            y, x = row - (side - 1) / 2, column - (side - 1) / 2
            points = [
                zernike(order, repetition, float((y + dy) / radius_px), float((x + dx) / radius_px))
                for dy in steps
                for dx in steps
            ]
            square[row, column] = np.mean(points)
    return square / (np.pi * side * side / 4)


def crop_disc(
    image: NDArray[np.float32], place: tuple[float, float], offsets_yx: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Values at the points of a disc by linear interpolation; None where it leaves the frame."""
    y, x = place[0] + offsets_yx[:, 0], place[1] + offsets_yx[:, 1]
    height, width = image.shape
    if not (y.min() >= 0 and y.max() <= height - 1 and x.min() >= 0 and x.max() <= width - 1):
        return None
    values: NDArray[np.float64] = ndimage.map_coordinates(
        image.astype(np.float64), [y, x], order=1, mode="nearest"
    )
    return values


def moments_of(patches: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum over all pixels of each patch, times each function."""
    sums = [[(row * function).sum() for function in values] for row in patches.astype(np.float64)]
    return np.array(sums).reshape(len(patches), len(values))


def invariants(moments: NDArray[np.float64]) -> list[float]:
    """Moments of one patch that a turn leaves alone, in order of n, then m."""
    found, row, n = [], list(moments), 0
    while row:
        of_order, row = row[: n + 1], row[n + 1 :]
        for m in range(n % 2, n + 1, 2):
            cosine, sine = of_order[(n + m) // 2], of_order[(n - m) // 2]
            found.append(float(cosine if m == 0 else abs(complex(cosine, sine))))
        n += 1
    return found
