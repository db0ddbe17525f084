"""What latticewatch.kernels.refine computes, spelled out."""

import numpy as np
from numpy.typing import NDArray


def fit_quadratic(window: NDArray[np.float32]) -> NDArray[np.float64]:
    """Least squares for a + b y + c x + d y^2 + e y x + f x^2 over 3x3 pixels, as [a, ..., f]."""
    y, x = (axis.ravel() for axis in np.mgrid[-1:2, -1:2].astype(np.float64))
    terms = np.stack([np.ones(9), y, x, y * y, y * x, x * x], axis=1)
    solution: NDArray[np.float64] = np.linalg.lstsq(terms, window.ravel().astype(float))[0]
    return solution


def quadratic_step(window: NDArray[np.float32]) -> NDArray[np.float64]:
    """Step [y, x] to the flat point of that quadratic, at most 0.75; none from a saddle."""
    _, slope_y, slope_x, dd_y, twist, dd_x = fit_quadratic(window)
    hessian = np.array([[2 * dd_y, twist], [twist, 2 * dd_x]])
    if not np.linalg.det(hessian) > 0:
        return np.zeros(2)
    step: NDArray[np.float64] = np.linalg.solve(hessian, [-slope_y, -slope_x])
    return np.clip(step, -0.75, 0.75)


def column_intensity(
    image: NDArray[np.float32], place: tuple[float, float], radius_px: float
) -> float:
    """Mean of the pixels whose centres lie in the disc; NaN where there is none."""
    y, x = np.indices(image.shape)
    disc = (y - place[0]) ** 2 + (x - place[1]) ** 2 <= radius_px**2
    return float(image[disc].astype(np.float64).mean()) if disc.any() else np.nan


def refine_near(
    image: NDArray[np.float32], place: tuple[float, float], reach_px: int, polarity: int
) -> tuple[NDArray[np.float64], bool]:
    """Place of the extremum in a disc about the nearest pixel, and whether there is one."""
    expected = np.array(place, np.float64)
    centre = np.floor(expected + 0.5)
    margin = reach_px + 1
    if not ((centre >= margin) & (centre < np.array(image.shape) - margin)).all():
        return expected, False
    steps = np.arange(-reach_px, reach_px + 1)
    offsets = [(y, x) for y in steps for x in steps if y * y + x * x <= reach_px**2]
    # The centre before all others, and then in row-major order: of equal pixels the first wins.
    offsets.sort(key=lambda step: (bool(step[0] or step[1]), step))
    pixels = [tuple((centre + step).astype(int)) for step in offsets]
    best = max(pixels, key=lambda pixel: polarity * float(image[pixel]))
    y, x = best
    window = image[y - 1 : y + 2, x - 1 : x + 2]
    if not (polarity * window <= polarity * image[best]).all():
        return expected, False
    return np.array(best) + quadratic_step(window), True


def site_contrast(
    image: NDArray[np.float32], place: tuple[float, float], around_px: NDArray[np.float64]
) -> float:
    """Level of the nearest pixel less the mean of those at the steps; the edge goes on outside."""

    def level(at: NDArray[np.float64]) -> float:
        pixel = np.clip(np.floor(at + 0.5), 0, np.array(image.shape) - 1).astype(int)
        return float(image[tuple(pixel)])

    expected = np.array(place, np.float64)
    return level(expected) - float(np.mean([level(expected + step) for step in around_px]))
