"""Windows round sites, cut the same way for the fit and for scoring."""

import math

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.sites import View
from latticewatch.kernels.patches import gather_patches

# The blur mirrors the frame at its edge; two of its widths in, that no longer shows. Without this
# margin up to seven sites along the edge of a perfect frame looked strange.
_BLUR_MARGIN = 2.0


def margin_px(size: int, smooth_sigma_px: float) -> int:
    """Return how far from the edge of the frame a site must be to be judged."""
    return size // 2 + math.ceil(_BLUR_MARGIN * smooth_sigma_px)


def cut_windows(
    view: View,
    smooth_sigma_px: float,
    windows: NDArray[np.float32],
    inside: NDArray[np.bool_],
) -> None:
    """Copy the window round each site, mean removed.

    Parameters
    ----------
    view
        Levelled frame and its N sites.
    smooth_sigma_px
        Width of the blur that made the levelled frame.
    windows : (N, S, S)
        Receives the windows.
    inside : (N,)
        Receives whether the window is whole, and free of the influence of the edge of the frame
        and of the rim of the crystal.
    """
    size = windows.shape[1]
    places_yx = view.places_yx
    gather_patches(view.image, places_yx, size, windows, inside)
    margin = margin_px(size, smooth_sigma_px)
    last = np.array(view.image.shape) - 1 - margin
    inside &= ~view.rim & ((places_yx >= margin) & (places_yx <= last)).all(axis=1)
