"""Distances of the cells of a frame from a reference, at the gain of that frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import quantile_of
from latticewatch.detectors.symmetry.cells import Cells, gain_of
from latticewatch.detectors.symmetry.reference import Reference
from latticewatch.kernels.whitening import whitened_distance

# Cells that lie nearest are of the crystal of the model, also where more than half of a frame is
# not. They tell how much wider than the reference a frame scatters: at half the dose all of its
# cells lie further out, by the same factor. Subtracting the moments that white noise is expected
# to have changed nothing beside that, at doses from an eighth to four times the reference.
_NEAREST_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Distances:
    """Of one frame.

    Attributes
    ----------
    distance : (R, C) float32
        NaN where a cell is not scored; overwritten by the next frame.
    gain
        What the moments were divided by; NaN where no cell is left.
    nearest
        Distance within which three tenths of the scored cells lie; NaN of none.
    """

    distance: NDArray[np.float32]
    gain: float
    nearest: float


class DistanceMeter:
    """Measures frames of one size after the other, in a buffer of its own."""

    def __init__(self, reference: Reference, usual_trace: float, least_variance: float) -> None:
        self._usual = (usual_trace, least_variance)
        self._mean = reference.mean.astype(np.float32)
        self._whitening = np.ascontiguousarray(reference.whitening, np.float32)
        self._distance = np.empty((0, 0), np.float32)

    def run(self, cells: Cells) -> Distances:
        """Measure the cells of a frame that are neither at its border nor vacuum."""
        gain = gain_of(cells, *self._usual)
        if self._distance.shape != cells.trace.shape:
            self._distance = np.empty(cells.trace.shape, np.float32)
        if not gain > 0:
            self._distance[:] = np.nan
            return Distances(self._distance, float("nan"), float("nan"))
        whitened_distance(cells.moments, self._mean, self._whitening, gain, self._distance)
        scored = cells.judgeable & ~cells.disordered(self._usual[1] * gain)
        self._distance[~scored] = np.nan
        nearest = quantile_of(np.sort(self._distance[scored]), _NEAREST_SHARE)
        return Distances(self._distance, gain, nearest)
