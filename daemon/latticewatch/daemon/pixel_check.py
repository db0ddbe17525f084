"""What is wrong with the pixels of a frame before any lattice is looked for."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.image_pool import ImagePool
from latticewatch.detectors.dead_pixels import fill_dead, near_pixels, take_out_wild
from latticewatch.kernels.pixels import count_pixels, native_float32

# Chosen: more dead pixels than this, and too few windows are whole to know the crowd.
_MOST_NONFINITE = 0.01
# More saturated pixels than this, and the tops of the columns are cut off.
_MOST_SATURATED = 0.05
# Squares and fourth powers of what lies between are floats. Currents in amperes are not.
_LEAST_TYPICAL, _MOST_TYPICAL = 1e-5, 1e7


@dataclass(frozen=True, slots=True)
class CheckedPixels:
    """Native pixels and their faults. The array lives until the next frame, or is handed over.

    Attributes
    ----------
    image : (H, W) float32
        Finite: dead pixels hold the median of the others. Floats that are all tiny or huge are
        scaled.
    bad_yx : (B, 2)
        Places of the dead and wild pixels, empty when there are none or too many.
    quality
        Words of the protocol: nonfinite, saturated, constant.
    usable
        Sites may be looked for.
    """

    image: NDArray[np.float32]
    bad_yx: NDArray[np.intp]
    quality: tuple[str, ...]
    usable: bool


class PixelCheck:
    """Converts and counts, frame after frame, in a buffer that it keeps until it hands it over.

    Parameters
    ----------
    pool
        Where the next buffer comes from; None takes new ones.
    """

    def __init__(self, pool: ImagePool | None = None) -> None:
        self._pool = pool or ImagePool()
        self._image = np.empty((0, 0), np.float32)
        self._counts = np.zeros(4, np.int64)

    def hand_over(self) -> None:
        """Leave the array of the last frame to whoever has it: the next one gets another."""
        self._image = np.empty((0, 0), np.float32)

    def check(self, pixels: NDArray[np.generic], full_scale: float | None) -> CheckedPixels:
        """Convert a frame to native float32 and judge its pixels.

        Parameters
        ----------
        pixels : (H, W)
            Any type of the wire, any byte order; not changed.
        full_scale
            Counts at which the detector saturates; None takes the largest value of an integer
            type, and for floats no limit.
        """
        if self._image.shape != pixels.shape:
            self._image = self._pool.take(pixels.shape)
        native_float32(pixels, self._image)
        typical = 1.0 if pixels.dtype.kind in "iu" else take_out_wild(self._image)
        limit = full_scale if full_scale is not None else _largest(pixels.dtype)
        count_pixels(self._image, limit, self._counts)
        n_nonfinite, n_saturated, _, n_different = (int(count) for count in self._counts)
        quality = []
        bad_yx = np.empty((0, 2), np.intp)
        usable = n_different > 0
        if not usable:
            quality.append("constant")
        if n_saturated:
            quality.append("saturated")
            usable &= n_saturated <= _MOST_SATURATED * pixels.size
        if n_nonfinite:
            quality.append("nonfinite")
            usable &= n_nonfinite <= _MOST_NONFINITE * pixels.size
            finite = fill_dead(self._image)
            bad_yx = np.argwhere(~finite) if usable else bad_yx
        if usable and not _LEAST_TYPICAL < typical < _MOST_TYPICAL:
            # A power of two, so that no digit is lost.
            np.ldexp(self._image, -round(math.log2(typical)), out=self._image)
        return CheckedPixels(self._image, bad_yx, tuple(quality), usable)


def _largest(dtype: np.dtype[Any]) -> float:  # Any: one of the element types of the wire
    """Return the largest value of an integer type; 0, which means no limit, for floats."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 0.0


def near_bad_pixel(
    places_yx: NDArray[np.float64], bad_yx: NDArray[np.intp], shape: tuple[int, int], reach_px: int
) -> NDArray[np.bool_]:
    """Tell which places have a dead pixel in the square of `reach_px` around them.

    Examples
    --------
    >>> places, bad = np.array([[5.0, 5.0], [5.0, 20.0]]), np.array([[3, 4]])
    >>> near_bad_pixel(places, bad, (32, 32), 2).tolist()
    [True, False]
    """
    if not len(bad_yx):
        return np.zeros(len(places_yx), bool)
    centre = np.clip(np.floor(places_yx + 0.5).astype(np.intp), 0, np.array(shape) - 1)
    near: NDArray[np.bool_] = near_pixels(bad_yx, shape, reach_px)[centre[:, 0], centre[:, 1]]
    return near
