"""Which sites have a window that can be judged, the same for the fit and for scoring."""

import math

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.sites import View

# The blur mirrors the frame at its edge; two of its widths in, that no longer shows. Without this
# margin up to seven sites along the edge of a perfect frame looked strange.
_BLUR_MARGIN = 2.0


def margin_px(size: int, smooth_sigma_px: float) -> int:
    """Return how far from the edge of the frame a site must be to be judged."""
    return size // 2 + math.ceil(_BLUR_MARGIN * smooth_sigma_px)


def judgeable(
    view: View, size: int, smooth_sigma_px: float, further_px: float = 0.0
) -> NDArray[np.bool_]:
    """Tell which sites have a whole window that no edge disturbs.

    Parameters
    ----------
    view
        Levelled frame and its N sites.
    size
        Side of the window, pixels.
    smooth_sigma_px
        Width of the blur that made the levelled frame.
    further_px
        So much more margin: near the edge no columns are looked for and redrawn.

    Returns
    -------
    (N,)
        False near the edge of the frame, which the blur mirrors, and at the rim of the crystal.
    """
    margin = margin_px(size, smooth_sigma_px) + further_px
    y, x = view.places_yx.T
    height, width = view.image.shape
    # One axis after the other: comparing pairs takes five times as long.
    whole = (y >= margin) & (y <= height - 1 - margin)
    whole &= (x >= margin) & (x <= width - 1 - margin)
    undisturbed: NDArray[np.bool_] = whole & ~view.rim
    return undisturbed
