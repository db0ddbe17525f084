"""The lattice-locked autoencoder as a scorer of bands."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.vae.fit import fit
from latticewatch.detectors.vae.model import VaeModel
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.score import VaeDetector
from latticewatch.detectors.vae.windows import matching_lock
from latticewatch.detectors.view import View
from support.band_figures import Score, Scores
from support.bands import Band, Image, Places

LARGEST, ENERGY = 0, 1
# Sites whose cell, a tenth larger, holds a place: a column at its corner is in four of them.
_REACH_PERIODS = 0.8


@lru_cache(maxsize=16)
def _fitted(pixels: bytes, shape: tuple[int, int], parameters: VaeParameters) -> VaeModel:
    image = np.frombuffer(pixels, np.float32).reshape(shape)
    return fit([image], parameters)[0]


def fitted(band: Band, parameters: VaeParameters | None = None) -> VaeModel:
    """Model of a band, made once."""
    image = np.ascontiguousarray(band.image, np.float32)
    shape = (image.shape[0], image.shape[1])
    return _fitted(image.tobytes(), shape, parameters or VaeParameters())


def view_of(model: VaeModel, image: Image) -> View:
    """Sites of an image as the model wants them."""
    pixels = np.ascontiguousarray(image, np.float32)
    return SiteFinder(model.rule).prepare(pixels, matching_lock(model.rule, own_lock(pixels)))


def vae(band: Band, statistic: int = ENERGY, parameters: VaeParameters | None = None) -> Score:
    """Strangest cell that holds a column."""
    model = fitted(band, parameters)
    detector = VaeDetector(model)

    def score(image: Image, places: Places) -> Scores:
        view = view_of(model, image)
        inside = detector.redraw(view)
        values: NDArray[np.float64] = detector.statistics_of(view)[:, statistic]
        rows = np.flatnonzero(inside)
        scores = np.full(len(places), np.nan)
        if not len(rows):
            return scores
        tree = KDTree(view.places_yx[rows])
        reach_px = _REACH_PERIODS * model.rule.period_px
        for place, near in enumerate(tree.query_ball_point(places, reach_px)):
            if near:
                scores[place] = values[rows[near]].max()
        return scores

    return score


def vae_largest(band: Band) -> Score:
    """By the largest residual."""
    return vae(band, LARGEST)
