"""What latticewatch.kernels.pixels computes, spelled out."""

import math

import numpy as np
from numpy.typing import NDArray


def count_pixels(image: NDArray[np.float32], full_scale: float) -> list[int]:
    """Numbers of pixels not finite, saturated, zero, different from the first."""
    values = [float(value) for value in image.ravel()]
    return [
        sum(not math.isfinite(value) for value in values),
        sum(full_scale > 0 and value >= full_scale for value in values),
        sum(value == 0 for value in values),
        sum(value != values[0] for value in values),
    ]


def clear_nonfinite(image: NDArray[np.float32], value: float) -> NDArray[np.float32]:
    """The image with `value` for NaN and infinities."""
    return np.where(np.isfinite(image), image, np.float32(value))
