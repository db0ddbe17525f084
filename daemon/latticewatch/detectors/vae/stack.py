"""Windows that come as a stack: their levels, which can be used, and how they are prepared."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.reference_rule import FitError

_TRUNCATE = 4.0  # standard deviations of the blur, as published
_BLUR_BATCH = 64
_LEAST_WINDOWS = 50


def as_levels(windows: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return pixels as parts of the full scale of their type; those of float types as they are.

    As each window is divided by its maximum later, only the place of zero matters to the result:
    numbers of float types need no known range.

    >>> as_levels(np.array([0, 51, 255], np.uint8)).tolist() == np.float32([0, 0.2, 1]).tolist()
    True
    """
    levels = windows.astype(np.float32)
    if windows.dtype.kind in "ui":
        n_bits = 8 * windows.dtype.itemsize - (windows.dtype.kind == "i")
        levels /= np.float32(2.0**n_bits - 1.0)
    return levels


def zero_of(windows: NDArray[np.generic]) -> float:
    """Return the level that counts as black: 0, or the lowest number of a set that goes below."""
    levels = as_levels(windows)
    finite = levels[np.isfinite(levels)]
    return min(0.0, float(finite.min())) if finite.size else 0.0


def prepare(windows: NDArray[np.generic], sigma_px: float, zero: float) -> NDArray[np.float32]:
    """Blur each window by itself and divide it by its maximum.

    Parameters
    ----------
    windows : (N, S, S)
        Any real type; levels as `as_levels` makes them.
    sigma_px
        Of the Gaussian: beyond the edge of a window its last pixels go on, and the weights end at
        four sigma.
    zero
        Subtracted first, on the scale of the levels. What is darker still becomes black.

    Returns
    -------
    (N, S, S)
        From 0 to 1, float32. A window that holds a pixel that is not finite, or nothing brighter
        than black, is all NaN.
    """
    prepared = np.empty(windows.shape, np.float32)
    # In parts: as one, the 4 MB of 256 windows are read from memory for each step.
    for start in range(0, len(windows), _BLUR_BATCH):
        part = slice(start, start + _BLUR_BATCH)
        levels = as_levels(windows[part]) - np.float32(zero)
        spoilt = ~np.isfinite(levels).all(axis=(1, 2))
        levels[spoilt] = 0.0
        blurred = ndimage.gaussian_filter(
            levels, (0.0, sigma_px, sigma_px), mode="nearest", truncate=_TRUNCATE
        )
        np.maximum(blurred, 0.0, out=blurred)
        brightest = blurred.max(axis=(1, 2), initial=0.0)
        brightest[spoilt | ~(brightest > 0)] = np.nan
        np.divide(blurred, brightest[:, None, None], out=prepared[part])
    return prepared


def usable_windows(windows: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the windows (M, S, S) of a stack that a fit can learn from, in their order.

    Ones with pixels that are not finite, and dark ones, are left out; of equal ones the first is
    kept, so that no window is learned from and judged by.

    Raises
    ------
    FitError
        No stack of square windows of numbers, or fewer than 50 are left.
    """
    if windows.ndim != 3 or windows.shape[1] != windows.shape[2]:
        raise FitError(f"windows are {windows.shape}: expected (N, S, S), square")
    if windows.dtype.kind not in "uif":
        raise FitError(f"windows are {windows.dtype}: expected whole numbers or floats")
    flat = windows.reshape(len(windows), windows.shape[1] ** 2)
    good = np.isfinite(flat).all(axis=1)
    if flat.size:
        good &= flat.max(axis=1) > min(0.0, float(as_levels(flat).min()))
        firsts = np.unique(flat, axis=0, return_index=True)[1]
        good &= np.isin(np.arange(len(flat)), firsts)
    if good.sum() < _LEAST_WINDOWS:
        raise FitError(f"{good.sum()} different windows to learn from: need {_LEAST_WINDOWS}")
    usable: NDArray[np.generic] = windows[good]
    return usable


def split(
    windows: NDArray[np.generic], held_out: float, seed: int
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return the windows to learn from, and the share held out, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(windows))
    n_held = max(round(held_out * len(windows)), 10)
    return windows[np.sort(order[n_held:])], windows[np.sort(order[:n_held])]
