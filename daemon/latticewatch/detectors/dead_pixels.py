"""What a dead pixel becomes, and what lies near it: the same in a fit and in a judgement."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.pixels import clear_nonfinite

# Chosen: the median of so many lies between the 49th and 51st percentile of all. The median of all
# takes 15 ms of a 1024 x 1024 frame; their mean takes 1.9 and follows a single spark, this 0.9.
_SAMPLE = 2**14
_WILD = 1e6


def take_out_wild(image: NDArray[np.float32]) -> float:
    """Make NaN of the few pixels that are a million times larger than all others.

    Parameters
    ----------
    image : (H, W)
        Changed in place.

    Returns
    -------
    float
        Typical size of a pixel, larger than 0.

    Examples
    --------
    >>> image = np.array([[1, np.nan, 3, 3e38]], np.float32)
    >>> take_out_wild(image), image.tolist()
    (3.0, [[1.0, nan, 3.0, nan]])
    """
    sample = np.abs(image.ravel()[:: (image.size // _SAMPLE) | 1])
    sample = sample[np.isfinite(sample) & (sample > 0)]
    if not len(sample):
        return 1.0
    # Of a small frame all pixels are looked at, the wild ones too.
    typical = float(np.median(sample.astype(np.float64)))
    limit = min(_WILD * typical, float(np.finfo(np.float32).max))
    if np.fmax.reduce(image, axis=None) > limit or np.fmin.reduce(image, axis=None) < -limit:
        image[np.abs(image) > limit] = np.nan
    return typical


def fill_dead(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Replace NaN and infinities by the median of the other pixels.

    Parameters
    ----------
    image : (H, W)
        Changed in place. Without any finite pixel it becomes 0.

    Returns
    -------
    (H, W)
        Which pixels were finite.

    Examples
    --------
    >>> image = np.array([[1, np.nan, 3, 3]], np.float32)
    >>> fill_dead(image).tolist(), image.tolist()
    ([[True, False, True, True]], [[1.0, 3.0, 3.0, 3.0]])
    """
    finite: NDArray[np.bool_] = np.isfinite(image)
    if finite.all():
        return finite
    # An odd step, so that the sample is not always from the same columns.
    sample = image.ravel()[:: (image.size // _SAMPLE) | 1]
    sample = sample[np.isfinite(sample)]
    if not len(sample):  # nearly all are dead
        sample = image[finite]
    # In double precision: half the sum of two of the largest floats is one of them.
    clear_nonfinite(image, float(np.median(sample.astype(np.float64))) if len(sample) else 0.0)
    return finite


def near_pixels(
    bad_yx: NDArray[np.intp], shape: tuple[int, int], reach_px: int
) -> NDArray[np.bool_]:
    """Tell which pixels (H, W) have a bad one in the square of `reach_px` around them."""
    # Sums over all rows and columns above: a square's count takes four look-ups.
    total = np.zeros((shape[0] + 1, shape[1] + 1), np.int32)
    total[bad_yx[:, 0] + 1, bad_yx[:, 1] + 1] = 1
    total = total.cumsum(axis=0).cumsum(axis=1)
    y, x = np.arange(shape[0]), np.arange(shape[1])
    top, bottom = np.maximum(y - reach_px, 0), np.minimum(y + reach_px + 1, shape[0])
    left, right = np.maximum(x - reach_px, 0), np.minimum(x + reach_px + 1, shape[1])
    count = total[np.ix_(bottom, right)] - total[np.ix_(top, right)]
    count -= total[np.ix_(bottom, left)] - total[np.ix_(top, left)]
    near: NDArray[np.bool_] = count > 0
    return near
