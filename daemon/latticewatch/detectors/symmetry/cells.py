"""What the filters see of a frame, on a grid of cells: the same for the fit and for scoring."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import quantile_of
from latticewatch.detectors.symmetry.parameters import BOX_PX, VARIANCE_PX
from latticewatch.detectors.symmetry.preprocess import Preprocess, Preprocessor
from latticewatch.kernels.box_variance import box_scratch, box_variance
from latticewatch.kernels.moments import grid_shape, moment_scratch, n_moments, second_moments

Map = NDArray[np.float32]
_MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Cells:
    """A frame as the detector compares it; all of it is overwritten by the next frame.

    Attributes
    ----------
    moments : (R, C, K (K + 1) / 2)
        Sums of r_i r_j, i <= j, over 16 x 16 binned pixels on a grid of 8.
    trace : (R, C)
        Of these matrices.
    variance : (R, C)
        Of the filtered frame.
    level : (R, C)
        Mean of the raw frame.
    judgeable : (R, C)
        Away from the border of the frame and from pixels that are not finite.
    """

    moments: Map
    trace: Map
    variance: Map
    level: Map
    judgeable: NDArray[np.bool_]

    def disordered(self, least_variance: float) -> NDArray[np.bool_]:
        """Tell where the frame is flat over three by three cells: vacuum, or no crystal.

        Smoothed, since the box of a cell may lie on a boundary, which is what is looked for.
        """
        padded = np.pad(np.where(self.judgeable, self.variance, np.nan), 1, constant_values=np.nan)
        rows, columns = self.variance.shape
        total, count = np.zeros((rows, columns)), np.zeros((rows, columns), np.int64)
        for dy in range(3):
            for dx in range(3):
                part = padded[dy : dy + rows, dx : dx + columns]
                known = ~np.isnan(part)
                total[known] += part[known]
                count += known
        flat: NDArray[np.bool_] = total < least_variance * count
        return flat


class CellMaker:
    """Turns frames of one size after the other into cells, in buffers of its own.

    Attributes
    ----------
    rule, bank
        As given.
    filtered : (H // binning, W // binning)
        Last frame, in levels.
    """

    def __init__(self, rule: Preprocess, bank: NDArray[np.float32]) -> None:
        self.rule, self.bank = rule, np.ascontiguousarray(bank)
        self.filtered = np.empty((0, 0), np.float32)
        self._ready = Preprocessor(rule)
        self._diagonal = np.flatnonzero(np.equal(*np.triu_indices(len(bank))))
        self._shape: tuple[int, ...] = (-1, -1)

    def run(self, image: NDArray[np.float32]) -> Cells:
        """Look at a frame (H, W), C-contiguous, in which pixels may be NaN or infinite."""
        binned, filtered = self._ready.run(image)
        self.filtered = filtered
        if binned.shape != self._shape:
            self._allocate(binned.shape)
        second_moments(filtered, self.bank, self._scratch, self._moments)
        box_variance(binned, BOX_PX, self._boxes, self._level, self._unused)
        box_variance(filtered, VARIANCE_PX, self._boxes, self._mean, self._variance)
        trace = self._moments[..., self._diagonal].sum(axis=-1)
        inner = np.zeros(trace.shape, bool)
        border = self.rule.border_cells
        inner[border:-border, border:-border] = True
        return Cells(
            moments=self._moments,
            trace=trace,
            variance=self._variance,
            level=self._level,
            judgeable=inner & np.isfinite(trace) & np.isfinite(self._variance),
        )

    def _allocate(self, shape: tuple[int, ...]) -> None:
        height, width = shape
        grid, n_filters = grid_shape((height, width)), len(self.bank)
        self._shape = shape
        self._moments = np.empty((*grid, n_moments(n_filters)), np.float32)
        self._scratch = moment_scratch(width, n_filters)
        self._boxes = box_scratch(width, max(BOX_PX, VARIANCE_PX))
        self._level, self._unused = np.empty(grid, np.float32), np.empty(grid, np.float32)
        self._mean, self._variance = np.empty(grid, np.float32), np.empty(grid, np.float32)


def gain_of(
    cells: Cells,
    usual_trace: float,
    least_variance: float,
    held: NDArray[np.bool_] | None = None,
) -> float:
    """How much stronger the texture of a frame is than that of the reference.

    Median trace over the cells that are neither vacuum nor at the border, over that of the
    reference (methods/symmetry.md 3.1). Which cells are vacuum depends on the gain: it is found
    from the upper cells first, and then in turn. NaN where no cell is left.

    Parameters
    ----------
    cells
        Of the frame.
    usual_trace, least_variance
        Of the reference.
    held : (R, C)
        Cells of the crystal of the reference; None: all may be.
    """
    asked = cells.judgeable if held is None else cells.judgeable & held
    trace, variance = cells.trace[asked], cells.variance[asked]
    if not len(trace):
        return float("nan")
    gain = quantile_of(np.sort(trace), 0.9) / usual_trace
    for _ in range(_MOST_ROUNDS):
        kept = np.sort(trace[variance >= least_variance * gain])
        if not len(kept):
            break
        before, gain = gain, quantile_of(kept, 0.5) / usual_trace
        if gain == before:
            break
    return gain if gain > 0 else float("nan")
