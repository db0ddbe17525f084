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
