"""What latticewatch.kernels.columns computes, spelled out in double precision."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Wide = NDArray[np.float64]
Frame = NDArray[np.float32]
Column = tuple[float, float, float]


def bell(shape: tuple[int, ...], place_yx: tuple[float, float], sigma_px: float) -> Wide:
    """Gaussian of height one."""
    y, x = np.indices(shape)
    away = (y - place_yx[0]) ** 2 + (x - place_yx[1]) ** 2
    drawn: Wide = np.exp(-away / (2 * sigma_px**2))
    return drawn


def window(
    shape: tuple[int, ...], place_yx: tuple[float, float], half: int, size: int
) -> NDArray[np.bool_]:
    """Pixels of the frame in the window that begins `half` before the nearest pixel."""
    inside = np.ones(shape, np.bool_)
    for place, pixels in zip(place_yx, np.indices(shape), strict=True):
        if not math.isfinite(place):
            return np.zeros(shape, np.bool_)
        from_first = pixels - (math.floor(place + 0.5) - half)
        inside &= (from_first >= 0) & (from_first < size)
    return inside


def match_column(
    weighted: Frame, precision: Frame, place_yx: tuple[float, float], sigma_px: float
) -> Wide:
    """Correlations with the column and its two derivatives, and their squared norms."""
    half = math.floor(3 * sigma_px) + 1
    seen = window(weighted.shape, place_yx, half, 2 * half + 1)
    if not seen.any():
        return np.zeros(6)
    shape = bell(weighted.shape, place_yx, sigma_px)
    y, x = np.indices(weighted.shape)
    filters = [shape, shape * (y - place_yx[0]) / sigma_px, shape * (x - place_yx[1]) / sigma_px]
    correlations = [(weighted * kernel)[seen].sum() for kernel in filters]
    norms = [(precision * kernel**2)[seen].sum() for kernel in filters]
    return np.array([*correlations, *norms])


def _views(residual: Frame, precision: Frame, site: Column, sigma_px: float) -> tuple[Wide, Wide]:
    """What stands at a site, and the weight of its pixels; zero outside the window."""
    half = math.floor(3 * sigma_px) + 1
    seen = window(residual.shape, site[1:], half, 2 * half + 1)
    target = residual + site[0] * bell(residual.shape, site[1:], sigma_px)
    near = bell(residual.shape, site[1:], 1.2 * sigma_px)
    return target, seen * precision * near


def fit_column(residual: Frame, precision: Frame, site: Column, sigma_px: float) -> Wide:
    """Intensity, y, x of least weighted squares, wherever that is."""
    target, weight = _views(residual, precision, site, sigma_px)

    def misses(column: Wide) -> Wide:
        drawn = column[0] * bell(residual.shape, (column[1], column[2]), sigma_px)
        rest: Wide = (np.sqrt(weight) * (target - drawn)).ravel()
        return rest

    found: Wide = optimize.least_squares(misses, site, xtol=1e-12, ftol=1e-12, gtol=1e-12).x
    return found


def fit_intensity(residual: Frame, precision: Frame, site: Column, sigma_px: float) -> float:
    """Intensity of least weighted squares of a column that stands at its site."""
    target, weight = _views(residual, precision, site, sigma_px)
    shape = bell(residual.shape, site[1:], sigma_px)
    fitted = float((weight * shape * target).sum() / (weight * shape**2).sum())
    return max(fitted, -0.5 * site[0])


def place_covariance(precision: Frame, site: Column, column: Column, sigma_px: float) -> Wide:
    """How the noise of the pixels, of variance 1 / precision, moves the place of the best fit."""
    _, weight = _views(np.zeros_like(precision), precision, site, sigma_px)
    y, x = np.indices(precision.shape)
    shape = bell(precision.shape, column[1:], sigma_px)
    slope = column[0] * shape / sigma_px**2
    design = np.stack([shape, slope * (y - column[1]), slope * (x - column[2])]).reshape(3, -1)
    weights = weight.ravel()
    answer = np.linalg.solve((design * weights) @ design.T, design * weights)
    covariance: Wide = (answer / precision.ravel()) @ answer.T
    return covariance[1:, 1:]


def move_column(
    before: Column, after: Column, sigma_px: float, precision: Frame, residual: Frame
) -> tuple[Wide, Wide]:
    """What is taken out of the residual, and out of the weighted one."""
    half = math.floor(3.5 * sigma_px) + 1
    middle = ((before[1] + after[1]) / 2, (before[2] + after[2]) / 2)
    seen = window(residual.shape, middle, half, 2 * half + 1)
    expected, found = (
        column[0] * bell(residual.shape, column[1:], sigma_px) for column in (before, after)
    )
    change: Wide = np.where(seen, found - expected, 0.0)
    return change, change * precision
