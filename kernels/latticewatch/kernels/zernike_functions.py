"""Zernike functions at points of the plane, and their means over pixels. It knows no image."""

from math import factorial

import numpy as np
from numpy.typing import NDArray


def zernike_values(
    terms: NDArray[np.int64], v: NDArray[np.float64], u: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Evaluate Zernike functions of mean square 1 over the unit disc; zero outside.

    Parameters
    ----------
    terms : (T, 2)
        n, m; cosines for m >= 0, sines of abs(m) for m < 0.
    v, u : (...)
        Coordinates along y and x; the angle runs from x to y.

    Returns
    -------
    (T, ...)

    Notes
    -----
    sqrt(2 (n + 1) / (1 + [m = 0])) R_n^m(rho) times cos or sin, R_n^m as in Noll, J. Opt. Soc. Am.
    66, 207 (1976).
    """
    square = v * v + u * u
    # Points meant to lie on the rim are a rounding off it, and count.
    inside = square <= 1.0 + 1e-12
    # rho^m exp(i m theta) and the polynomials, once for sines and cosines: a tenth of the time.
    waves = [np.ones_like(square, np.complex128)]
    for _ in range(int(terms[:, 0].max())):
        waves.append(waves[-1] * (u + 1j * v))
    radial: dict[tuple[int, int], NDArray[np.float64]] = {}
    values = np.zeros((len(terms), *square.shape))
    for value, (order, repetition) in zip(values, terms.tolist(), strict=True):
        m = abs(repetition)
        if (order, m) not in radial:
            scale = np.sqrt(2 * (order + 1) / (2 if m == 0 else 1))
            radial[order, m] = np.where(inside, scale * _radial(order, m, square), 0.0)
        wave = waves[m].imag if repetition < 0 else waves[m].real
        np.multiply(radial[order, m], wave, out=value)
    return values


def pixel_means(
    terms: NDArray[np.int64], side: int, radius_px: float, per_axis: int
) -> NDArray[np.float64]:
    """Average Zernike functions over the pixels of a square.

    Parameters
    ----------
    terms : (T, 2)
        n, m.
    side
        Of the square, pixels; the functions lie about its middle.
    radius_px
        Where they end.
    per_axis
        Points per pixel and axis; 1 for the value in the middle.

    Returns
    -------
    (T, side, side)
    """
    along = ((np.arange(side * per_axis) + 0.5) / per_axis - side / 2) / radius_px
    means = np.empty((len(terms), side, side))
    # A row of pixels at a time: all points of 65 x 65 pixels are 140 MB.
    for row in range(side):
        v = along[row * per_axis : (row + 1) * per_axis]
        fine = zernike_values(terms, *np.meshgrid(v, along, indexing="ij"))
        means[:, row] = fine.reshape(len(terms), per_axis, side, per_axis).mean(axis=(1, 3))
    return means


def _radial(order: int, m: int, square: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate R_n^m(rho) / rho^m, a polynomial of rho^2."""
    value = np.zeros_like(square)
    for k in range((order - m) // 2 + 1):
        below = factorial(k) * factorial((order + m) // 2 - k) * factorial((order - m) // 2 - k)
        value *= square
        value += (-1) ** k * factorial(order - k) / below
    return value
