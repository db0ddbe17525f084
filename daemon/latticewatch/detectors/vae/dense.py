"""Scores of sites by the dense residual: how much of a cell no component redraws, and where."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from latticewatch.detectors.vae.components import drawn_column
from latticewatch.detectors.vae.pca import DensePca, DenseResidual
from latticewatch.kernels.lobes import find_lobes
from latticewatch.kernels.local_energy import cell_mask, site_statistics
from latticewatch.kernels.shadows import mark_shadows
from latticewatch.kernels.smooth import (
    gaussian_rows,
    gaussian_scratch,
    gaussian_weights,
    sampled_rows,
)

Image = NDArray[np.float32]

# Of the lattice period: 3 px at 23.5.
ENERGY_PERIODS = 0.128
LOBE_PERIODS = 0.3
_BESIDE_PERIODS = 0.75
# Half a window, and the width of a defect. Columns differ from the drawn one, and defects from
# columns: with 1.3 times its side lobes a third of what was found lay beside a vacancy.
SHADOW_PERIODS = 2.5
SHADOW_SHARE = 2.0
# A neighbour of nearly the same score is a defect of its own. Many learned components, 18 on the
# image of methods/vae.md, have side lobes of a half.
MOST_SHADOW = 0.6
# A blur of 3 px needs no more of the rows to say where it is largest.
ENERGY_STEP = 2


@dataclass(frozen=True, slots=True)
class DenseScores:
    """What the dense residual says of the sites of a frame. NaN: unscored, which is not normal.

    Attributes
    ----------
    residual : (H, W) float32
        Input less what is expected; NaN where no whole window fits.
    largest : (N,)
        abs(residual) in the cell of each site.
    energy : (N,)
        Local energy there: squares of the residual, blurred by 0.128 of a period.
    """

    residual: Image
    largest: NDArray[np.float64]
    energy: NDArray[np.float64]


def sidelobe_of(model: DensePca) -> float:
    """How strong the residual of one column is beside it, over what it is there; 0.1 to 0.5.

    The waves that bulk is redrawn with redraw a part of what is strange in all cells of a window.
    """
    side = len(model.weights)
    column = drawn_column(side, model.period_px)
    left = np.abs(signal.fftconvolve(column, model.weights[::-1, ::-1]))
    middle = side - 1
    y, x = np.indices(left.shape) - middle
    beside = np.hypot(y, x) > _BESIDE_PERIODS * model.period_px
    return float(left[beside].max() / left[middle, middle])


def in_shadow(
    scores: NDArray[np.float64], places_yx: NDArray[np.float64], reach_px: float, share: float
) -> NDArray[np.bool_]:
    """Tell which sites (N,) are no stranger than what a much stranger one leaves there.

    Parameters
    ----------
    scores : (N,)
        In proportion to the residual. NaN, unscored, is in no shadow and casts none.
    places_yx : (N, 2)
        Pixels.
    reach_px
        How far shadows go.
    share
        Of the stranger one's score.
    """
    known = np.flatnonzero(np.isfinite(scores))
    shadow = np.zeros(len(scores), bool)
    if not len(known):
        return shadow
    # Who can cast a shadow on the median site at all.
    strong = known[scores[known] * share > np.median(scores[known])]
    mark_shadows(scores, places_yx, strong, reach_px, share, shadow)
    return shadow


class DenseScorer:
    """Scores the sites of one crystal, frame after frame, in buffers that it keeps."""

    def __init__(self, model: DensePca) -> None:
        self.model = model
        self._dense = DenseResidual(model)
        self._mask = cell_mask(model.basis_px_yx)
        self._weights = gaussian_weights(ENERGY_PERIODS * model.period_px)
        self._squares = np.empty((0, 0), np.float32)
        self.sidelobe = sidelobe_of(model)

    def score(self, image: Image, places_yx: NDArray[np.float64]) -> DenseScores:
        """Score each site by its cell.

        Parameters
        ----------
        image : (H, W)
            Finite, blurred and levelled as the images of the fit were.
        places_yx : (N, 2)
            One site of each cell.
        """
        residual = self._dense.residual(image)
        largest, energy = self.statistics(residual, places_yx)
        return DenseScores(residual, largest, energy)

    def statistics(
        self, residual: Image, places_yx: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Largest residual (N,) and local energy (N,) in the cell of each site."""
        if residual.shape != self._squares.shape:
            self._squares = np.empty(residual.shape, np.float32)
            self._scratch = gaussian_scratch(residual.shape[1], self._weights)
            self._rows = sampled_rows((residual.shape[0], residual.shape[1]), ENERGY_STEP)
        np.multiply(residual, residual, out=self._squares)
        gaussian_rows(self._squares, self._weights, self._scratch, self._rows)
        found = np.empty((len(places_yx), 2))
        site_statistics(residual, self._rows, places_yx, self._mask, found)
        return found[:, 0], found[:, 1]

    def shadowed(
        self, scores: NDArray[np.float64], places_yx: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Tell which sites (N,) are no stranger than what a stranger one near them leaves there.

        Parameters
        ----------
        scores : (N,)
            `largest`, or the root of `energy`.
        places_yx : (N, 2)
            As they were scored.
        """
        reach_px = SHADOW_PERIODS * self.model.period_px
        share = min(SHADOW_SHARE * self.sidelobe, MOST_SHADOW)
        return in_shadow(scores, places_yx, reach_px, share)

    def lobes(self, residual: Image, places_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Value, y, x of the strongest lobe (N, 6) in the cells of some sites, and of its opposite.

        As `lobes.find_lobes` gives them: a positive first value is an excess, a negative one a
        deficit, and two lobes of like strength are a column displaced from one to the other.
        """
        found = np.empty((len(places_yx), 6))
        find_lobes(residual, places_yx, self._mask, LOBE_PERIODS * self.model.period_px, found)
        return found
