"""Distances of the cells of a frame from a reference, at the gain of that frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import quantile_of
from latticewatch.detectors.symmetry.cells import Cells, gain_of
from latticewatch.detectors.symmetry.reference import Reference
from latticewatch.kernels.whitening import whitened_distance

# Cells that lie nearest are of the crystal of the model, also where most of a frame is not. They
# tell how much wider than the reference a frame scatters: at half the dose all of its
# cells lie further out, by the same factor. Subtracting the moments that white noise is expected
# to have changed nothing beside that, at doses from an eighth to four times the reference.
_NEAREST_SHARE = 0.15
# Of the cells of a frame; fewer tell nothing of gain and scatter.
_LEAST_HELD = 0.05


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
        Distance within which the nearest share of the scored cells lies; NaN of none.
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

    def run(self, cells: Cells, held: NDArray[np.bool_] | None = None) -> Distances:
        """Measure the cells of a frame that are neither at its border nor vacuum.

        Parameters
        ----------
        cells
            Of the frame.
        held : (R, C)
            Where the crystal of the reference is: gain and scatter are those of these cells,
            unless hardly any is left; None where it is not known.
        """
        held = self._enough(cells, held)
        gain = gain_of(cells, *self._usual, held)
        if self._distance.shape != cells.trace.shape:
            self._distance = np.empty(cells.trace.shape, np.float32)
        if not gain > 0:
            self._distance[:] = np.nan
            return Distances(self._distance, float("nan"), float("nan"))
        whitened_distance(cells.moments, self._mean, self._whitening, gain, self._distance)
        scored = cells.judgeable & ~cells.disordered(self._usual[1] * gain)
        self._distance[~scored] = np.nan
        nearest = nearest_of(self._distance[scored])
        if held is not None:
            # Twins may have the lattice in common: then what is held may be the other one.
            nearest = min(nearest, nearest_of(self._distance[scored & held]))
        return Distances(self._distance, gain, nearest)

    @staticmethod
    def _enough(cells: Cells, held: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        if held is None:
            return None
        n_held = np.count_nonzero(held & cells.judgeable)
        return held if n_held >= _LEAST_HELD * np.count_nonzero(cells.judgeable) else None


def nearest_of(distance: NDArray[np.floating]) -> float:
    """Distance within which the nearest share of some cells (N,) lies; NaN of none."""
    return quantile_of(np.sort(distance), _NEAREST_SHARE)
