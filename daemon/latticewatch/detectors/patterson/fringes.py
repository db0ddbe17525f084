"""Scheme two as published: one-period windows of one reflection's fringes, and their features.

The default is `domains`: a window of fringes holds nothing but their amplitude, see section 3.5 of
the method. Kept for comparison with Guo et al., npj Computational Materials 7, 180 (2021). The
machine that is fitted to the features is in `fringe_fit`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from latticewatch.kernels.extrema import strict_extrema

MASK_SHARE: Final = 0.15
"""Radius of the hard mask over |g|: 6 waves of 1024 for the reflections of the ZrO2 twin."""

_COLUMN_SIGMA = 0.12  # of the period: 3 px at 24.7
_COLUMN_LEVEL = 0.3  # of the range from darkest to brightest
_EDGE_PERIODS = 0.8


def bright_columns(frame: NDArray[np.float32], period_px: float) -> NDArray[np.float64]:
    """Places [y, x] (N, 2) of bright columns: maxima of the smoothed frame, whole pixels.

    Parameters
    ----------
    frame : (H, W)
        Finite; columns bright.
    period_px
        Of the fringes.
    """
    smoothed = ndimage.gaussian_filter(frame, _COLUMN_SIGMA * period_px)
    darkest, brightest = float(smoothed.min()), float(smoothed.max())
    if not brightest > darkest:
        return np.empty((0, 2))
    places = np.empty((frame.size // 4 + 1, 2), np.int32)
    floor = darkest + _COLUMN_LEVEL * (brightest - darkest)
    n_found = strict_extrema(smoothed, floor, 1, 1, 1, places)
    return places[:n_found].astype(np.float64)


def filtered_fringes(
    frame: NDArray[np.float32], g_per_px: tuple[float, float], mask_share: float = MASK_SHARE
) -> NDArray[np.float32]:
    """Keep one Friedel pair of a frame, in units of the result's standard deviation.

    Parameters
    ----------
    frame : (H, W)
        Finite.
    g_per_px
        [gy, gx], cycles per pixel, gx >= 0.
    mask_share
        Radius of the hard mask over |g|.
    """
    spectrum = fft.rfft2(frame - frame.mean())
    gy = fft.fftfreq(frame.shape[0])[:, None]
    gx = fft.rfftfreq(frame.shape[1])
    radius = mask_share * np.hypot(*g_per_px)
    near = np.hypot(gy - g_per_px[0], gx - g_per_px[1]) <= radius
    # In the half plane the other member is seen only beside gx = 0.
    near |= np.hypot(gy + g_per_px[0], gx + g_per_px[1]) <= radius
    filtered = fft.irfft2(np.where(near, spectrum, 0), s=frame.shape)
    spread = max(float(filtered.std()), float(np.finfo(np.float32).tiny))
    result: NDArray[np.float32] = (filtered / spread).astype(np.float32)
    return result


def fringe_windows(
    fringes: NDArray[np.float32],
    g_per_px: tuple[float, float],
    columns_px_yx: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Square windows of exactly one period, along the fringes' normal and along the fringes.

    Parameters
    ----------
    fringes : (H, W)
        Of `filtered_fringes`.
    g_per_px
        The reflection.
    columns_px_yx : (N, 2)
        Centres.

    Returns
    -------
    (M, n, n), (N,) bool
        Bilinear samples at t_j = (j - (n - 1) / 2) d / n, n = round(d); which columns have a
        window: those at least 0.8 d from the edge. Rounding d itself would make a seam.
    """
    length = float(np.hypot(*g_per_px))
    period_px = 1.0 / length
    n_samples = max(round(period_px), 2)
    along = np.array(g_per_px) / length
    across = np.array([along[1], -along[0]])
    step = (np.arange(n_samples) - (n_samples - 1) / 2) * period_px / n_samples
    reach = _EDGE_PERIODS * period_px
    last = np.array(fringes.shape) - 1.0
    inside = (columns_px_yx >= reach) & (columns_px_yx <= last - reach)
    whole: NDArray[np.bool_] = np.logical_and(inside[:, 0], inside[:, 1])
    offsets = step[:, None, None] * along + step[None, :, None] * across
    places = columns_px_yx[whole][:, None, None] + offsets
    windows: NDArray[np.float64] = ndimage.map_coordinates(
        fringes.astype(np.float64), np.moveaxis(places, -1, 0), order=1
    )
    return windows, whole


def patterson_maps(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Periodic autocorrelation (M, n * n) of windows (M, n, n): free of the fringes' phase.

    Equal to that of A cos: (A^2 / 2) cos, whatever the phase, for a window of one period.
    """
    power = np.square(np.abs(np.fft.fft2(windows)))
    maps: NDArray[np.float64] = np.fft.ifft2(power).real / windows[0].size
    return maps.reshape(len(windows), -1)
