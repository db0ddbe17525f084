"""Masks out of the published maps, as their program draws them; nothing else uses them."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Any: float32 or float64, whichever came in.
Floats: TypeAlias = NDArray[np.floating[Any]]

_BOX_PX = 20
_BLUR_RADIUS_PX = 50  # the program's kernels have 101 px
_VARIANCE_BLUR_PX = 10.0
_SYMMETRY_BLUR_PX = 6.0
_MARGIN = 1.2  # of the smallest variance of the model tile
_QUIET = 90.0  # a map whose largest sum of four tiles is below shows nothing
_OVERLAPS = 4  # tiles that the program adds up, where we take their mean
_N_LEVELS = 256
_MEDIAN_PX = 19
_PRIORITY = 1.05


def box_variance(pixels: Floats) -> Floats:
    """Take mean(x^2) - mean(x)^2 of the 20 x 20 px round each pixel, mirrored at the edges.

    A box reaches from 10 px before the pixel to 9 px behind it [our choice].
    """
    wide = pixels.astype(np.float64)
    mean = ndimage.uniform_filter(wide, _BOX_PX, mode="mirror")
    square = ndimage.uniform_filter(wide * wide, _BOX_PX, mode="mirror")
    variance: Floats = np.maximum(square - mean * mean, 0.0).astype(pixels.dtype)
    return variance


def variance_mask(variance: Floats, lower_bound: float) -> NDArray[np.bool_]:
    """Mark where the blurred variance is below that of the model tile by 1.2 and more."""
    blurred = _blur(variance, _VARIANCE_BLUR_PX)
    mask: NDArray[np.bool_] = blurred < lower_bound / _MARGIN
    return mask


def symmetry_mask(distance: Floats) -> NDArray[np.bool_]:
    """Mark where the distance stands out: blur, threshold by the triangle rule, median.

    Parameters
    ----------
    distance : (H, W)
        Mean of the tiles, NaN where there is none. The smallest distance above 0 stands for
        what is NaN or less. Where no distance is above 90 / 4, nothing is marked.
    """
    positive = distance[distance > 0]
    if positive.size == 0 or not _OVERLAPS * positive.max() > _QUIET:
        return np.zeros(distance.shape, np.bool_)
    lowest, highest = positive.min(), positive.max()
    if not highest > lowest:
        return np.zeros(distance.shape, np.bool_)
    # Written so that NaN becomes the lowest.
    clipped = np.where(distance > lowest, distance, lowest)
    blurred = _blur((clipped - lowest) / (highest - lowest), _SYMMETRY_BLUR_PX)
    grey = (blurred * (_N_LEVELS - 1)).astype(np.uint8)
    bright = grey > triangle_threshold(np.bincount(grey.ravel(), minlength=_N_LEVELS))
    # The median of zeros and ones is what most of them are.
    share = ndimage.uniform_filter(bright.astype(np.float64), _MEDIAN_PX, mode="nearest")
    mask: NDArray[np.bool_] = share > 0.5
    return mask


def fuse_masks(broken: NDArray[np.bool_], empty: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Take the larger of 1.05 times what is empty and of what is broken."""
    fused: NDArray[np.float32] = np.maximum(_PRIORITY * empty, broken).astype(np.float32)
    return fused


def triangle_threshold(counts: NDArray[np.int64]) -> int:
    """Find the level farthest from the line between the peak of a histogram and its longer end.

    Parameters
    ----------
    counts : (n,)
        Of each level.

    Returns
    -------
    int
        What is above is bright. Zack et al., J. Histochem. Cytochem. 25, 741 (1977).

    Examples
    --------
    >>> triangle_threshold(np.array([0, 9, 4, 1, 1, 1, 1, 0]))
    3
    """
    used = np.flatnonzero(counts)
    peak = int(np.argmax(counts))
    # One level beyond the last one used, where the line reaches the axis.
    end = int(used[-1]) + 1 if used[-1] - peak >= peak - used[0] else int(used[0]) - 1
    levels = np.arange(peak, end, 1 if end > peak else -1)
    # Height of the line above the histogram: the distance but for a constant factor.
    line = counts[peak] * (1.0 - np.abs(levels - peak) / abs(end - peak))
    return int(levels[np.argmax(line - counts[levels])])


def _blur(picture: Floats, sigma_px: float) -> Floats:
    blurred: Floats = ndimage.gaussian_filter(
        picture, sigma_px, mode="mirror", radius=_BLUR_RADIUS_PX
    )
    return blurred
