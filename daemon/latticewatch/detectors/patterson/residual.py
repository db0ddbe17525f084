"""What the principal components leave of a window, as one coordinate more of the robust distance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA

_TINY = float(np.finfo(np.float32).tiny)


def middle_and_mad(length: NDArray[np.float64]) -> tuple[float, float]:
    """Median length, and the median deviation of its cube root from that of the median.

    Lengths lean to the long side. Taken as they are, they put three times as many sites of perfect
    frames beyond 3 standard deviations as a normal law; their logarithms hide large ones.
    """
    middle = float(np.median(length))
    mad = float(np.median(np.abs(_shape(length) - _shape(np.float64(middle)))))
    return middle, max(mad, _TINY)


def squared_excess(
    length: NDArray[Any],  # Any: both float widths
    middle: float,
    mad: float,
) -> NDArray[Any]:
    """Square of the deviation from the middle, in standard deviations; 0 for what is shorter.

    Parameters
    ----------
    length : (N,)
        From `machine.residual_norm`. NaN stays.
    middle, mad
        From `middle_and_mad`.
    """
    above = (_shape(length) - _shape(np.float64(middle))) / (MAD_TO_SIGMA * mad)
    return np.square(np.maximum(above, 0))


def _shape(length: Any) -> Any:  # Any: a number or an array of either width
    return np.cbrt(length)
