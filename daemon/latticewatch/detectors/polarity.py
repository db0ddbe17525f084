"""Whether columns are bright or dark: by the name of the channel, or by the frame itself."""

import re

import numpy as np
from numpy.typing import NDArray

# Whole words of a channel name, longest first: "ABF" is bright field, "ADF" is not.
_BRIGHT = ("haadf", "maadf", "laadf", "adf", "dark field", "darkfield", "df")
_DARK = ("abf", "bf", "ebf", "bright field", "brightfield")
# A frame leans to neither side below this skewness, several times what noise alone reaches.
_CLEAR_SKEWNESS = 0.05


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


def contrast_of_frame(image: NDArray[np.float32]) -> int:
    """Contrast of the columns in a blurred frame: +1 bright, -1 dark.

    Columns are narrower than what lies between them, so the histogram leans to their side; the
    sign of its skewness says which. Where it leans to neither, columns are taken to be bright.
    """
    values = image[::4, ::4].astype(np.float64)
    low, high = np.quantile(values, (0.001, 0.999))
    values = np.clip(values, low, high)  # a wild pixel has no say
    spread = float(values.std())
    if not spread > 0:
        return 1
    skewness = float((((values - values.mean()) / spread) ** 3).mean())
    return -1 if skewness < -_CLEAR_SKEWNESS else 1
