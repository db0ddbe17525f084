"""What two networks say of the half of the reference that the other one learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latticewatch.detectors.vae.null import deviations
from latticewatch.detectors.vae.parameters import ENERGY_SIGMA, VaeParameters
from latticewatch.detectors.vae.reference import BETWEEN, LOWER, UPPER, ReferenceSet
from latticewatch.detectors.vae.session import BATCH, Redrawer
from latticewatch.detectors.vae.windows import Stack, cell_points
from latticewatch.kernels.local_energy import window_statistics
from latticewatch.kernels.smooth import gaussian_weights

# Sites this far out on their frame's own scale are not defect-free, nor are those that see them.
_DEFECT_DEVIATION = 4.5
_SEEN_PERIODS = 1.6


@dataclass(frozen=True, slots=True)
class Judged:
    """Both statistics of the sites of a reference.

    Attributes
    ----------
    statistics : (N, 2)
        Largest residual and root of the local energy.
    held_out : (N,) bool
        Judged by a network that did not learn from this half of the frames.
    """

    statistics: NDArray[np.float64]
    held_out: NDArray[np.bool_]

    @property
    def n_held_out(self) -> int:
        """Sites that can calibrate."""
        return int(np.count_nonzero(self.held_out))

    def calibration(self, known: ReferenceSet) -> tuple[list[NDArray[np.float64]], ...]:
        """Scores of the judged sites of each frame, for both statistics; NaN where a defect is."""
        clean = ~_damaged(known, self.statistics)
        # Frames as a whole: of a hundred sites the own scale of a frame is a twentieth too wide.
        parts = [(known.frame == frame) & self.held_out for frame in range(known.n_frames)]
        return tuple(
            [np.where(clean[part], self.statistics[part, column], np.nan) for part in parts]
            for column in (0, 1)
        )


def statistics_of(known: ReferenceSet, residuals: Stack) -> NDArray[np.float64]:
    """Largest residual and root of the local energy (N, 2) in the cells of windows (N, C, C)."""
    windows = known.windows
    cell = cell_points(known.rule.basis_px_yx, windows.step_px, windows.drawn_px)
    blur = gaussian_weights(ENERGY_SIGMA * known.rule.period_px / windows.step_px)
    out = np.empty((len(residuals), 2))
    window_statistics(np.ascontiguousarray(residuals), cell, blur, 1, out)
    # A residual as the other one is: the law of the largest of many holds for both.
    out[:, 1] = np.sqrt(out[:, 1])
    return out


def cross_judged(
    known: ReferenceSet, networks: Sequence[bytes], rough: NDArray[np.float64]
) -> Judged:
    """Judge each half by the network of the other one, and what lies between by the first.

    Parameters
    ----------
    known
        The reference.
    networks
        ONNX of the lower and of the upper half.
    rough : (N, 2)
        Statistics of the differences from the usual window, where no network can judge.
    """
    windows = known.windows
    statistics = rough.copy()
    for half, network in ((UPPER, networks[0]), (LOWER, networks[1]), (BETWEEN, networks[0])):
        rows = np.flatnonzero(known.half == half)
        session = Redrawer(network, windows.size, windows.drawn_px)
        for first in range(0, len(rows), BATCH):
            some = known.compared[rows[first : first + BATCH]]
            left = some[:, windows.middle, windows.middle] - session.redraw(some)
            statistics[rows[first : first + BATCH]] = statistics_of(known, left)
    return Judged(statistics, known.half != BETWEEN)


def ordinary(known: ReferenceSet, judged: Judged, settings: VaeParameters) -> NDArray[np.bool_]:
    """Sites (N,) to learn from: all but the strangest share, and what still stands out."""
    energy = _frame_deviations(known, judged.statistics)[:, 1]
    worst = np.quantile(energy, 1.0 - settings.trim)
    kept: NDArray[np.bool_] = (energy <= worst) & (energy < _DEFECT_DEVIATION)
    return kept


def _frame_deviations(known: ReferenceSet, statistics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Both statistics (N, 2) on the scale of their frame; 0 where it has none."""
    away = np.zeros_like(statistics)
    for frame in range(known.n_frames):
        own = known.frame == frame
        for column in (0, 1):
            away[own, column] = np.nan_to_num(
                deviations(statistics[own, column]), nan=0.0, neginf=-38.0
            )
    return away


def _damaged(known: ReferenceSet, statistics: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Sites (N,) that stand out, or see one that does."""
    strange = _frame_deviations(known, statistics).max(axis=1) > _DEFECT_DEVIATION
    damaged: NDArray[np.bool_] = np.array(strange)
    for frame in range(known.n_frames):
        own = np.flatnonzero(known.frame == frame)
        bad = known.places_yx[own[strange[own]]]
        if len(bad):
            apart, _ = KDTree(bad).query(known.places_yx[own])
            damaged[own] |= apart < _SEEN_PERIODS * known.rule.period_px
    return damaged
