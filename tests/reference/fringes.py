"""Scheme two as one would write it first (method page, 5.5): one reflection, all columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Frame = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Components and machine of scikit-learn, fitted beforehand."""

    pca: Any
    machine: Any


def columns_of(frame: Frame) -> NDArray[np.int64]:
    """Maxima of the smoothed frame above 0.3 of its range."""
    smoothed = ndimage.gaussian_filter(frame, 3.0)
    smoothed = (smoothed - smoothed.min()) / np.ptp(smoothed)
    top = (smoothed == ndimage.maximum_filter(smoothed, 3)) & (smoothed > 0.3)
    return np.argwhere(top)


def windows_of(frame: Frame, g: tuple[float, float], columns: NDArray[np.int64]) -> Frame:
    """Patterson maps of the whole windows of the filtered frame, turned so that fringes lie flat.

    Parameters
    ----------
    frame : (N, N)
    g
        Periods per frame.
    columns : (M, 2)
        Centres.
    """
    n = len(frame)
    spectrum = np.fft.fft2(frame)
    ky = np.fft.fftfreq(n, 1 / n)[:, None]
    kx = np.fft.fftfreq(n, 1 / n)
    near = np.minimum(np.hypot(ky - g[0], kx - g[1]), np.hypot(ky + g[0], kx + g[1])) <= 6
    fringes = np.fft.ifft2(spectrum * near).real
    fringes /= fringes.std()
    angle_deg = np.rad2deg(np.arctan2(g[1], g[0]))
    turned = ndimage.rotate(fringes, -angle_deg, order=1)
    size = round(n / np.hypot(*g))
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle, new_middle = (n - 1) / 2, (np.array(turned.shape) - 1) / 2
    corners = np.round((columns - middle) @ turn.T + new_middle).astype(int) - size // 2
    whole = ((corners >= 0) & (corners + size <= turned.shape)).all(axis=1)
    stack = np.stack([turned[y : y + size, x : x + size] for y, x in corners[whole]])
    maps = np.fft.ifft2(np.abs(np.fft.fft2(stack)) ** 2).real
    result: Frame = maps.reshape(len(maps), -1)
    return result


def judge(frame: Frame, g: tuple[float, float], fitted: Fitted) -> Frame:
    """Decisions of all columns of a frame, for one reflection."""
    maps = windows_of(frame, g, columns_of(frame))
    decisions: Frame = fitted.machine.decision_function(fitted.pca.transform(maps))
    return decisions
