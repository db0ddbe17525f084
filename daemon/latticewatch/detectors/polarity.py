"""Whether columns are bright or dark: by the name of the channel, or by the frame itself."""

import re

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

# Whole words of a channel name, longest first: "ABF" is bright field, "ADF" is not.
_BRIGHT = ("haadf", "maadf", "laadf", "adf", "dark field", "darkfield", "df")
_DARK = ("abf", "bf", "ebf", "bright field", "brightfield")
# Fractions of the lattice period. A wider blur fills the holes of a honeycomb with the flanks of
# its columns, and turns its skewness round (0.13: -0.2; 0.08: +0.2); background has a skewness of
# its own and is taken out.
_BLUR = 0.07
_BACKGROUND = 3.0
# Dark columns lean clearly; all bright crystals tried gave +0.2 to +2.
_CLEARLY_DARK = -0.1


def contrast_of_channel(name: str) -> int | None:
    """Contrast of the columns in a channel of this name.

    Returns
    -------
    int or None
        +1: bright columns; -1: dark ones; None for a name that does not say it.

    Examples
    --------
    >>> [contrast_of_channel(name) for name in ("HAADF", "BF_1", "abf", "ADF-2", "EELS")]
    [1, -1, -1, 1, None]
    """
    words = re.sub(r"[^a-z]+", " ", name.lower()).strip()
    for known, contrast in ((_BRIGHT, 1), (_DARK, -1)):
        if any(re.search(rf"\b{word}\b", words) for word in known):
            return contrast
    return None


def contrast_of_frame(frame: NDArray[np.float32], period_px: float) -> int:
    """Contrast of the columns of a reference frame: +1 bright, -1 dark.

    Columns are narrower than what lies between them, so the histogram leans to their side; the
    sign of its skewness says which. Where it is not clear, columns are taken to be bright.

    Parameters
    ----------
    frame : (H, W)
        Finite.
    period_px
        Lattice period.
    """
    fine = _blurred(frame, _BLUR * period_px)
    step = max(1, round(period_px / 8))
    values = (fine - _blurred(fine, _BACKGROUND * period_px))[::step, ::step].astype(np.float64)
    low, high = np.quantile(values, (0.001, 0.999))
    values = np.clip(values, low, high)  # a wild pixel has no say
    spread = float(values.std())
    if not spread > 0:
        return 1
    skewness = float((((values - values.mean()) / spread) ** 3).mean())
    return -1 if skewness < _CLEARLY_DARK else 1


def _blurred(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    weights = gaussian_weights(sigma_px)
    out = np.empty_like(image)
    gaussian(image, weights, gaussian_scratch(image.shape[1], weights), out)
    return out
