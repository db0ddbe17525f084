"""The symmetry map of a frame, by a fixed model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.symmetry.cells import CellMaker
from latticewatch.detectors.symmetry.distances import DistanceMeter
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.stale import freshness_of, judged


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
        self._meter = DistanceMeter(model.reference, model.usual_trace, model.least_variance)

    def score(self, image: NDArray[np.float32], lock: LatticeLock | None) -> SymmetryMap:
        """Map a frame.

        Parameters
        ----------
        image : (H, W)
            Raw, C-contiguous; pixels that are not finite mask the cells that they touch.
        lock
            Of the frame; None: its lattice is not compared.
        """
        model = self.model
        cells = self._maker.run(image)
        fresh = freshness_of(model, lock)
        # What lies beyond a boundary tells nothing of the gain and the noise of a frame, nor
        # whether it is the model's crystal. The lock of another lattice does not say where that is.
        own = None if lock is None or fresh.is_stale else self._held(lock, cells.trace.shape)
        found = self._meter.run(cells, own)
        spread = found.nearest / model.usual_nearest
        # A frame of another noise has all of its cells further out, or nearer, alike.
        distance = found.distance / np.float32(spread if spread > 0 else 1.0)
        p_value = model.law.p_values(distance)
        fresh = judged(fresh, spread, p_value)
        bound = model.least_variance * (found.gain if found.gain > 0 else 1.0)
        first = model.step_px - 0.5
        return SymmetryMap(
            distance=distance,
            severity=distance / np.float32(model.limit),
            p_value=p_value,
            variance=np.where(cells.judgeable, cells.variance / np.float32(bound), np.nan),
            level=cells.level.copy(),
            step_px=float(model.step_px),
            first_px_yx=(first, first),
            gain=found.gain,
            stale=fresh.is_stale,
            told=fresh.told,
        )

    def _held(self, lock: LatticeLock, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Tell where the middles of cells (R, C) lie in the crystal of a lock."""
        first = self.model.step_px - 0.5
        axes = (first + self.model.step_px * np.arange(n, dtype=np.float64) for n in shape)
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        return lock.holds_at(places.reshape(-1, 2)).reshape(shape)
