"""From a frame to what the filters see: binned to the lattice, and a difference of Gaussians."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.parameters import BLOCK_PX, KERNEL_PX, SymmetryParameters
from latticewatch.kernels.grids import block_means
from latticewatch.kernels.smooth import (
    difference_of_gaussians,
    difference_scratch,
    gaussian_weights,
)

Image = NDArray[np.float32]
_TRUNCATE = 4.0
# What the filter sees farther off than so many widths has no say in a moment: 5 per cent of its
# weight.
_SEEN_SIGMAS = 2.0
# Below it a blur is not sampled well, and a filter would see single pixels.
_LEAST_SIGMA_PX = 0.8
# Of a binned frame, its border left out: about what the statistics of the model need.
_FEWEST_CELLS = 200


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

    @property
    def border_cells(self) -> int:
        """Cells along each border that see the mirror image of the frame: they are left out."""
        seen_px = _SEEN_SIGMAS * self.outer_sigma_px + KERNEL_PX // 2
        return math.ceil(seen_px / BLOCK_PX)

    def n_judged(self, shape: tuple[int, int]) -> int:
        """Cells of a frame, its border left out."""
        height, width = (
            max(0, n // self.binning // BLOCK_PX - 1 - 2 * self.border_cells) for n in shape
        )
        return height * width


def scaled_to(
    period_px: float, shape: tuple[int, int], parameters: SymmetryParameters
) -> Preprocess:
    """Choose binning and widths for a lattice.

    Parameters
    ----------
    period_px
        Square root of the area of a cell.
    shape
        Of the smallest frame: it is binned no further than leaves enough cells to learn from.
    parameters
        Settings.
    """
    binning = max(1, round(period_px / parameters.binned_period_px))
    rule = _rule_of(period_px, binning, parameters)
    while binning > 1 and rule.n_judged(shape) < _FEWEST_CELLS:
        binning -= 1
        rule = _rule_of(period_px, binning, parameters)
    return rule


def _rule_of(period_px: float, binning: int, parameters: SymmetryParameters) -> Preprocess:
    inner = max(parameters.inner_sigma * period_px / binning, _LEAST_SIGMA_PX)
    return Preprocess(binning, inner, inner * parameters.outer_sigma / parameters.inner_sigma)


class Preprocessor:
    """Makes frames of one size after the other ready, in buffers of its own."""

    def __init__(self, rule: Preprocess) -> None:
        self.rule = rule
        self._inner, self._outer = weights_of(rule)
        self._shape: tuple[int, ...] = (-1, -1)

    def run(self, image: Image) -> tuple[Image, Image]:
        """Bin and filter a frame.

        Parameters
        ----------
        image : (H, W)
            C-contiguous. What is not finite spoils what it touches, and no more.

        Returns
        -------
        tuple of (H // binning, W // binning)
            The binned frame, and the filtered one in levels. Both are overwritten by the next call.
        """
        side = self.rule.binning
        shape = (image.shape[0] // side, image.shape[1] // side)
        if shape != self._shape:
            self._shape = shape
            self._binned = np.empty(shape if side > 1 else (0, 0), np.float32)
            self._filtered = np.empty(shape, np.float32)
            self._scratch = difference_scratch(shape[1], self._outer)
        binned = image
        if side > 1:
            binned = self._binned
            block_means(image, side, binned)
        if binned.size:
            difference_of_gaussians(binned, self._inner, self._outer, self._scratch, self._filtered)
        return binned, self._filtered


def weights_of(rule: Preprocess) -> tuple[Image, Image]:
    """Weights of both blurs along one axis; the division by the levels is in them.

    Filtering is linear, so that it costs nothing there.
    """
    gain = np.sqrt(1.0 / (rule.high - rule.low))
    inner, outer = (
        np.ascontiguousarray(gaussian_weights(sigma_px, _TRUNCATE) * gain, np.float32)
        for sigma_px in (rule.inner_sigma_px, rule.outer_sigma_px)
    )
    return inner, outer
