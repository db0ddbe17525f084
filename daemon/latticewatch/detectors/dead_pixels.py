"""What a dead pixel becomes, the same when a model is fitted and when it judges."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.pixels import clear_nonfinite

# Chosen: the median of so many lies between the 49th and 51st percentile of all. The median of all
# takes 15 ms of a 1024 x 1024 frame; their mean takes 1.9 and follows a single spark, this 0.9.
_SAMPLE = 2**14


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
