"""What the principal components leave of a window: one more coordinate of the distance."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA

Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])

_TINY = float(np.finfo(np.float32).tiny)


def middle_and_mad(length: NDArray[np.float64]) -> tuple[float, float]:
    """Median length, and the median deviation of its cube root from that of the median.

    Lengths lean to the long side. Taken as they are, they put three times as many sites of perfect
    frames beyond 3 standard deviations as a normal law; their logarithms hide large ones.
    """
    middle = float(np.median(length))
    mad = float(np.median(np.abs(np.cbrt(length) - np.cbrt(middle))))
    return middle, max(mad, _TINY)


def squared_excess(length: Floats, middle: float, mad: float) -> Floats:
    """Square of the deviation from the middle, in standard deviations; 0 for what is shorter.

    Parameters
    ----------
    length : (N,)
        From `machine.residual_norm`. NaN stays.
    middle, mad
        From `middle_and_mad`.
    """
    above = (np.cbrt(length) - length.dtype.type(np.cbrt(middle))) / (MAD_TO_SIGMA * mad)
    result: Floats = np.square(np.maximum(above, 0)).astype(length.dtype)
    return result
