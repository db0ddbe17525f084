"""The linear twin at run time: what no component redraws of each cell of a frame."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.vae.dense import DenseScorer
from latticewatch.detectors.vae.evidence import Evidence, evidence_of
from latticewatch.detectors.vae.lobes import Lobes, expected_at
from latticewatch.detectors.vae.null import USUAL_LAW
from latticewatch.detectors.vae.pca import DensePca
from latticewatch.detectors.vae.windows import WindowRule
from latticewatch.detectors.view import View

NAMES = ("pca_residual", "pca_energy")
# What two statistics of one residual are worth: 1.2 to 1.5 on simulated crystals.
N_TESTS = 1.4
_SAMPLE = 4  # every so many pixels say how wide a residual scatters


class LinearTwin:
    """Scores the sites of a view by the dense residual, in buffers that it keeps.

    Parameters
    ----------
    pca
        The filter.
    windows
        Whose usual window says where columns are expected.
    """

    def __init__(self, pca: DensePca, windows: WindowRule) -> None:
        self._scorer = DenseScorer(pca)
        self._windows = windows
        self._residual = np.empty((0, 0), np.float32)
        self._places = np.empty((0, 2))

    def look(self, view: View, places_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest residual and root of the local energy (2, N) at some places (N, 2); NaN: none.

        A place that is no stranger than the shadow of a stranger one near it has none either.
        """
        scores = self._scorer.score(view.image, places_yx)
        self._residual, self._places = scores.residual, places_yx
        statistics = np.stack([scores.largest, np.sqrt(scores.energy)])
        statistics[:, self._scorer.shadowed(statistics[1], places_yx)] = np.nan
        return statistics

    def judge(self, statistics: NDArray[np.float64]) -> Evidence:
        """Turn statistics (2, N) into p-values, by the frame's own scale alone."""
        return evidence_of(NAMES, statistics, (USUAL_LAW, USUAL_LAW), N_TESTS)

    def picture(self) -> NDArray[np.float32]:
        """Residual of the last frame (H, W), levels; NaN at its rim."""
        return self._residual

    def lobes_of(self, sites: NDArray[np.intp]) -> Lobes:
        """Say what disturbs the cells of some sites (M,) of the last frame."""
        places, usual = self._places[sites], self._windows.usual
        found = self._scorer.lobes(self._residual, places)
        scatter = self._residual[::_SAMPLE, ::_SAMPLE]
        noise = MAD_TO_SIGMA * float(np.nanmedian(np.abs(scatter)))
        return Lobes(
            height=found[:, 0],
            place_yx=found[:, 1:3],
            opposite=found[:, 3],
            opposite_yx=found[:, 4:6],
            noise=np.full(len(sites), noise),
            expected=expected_at(usual, self._windows.step_px, found[:, 1:3] - places),
            contrast=float(np.ptp(usual)),
        )
