"""Local gain and offset of a frame against the frame that its cell predicts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

_GAIN_RANGE = (0.3, 3.0)  # a cell that says less, or more, is not this cell


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """Values at the centres of blocks of `step` pixels."""

    values: NDArray[np.float32]
    step: int

    def at(self, places_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Value of the block that each place lies in."""
        block = np.clip((places_yx / self.step).astype(np.intp), 0, np.array(self.values.shape) - 1)
        return self.values[block[:, 0], block[:, 1]].astype(np.float64)


def local_fit(
    moments: NDArray[np.float32], sigma_blocks: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and offset (h, w) of the regression of frame on model round each block.

    Parameters
    ----------
    moments : (5, h, w)
        From `block_moments`.
    sigma_blocks
        Width of the Gaussian window, blocks.
    """
    weights = gaussian_weights(sigma_blocks)
    blurred = np.empty_like(moments)
    scratch = gaussian_scratch(moments.shape[2], weights)
    for moment, out in zip(moments, blurred, strict=True):
        gaussian(np.ascontiguousarray(moment), weights, scratch, out)
    count, model, image, square, product = blurred.astype(np.float64)
    count = np.maximum(count, 1e-3)
    model, image = model / count, image / count
    variance = np.maximum(square / count - model**2, 1e-9)
    gain = np.clip((product / count - model * image) / variance, *_GAIN_RANGE)
    return gain.astype(np.float32), (image - gain * model).astype(np.float32)
