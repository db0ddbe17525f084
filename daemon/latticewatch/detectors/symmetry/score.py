"""The symmetry map of a frame, by a fixed model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.symmetry.cells import CellMaker, gain_of
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.parameters import BLOCK_PX
from latticewatch.detectors.symmetry.stale import Freshness
from latticewatch.detectors.turned import net_change


@dataclass(frozen=True, slots=True)
class SymmetryMap:
    """How far each cell of a frame is from the perfect crystal of the model.

    Attributes
    ----------
    distance : (R, C) float32
        Mahalanobis distance; NaN where a cell is masked: never zero, which would look perfect.
    severity : (R, C) float32
        The same over the model's limit: beyond 1 it stands out.
    p_value : (R, C) float64
        Chance that a clean cell of the reference lies as far.
    variance : (R, C) float32
        Of the filtered frame, over the model's lower bound: below 1 a cell is disordered.
    level : (R, C) float32
        Mean of the raw frame.
    step_px
        Distance of two cells in pixels.
    first_px_yx
        Pixel of the centre of cell (0, 0).
    gain
        What the moments were divided by: the square of the gain of the frame.
    stale
        The frame does not fit the model; believe nothing.
    told
        Why, with values and limits.
    """

    distance: NDArray[np.float32]
    severity: NDArray[np.float32]
    p_value: NDArray[np.float64]
    variance: NDArray[np.float32]
    level: NDArray[np.float32]
    step_px: float
    first_px_yx: tuple[float, float]
    gain: float
    stale: bool
    told: tuple[str, ...]


class SymmetryDetector:
    """Maps one frame after the other by one model."""

    def __init__(self, model: SymmetryModel) -> None:
        self.model = model
        self._maker = CellMaker(model.preprocess, model.bank)
        self._whitening = np.ascontiguousarray(model.reference.whitening.T, np.float32)
        self._mean = model.reference.mean.astype(np.float32)

    def score(self, image: NDArray[np.float32], lock: LatticeLock | None) -> SymmetryMap:
        """Map a frame.

        Parameters
        ----------
        image : (H, W)
            Raw; pixels that are not finite mask the cells that they touch.
        lock
            Of the frame; None: its lattice is not compared.
        """
        model = self.model
        cells = self._maker.run(image)
        gain = gain_of(cells, model.usual_trace, model.least_variance)
        divisor = gain if gain == gain else 1.0
        variance = cells.variance / np.float32(model.least_variance * divisor)
        scored = cells.judgeable & (variance >= 1.0)
        distance = np.full(scored.shape, np.nan, np.float32)
        away = (cells.moments[scored] / np.float32(divisor) - self._mean) @ self._whitening
        distance[scored] = np.sqrt(np.einsum("ij,ij->i", away, away))
        spread = (
            float(np.median(distance[scored])) / model.usual_distance if scored.any() else np.nan
        )
        fresh = self._freshness(spread, lock)
        side = model.preprocess.binning
        first = BLOCK_PX * side - 0.5
        return SymmetryMap(
            distance=distance,
            severity=distance / np.float32(model.limit),
            p_value=model.law.p_values(distance),
            variance=np.where(cells.judgeable, variance, np.float32(np.nan)),
            level=cells.level,
            step_px=float(BLOCK_PX * side),
            first_px_yx=(first, first),
            gain=gain,
            stale=fresh.is_stale,
            told=fresh.told,
        )

    def _freshness(self, spread: float, lock: LatticeLock | None) -> Freshness:
        if lock is None or self.model.basis_px_yx is None:
            return Freshness(spread)
        change = net_change(self.model.basis_px_yx, lock.basis_px_yx)
        if change is None:
            return Freshness(spread, other_net=True)
        return Freshness(spread, *change)
