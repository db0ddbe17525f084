"""What the filters see of a frame, on a grid of cells: the same for the fit and for scoring."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.moments_plain import second_moments
from latticewatch.detectors.symmetry.parameters import BLOCK_PX, BORDER_CELLS, BOX_PX
from latticewatch.detectors.symmetry.preprocess import Preprocess, Preprocessor

Map = NDArray[np.float32]


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


class CellMaker:
    """Turns frames of one size after the other into cells, in buffers of its own."""

    def __init__(self, rule: Preprocess, bank: NDArray[np.float32]) -> None:
        self.rule, self.bank = rule, bank
        self._ready = Preprocessor(rule)
        first, second = np.triu_indices(len(bank))
        self._diagonal = np.flatnonzero(first == second)
        self._shape = (0, 0)

    def run(self, image: NDArray[np.float32]) -> Cells:
        """Look at a frame (H, W) in which pixels may be NaN or infinite."""
        bad = None
        # A sum is finite where all pixels are, and costs a tenth of asking each.
        if not np.isfinite(image.sum(dtype=np.float64)):
            bad = ~np.isfinite(image)
            image = np.where(bad, np.float32(0.0), image)
            if not bad.all():
                image[bad] = np.float32(np.median(image[~bad]))
        binned, filtered = self._ready.run(image)
        grid = (max(0, binned.shape[0] // BLOCK_PX - 1), max(0, binned.shape[1] // BLOCK_PX - 1))
        if grid != self._shape:
            self._shape = grid
            self._moments = np.empty(
                (*grid, len(self.bank) * (len(self.bank) + 1) // 2), np.float32
            )
        if 0 not in grid:
            second_moments(filtered, self.bank, self._moments)
        return Cells(
            moments=self._moments,
            trace=self._moments[..., self._diagonal].sum(axis=-1),
            variance=_box_mean(np.square(filtered), grid) - np.square(_box_mean(filtered, grid)),
            level=_box_mean(binned, grid),
            judgeable=self._judgeable(grid, bad),
        )

    def _judgeable(self, grid: tuple[int, int], bad: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        good = np.zeros(grid, bool)
        good[BORDER_CELLS : grid[0] - BORDER_CELLS, BORDER_CELLS : grid[1] - BORDER_CELLS] = True
        if bad is None:
            return good
        side, reach = self.rule.binning, self.rule.reach_px + BOX_PX // 2 + 3
        for y, x in np.unique(np.argwhere(bad) // (side * BLOCK_PX), axis=0):
            # Cell r spans blocks r and r + 1.
            blocks = -(-reach // BLOCK_PX)
            good[
                max(0, y - 1 - blocks) : y + 1 + blocks, max(0, x - 1 - blocks) : x + 1 + blocks
            ] = False
        return good


def _box_mean(image: Map, grid: tuple[int, int]) -> Map:
    rows, columns = image.shape[0] // BLOCK_PX, image.shape[1] // BLOCK_PX
    whole = image[: rows * BLOCK_PX, : columns * BLOCK_PX]
    blocks = whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX).mean(axis=(1, 3))
    if 0 in grid:
        return np.empty(grid, np.float32)
    mean: Map = (blocks[:-1, :-1] + blocks[1:, :-1] + blocks[:-1, 1:] + blocks[1:, 1:]) / 4
    return mean


def gain_of(cells: Cells, usual_trace: float, least_variance: float) -> float:
    """How much stronger the texture of a frame is than that of the reference.

    Median trace over the cells that are neither vacuum nor at the border, over that of the
    reference (methods/symmetry.md 3.1). Which cells are vacuum depends on the gain: it is found
    from the upper cells first, and then in turn. NaN where no cell is left.
    """
    trace, variance = cells.trace[cells.judgeable], cells.variance[cells.judgeable]
    if not len(trace):
        return float("nan")
    gain = float(np.quantile(trace, 0.9)) / usual_trace
    for _ in range(4):
        kept = trace[variance >= least_variance * gain]
        if not len(kept):
            break
        gain = float(np.median(kept)) / usual_trace
    return gain if gain > 0 else float("nan")
