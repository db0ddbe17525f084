"""What scheme one looks at, the same for the fit and for scoring: numbers of a window."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.patches import gather_patches, gather_thinned, thinned_size
from latticewatch.kernels.power import (
    Analysis,
    n_features,
    power_scratch,
    truncated_waves,
    window_power,
)

Kind = Literal["patterson", "pixels"]
"""Power of the low waves of a window (its Patterson map), or its pixels in a disc."""

Picture = Literal["frame", "columns"]
"""Windows are cut from the blurred frame, or from the columns redrawn as equal Gaussians."""

# So many windows of 35 x 35 fit the second-level cache (0.6 MB): cut and transformed all at once,
# 2063 of them took 6.5 ms, now 4.8.
WINDOWS_IN_CACHE = 128
# A blur of this many pixels leaves nothing above a quarter of a cycle per pixel (a part in 1000 of
# an amplitude), so that every second pixel says all.
_WIDTH_FOR_HALF = 2.4


def step_for(smooth_sigma_px: float) -> int:
    """Return which pixels of a blurred window are looked at: every one, or every second.

    >>> [step_for(1.5), step_for(3.0)]
    [1, 2]
    """
    return 2 if smooth_sigma_px >= _WIDTH_FOR_HALF else 1


def count_features(kind: Kind, size_px: int, step_px: int, cutoff: int) -> int:
    """Count the numbers of a window.

    >>> [count_features(kind, 33, 2, 6) for kind in ("patterson", "pixels")]
    [84, 289]
    """
    return n_features(cutoff) if kind == "patterson" else thinned_size(size_px, step_px) ** 2


def disc(n: int) -> NDArray[np.float32]:
    """Ones in the largest disc of a square of n x n pixels, zeros in its corners; (n * n,)."""
    reach = np.arange(n) - n // 2
    inside = reach[:, None] ** 2 + reach**2 <= (n // 2 + 0.5) ** 2
    return inside.ravel().astype(np.float32)


class WindowFeatures:
    """Numbers of windows, in buffers that are kept.

    Parameters
    ----------
    kind
        Which numbers.
    size_px
        Side of the window, odd.
    step_px
        Every so many pixels of it are looked at.
    cutoff
        Highest wave number per axis, at most half of the pixels looked at along a side.
    scale
        Divides the numbers.
    """

    def __init__(
        self, *, kind: Kind, size_px: int, step_px: int, cutoff: int, scale: float
    ) -> None:
        self.kind = kind
        self.size_px = size_px
        self.step_px = step_px
        self.scale = scale
        side = thinned_size(size_px, step_px)
        self.n_features = count_features(kind, size_px, step_px, cutoff)
        self._windows = np.empty((WINDOWS_IN_CACHE, side, side), np.float32)
        self._disc = disc(side) / np.float32(scale)
        if kind == "patterson":
            waves, scratch = truncated_waves(side, cutoff), power_scratch(side, cutoff)
            self._analysis = Analysis(waves, scale, scratch)

    def write(
        self,
        image: NDArray[np.float32],
        places_yx: NDArray[np.float64],
        out: NDArray[np.float32],
        whole: NDArray[np.bool_],
    ) -> None:
        """Fill `out` (n, F) and `whole` (n,) for n places (n, 2)."""
        if self.kind == "patterson":
            cut = (self.size_px, self.step_px)
            window_power(image, places_yx, cut, self._analysis, out, whole)
            return
        for first in range(0, len(places_yx), WINDOWS_IN_CACHE):
            rows = slice(first, first + WINDOWS_IN_CACHE)
            self._write_pixels(image, places_yx[rows], out[rows], whole[rows])

    def _write_pixels(
        self,
        image: NDArray[np.float32],
        places_yx: NDArray[np.float64],
        out: NDArray[np.float32],
        whole: NDArray[np.bool_],
    ) -> None:
        windows = self._windows[: len(places_yx)]
        if self.step_px == 1:
            gather_patches(image, places_yx, self.size_px, windows, whole)
        else:
            gather_thinned(image, places_yx, self.size_px, self.step_px, windows, whole)
        np.multiply(windows.reshape(len(windows), -1), self._disc, out=out)
