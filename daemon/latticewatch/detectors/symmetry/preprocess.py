"""From a frame to what the filters see: binned to the lattice, and a difference of Gaussians."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

Image = NDArray[np.float32]
_TRUNCATE = 3.0
# Binning keeps a cell above so much of its nominal size; the filter follows the rest.
_MOST_BINNING = 16


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How frames are made ready; fixed in the model.

    Attributes
    ----------
    binning
        Side of the squares of pixels that become one.
    inner_sigma_px, outer_sigma_px
        Of the difference of Gaussians, in binned pixels.
    low, high
        Levels of the filtered model patch. Filtered frames are divided by their distance, and
        nothing is subtracted: an offset would not follow a change of gain.
    """

    binning: int
    inner_sigma_px: float
    outer_sigma_px: float
    low: float = 0.0
    high: float = 1.0

    @property
    def reach_px(self) -> int:
        """How far a pixel acts in the filtered frame, in binned pixels."""
        return int(_TRUNCATE * self.outer_sigma_px + 0.5)


def scaled_to(
    period_px: float | None, nominal_px: float, sigmas_px: tuple[float, float]
) -> Preprocess:
    """Choose binning and widths for a lattice.

    Parameters
    ----------
    period_px
        Square root of the area of a cell; None where no lattice was found: nothing is scaled.
    nominal_px
        What it should be after binning.
    sigmas_px
        Widths at that size.
    """
    if period_px is None:
        return Preprocess(1, *sigmas_px)
    ratio = period_px / nominal_px
    binning = min(max(1, round(ratio)), _MOST_BINNING)
    # Short of pixels nothing can be gained: widths shrink with the cell, down to where a filter
    # would see single pixels.
    rest = ratio / binning
    return Preprocess(binning, sigmas_px[0] * rest, sigmas_px[1] * rest)


class Preprocessor:
    """Makes frames of one size after the other ready, in buffers of its own."""

    def __init__(self, rule: Preprocess) -> None:
        self.rule = rule
        self._inner = gaussian_weights(rule.inner_sigma_px, _TRUNCATE)
        self._outer = gaussian_weights(rule.outer_sigma_px, _TRUNCATE)
        self._gain = np.float32(1.0 / (rule.high - rule.low))
        self._shape = (0, 0)

    def run(self, image: Image) -> tuple[Image, Image]:
        """Bin and filter a frame.

        Parameters
        ----------
        image : (H, W)
            Finite.

        Returns
        -------
        tuple of (H // binning, W // binning)
            The binned frame, and the filtered one in levels. Both are overwritten by the next call.
        """
        side = self.rule.binning
        shape = (image.shape[0] // side, image.shape[1] // side)
        if shape != self._shape:
            self._shape = shape
            self._binned, self._filtered = np.empty(shape, np.float32), np.empty(shape, np.float32)
            self._wide = np.empty(shape, np.float32)
            self._scratch = [gaussian_scratch(shape[1], w) for w in (self._inner, self._outer)]
        binned = image if side == 1 else self._bin(image)
        gaussian(binned, self._inner, self._scratch[0], self._filtered)
        gaussian(binned, self._outer, self._scratch[1], self._wide)
        self._filtered -= self._wide
        self._filtered *= self._gain
        return binned, self._filtered

    def _bin(self, image: Image) -> Image:
        side, (height, width) = self.rule.binning, self._shape
        whole = image[: height * side, : width * side]
        whole.reshape(height, side, width, side).mean(axis=(1, 3), out=self._binned)
        return self._binned
