"""Which tiles of a frame look like most of it, told from their power spectra without labels."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.calibration import MAD_TO_SIGMA

_FLAG_SIGMAS = 3.0  # methods/symmetry.md 3.3


def tiles_of(image: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Cut a frame (H, W) into whole tiles (rows, columns, side, side) that do not overlap."""
    rows, columns = image.shape[0] // side_px, image.shape[1] // side_px
    whole = image[: rows * side_px, : columns * side_px]
    return whole.reshape(rows, side_px, columns, side_px).transpose(0, 2, 1, 3)


def typicality(tiles: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much the power spectrum of each tile looks like that of the others.

    Median over all tiles of the Bhattacharyya coefficient of two spectra, of which position and
    brightness drop out (methods/symmetry.md 3.3).

    Parameters
    ----------
    tiles : (R, C, T, T)
        Of the filtered frame.

    Returns
    -------
    (R, C)
        0..1; 0 for a tile that is constant.
    """
    rows, columns, side, _ = tiles.shape
    flat = tiles.reshape(-1, side, side)
    window = np.hanning(side).astype(np.float32)
    centred = flat - flat.mean(axis=(1, 2), keepdims=True)
    power = np.square(np.abs(np.fft.rfft2(centred * (window[:, None] * window))))
    # Along the full axis the spectrum is periodic.
    power = ndimage.gaussian_filter1d(power, 1.0, axis=1, mode="wrap")
    power = ndimage.gaussian_filter1d(power, 1.0, axis=2, mode="nearest")
    total = power.sum(axis=(1, 2), keepdims=True)
    roots = np.sqrt(np.divide(power, total, out=np.zeros_like(power), where=total > 0))
    roots = roots.reshape(len(flat), -1)
    likeness = np.median(roots @ roots.T, axis=1)
    return np.asarray(likeness, np.float64).reshape(rows, columns)


def flagged(likeness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which tiles are less typical than the median by three standard deviations."""
    middle = float(np.median(likeness))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(likeness - middle)))
    below: NDArray[np.bool_] = likeness < middle - _FLAG_SIGMAS * spread
    return below
