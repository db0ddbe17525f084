"""The classes of a model and those that a stream proposes, as whoever follows sites asks them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.motifs.reservoir import KnownClasses, ProposedClass

_NEW = -1  # as in `score.py`


class ClassLaws:
    """Normal laws of classes over components: which one a place belongs to, and how surely.

    The slow form, for some tens of places; `MotifDetector.name` is for all sites of a frame.

    Parameters
    ----------
    model
        Rows of its classes come first.
    proposed
        Their rows follow.
    """

    def __init__(self, model: KnownClasses, proposed: Sequence[ProposedClass] = ()) -> None:
        self._means = np.concatenate(
            [np.asarray(model.means, np.float64), *(one.mean[None] for one in proposed)]
        )
        covariances = np.concatenate(
            [np.asarray(model.covariances, np.float64), *(one.covariance[None] for one in proposed)]
        )
        self._inverses = np.linalg.inv(covariances)
        self._log_det = np.linalg.slogdet(covariances)[1]
        self._reject = float(model.reject_chi2)

    def classify(self, z: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Row of the class of components (N, C), -1 where none fits, and its probability."""
        off = z[:, None] - self._means
        distance2 = np.einsum("nkc,kcd,nkd->nk", off, self._inverses, off)
        weight = -0.5 * (distance2 + self._log_det)
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        best = weight.argmax(axis=1)
        new = distance2.min(axis=1) > self._reject
        p = np.take_along_axis(weight, best[:, None], axis=1)[:, 0]
        return np.where(new, _NEW, best), np.where(new, 1.0, p)

    def mean_of(self, row: int) -> NDArray[np.float64]:
        """Components (C,) of a class."""
        mean: NDArray[np.float64] = self._means[row]
        return mean
